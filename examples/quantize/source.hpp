// Files of weights, of either format, as one list of tensors.
#pragma once

#include <quant/io/gguf/file.hpp>
#include <quant/io/safetensors/file.hpp>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quantizer {

/// A tensor as it lies in a file: of a GGUF type, as the numbers of safetensors files are, too.
struct source_tensor {
    std::string_view name;
    quant::gguf::type type;
    std::vector<std::size_t> shape; ///< 1 to 4 dimensions, the length of a row first
    std::span<const std::byte> data;

    [[nodiscard]] std::size_t cols() const { return shape.front(); }
    [[nodiscard]] std::size_t rows() const; ///< of all other dimensions
    [[nodiscard]] std::size_t elements() const { return rows() * cols(); }
    [[nodiscard]] bool is_matrix() const { return shape.size() > 1; }
    /// Codes and scales, not numbers.
    [[nodiscard]] bool is_quantized() const;
    [[nodiscard]] bool is_integer() const;
    /// The name for a terminal, whatever a file says: in ASCII, other bytes as '?'.
    [[nodiscard]] std::string shown_name() const;
};

/// An open model. Its files are mapped: of tensors, what is looked at is in memory.
struct source {
    std::vector<source_tensor> tensors; ///< views of the files
    std::vector<std::filesystem::path> paths;
    std::unique_ptr<const quant::gguf::file> gguf; ///< null for safetensors
    std::vector<quant::safetensors::file> shards;
};

/// Opens a GGUF file, a safetensors file, or the index (JSON) of several of these.
/// @throws lm::failure that names the file, and a tensor that has no place in a GGUF file.
[[nodiscard]] source open_source(const std::filesystem::path& path);

} // namespace quantizer
