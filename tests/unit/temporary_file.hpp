// temporary_file: bytes on disk for as long as a test needs them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

/// A file on disk that goes away with the object; its name ends with the given one.
class temporary_file {
public:
    temporary_file(std::string_view name, std::span<const std::byte> bytes)
        : path_(
              std::filesystem::temp_directory_path() /
              ("quant_test_" + std::to_string(std::random_device{}()) + "_" + std::string(name))) {
        std::ofstream(path_, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
    }
    ~temporary_file() {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }
    temporary_file(const temporary_file&) = delete;
    temporary_file& operator=(const temporary_file&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};
