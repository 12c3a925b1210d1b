// What weights can be quantized to, by name.
#pragma once

#include <quant/core/matrix_view.hpp>
#include <quant/core/thread_pool.hpp>
#include <quant/io/gguf/types.hpp>
#include <quant/quantize/options.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace quantizer {

/// Quantizes rows of whole blocks to a type. @throws quant::error
using row_quantizer = void (*)(quant::matrix_view<const float> rows, std::span<std::byte> blocks,
                               const quant::quantize_options& options, quant::thread_pool& pool);

/// Matrices in the kernels' layout.
struct packer {
    std::size_t (*bytes)(std::size_t rows, std::size_t cols);
    std::array<std::byte, 64> (*header)(std::size_t rows, std::size_t cols);
    /// Panels of rows, whose weights are then in `stored`, rows side by side. @throws quant::error
    void (*quantize)(quant::matrix_view<const float> rows, std::vector<std::byte>& panels,
                     std::span<float> stored, const quant::quantize_options& options,
                     quant::thread_pool& pool);
};

struct scheme_entry {
    std::string_view name;
    std::optional<quant::gguf::type> type; ///< none: for packed files alone
    std::string_view fallback;  ///< for rows that are no whole blocks: of blocks of 32; or empty
    std::uint32_t file_type;    ///< what the metadata key general.file_type calls it
    row_quantizer quantize;     ///< to blocks of the type
    std::optional<packer> pack; ///< none: numbers without scales
};

/// The value of general.file_type for what has no number of its own.
inline constexpr std::uint32_t guessed_file_type = 1024;

/// All schemes, the commonest first.
[[nodiscard]] std::span<const scheme_entry> all_schemes();

/// Null if there is none of this name.
[[nodiscard]] const scheme_entry* find_scheme(std::string_view name);
/// Null if nothing is quantized to this type.
[[nodiscard]] const scheme_entry* find_scheme(quant::gguf::type type);

/// How a group's range can be found, by name.
struct range_entry {
    std::string_view name;
    quant::range_estimator range;
};
[[nodiscard]] std::span<const range_entry> all_ranges();
/// @throws lm::failure that lists the names, if this is none.
[[nodiscard]] quant::range_estimator find_range(std::string_view name);

} // namespace quantizer
