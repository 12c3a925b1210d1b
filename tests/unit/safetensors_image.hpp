// Writes the bytes of safetensors files, well-formed or hostile.
#pragma once

#include <quant/io/safetensors.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace safetensors_test {

using quant::errc;
using quant::safetensors::dtype;
using quant::safetensors::file;

/// A header's size, the header, and bytes of data.
inline std::vector<std::byte> image(std::string_view header, std::size_t data = 0,
                                    std::uint64_t size = UINT64_MAX) {
    if (size == UINT64_MAX) size = header.size();
    std::vector<std::byte> made;
    for (int i = 0; i < 8; ++i) made.push_back(static_cast<std::byte>(size >> 8 * i & 255));
    for (const char c : header) made.push_back(static_cast<std::byte>(c));
    for (std::size_t i = 0; i < data; ++i) made.push_back(static_cast<std::byte>(i + 1));
    return made;
}

/// The JSON of a tensor.
inline std::string tensor(std::string_view name, std::string_view type, std::string_view shape,
                          std::string_view offsets) {
    return '"' + std::string(name) + "\":{\"dtype\":\"" + std::string(type) + "\",\"shape\":[" +
           std::string(shape) + "],\"data_offsets\":[" + std::string(offsets) + "]}";
}

/// Checks that a file is refused with this code, naming this field and its place, and that the
/// message has this part.
inline void check_refused(std::span<const std::byte> bytes, errc code, std::string_view where,
                          std::size_t at, std::string_view part) {
    const auto answer = file::try_parse(bytes);
    REQUIRE_FALSE(answer.has_value());
    const quant::error& failure = answer.failure();
    INFO(failure.what());
    CHECK(failure.code() == code);
    CHECK(failure.where() == where);
    const std::string_view message = failure.message();
    CHECK(message.starts_with("at byte " + std::to_string(at) + ": "));
    CHECK(message.find(part) != std::string_view::npos);
}
inline void check_refused(std::string_view header, std::size_t data, errc code,
                          std::string_view where, std::string_view place, std::string_view part) {
    const auto at = header.find(place);
    REQUIRE(at != std::string_view::npos);
    CAPTURE(header);
    check_refused(image(header, data), code, where, 8 + at, part);
}

} // namespace safetensors_test
