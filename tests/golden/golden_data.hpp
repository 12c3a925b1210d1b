// Files of the shared data's folder of golden vectors; empty where there is no such data.
#pragma once

#include <quant/core/little_endian.hpp>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

inline std::vector<std::uint8_t> read_bytes(const std::string& name) {
    std::ifstream file(QUANT_SHARED_DATA "/gguf_golden/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline std::vector<float> read_floats(const std::string& name) {
    const auto bytes = read_bytes(name);
    std::vector<float> values(bytes.size() / sizeof(float));
    const auto* from = reinterpret_cast<const std::byte*>(bytes.data());
    for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = quant::detail::load_le<float>(from + i * sizeof(float));
    }
    return values;
}
