// What the tests of gguf::writer share: folders, random bytes, and answers that must be good.
#pragma once

#include "gguf_image.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace gguf_test {

namespace fs = std::filesystem;
using quant::gguf::file;
using quant::gguf::writer;

/// An empty folder that goes away with all that is in it.
class temporary_folder {
public:
    temporary_folder()
        : path_(fs::temp_directory_path() /
                ("quant_test_" + std::to_string(std::random_device{}()) + "_folder")) {
        fs::create_directory(path_);
    }
    ~temporary_folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;

    [[nodiscard]] fs::path operator/(std::string_view name) const { return path_ / name; }
    /// How many files there are.
    [[nodiscard]] std::ptrdiff_t size() const {
        return std::distance(fs::directory_iterator(path_), fs::directory_iterator());
    }

private:
    fs::path path_;
};

inline writer make(const fs::path& path) {
    auto made = writer::try_create(path);
    REQUIRE(made.has_value());
    return *std::move(made);
}

inline file open(const fs::path& path) {
    auto made = file::try_open(path);
    if (!made) FAIL(made.failure().what());
    return *std::move(made);
}

inline std::vector<std::byte> bytes_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::vector<char> text{std::istreambuf_iterator<char>(in), {}};
    const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
    return {bytes.begin(), bytes.end()};
}

inline std::vector<std::byte> random_bytes(std::size_t size, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::byte> made(size);
    for (std::byte& each : made) each = static_cast<std::byte>(random() & 255u);
    return made;
}

template <class R>
void require_done(const R& done) {
    if (!done) FAIL(done.failure().what());
}

template <class R>
std::optional<errc> code_of(const R& answer) {
    return answer ? std::nullopt : std::optional(answer.failure().code());
}

} // namespace gguf_test
