// Tensors of GGUF files as packed weights: what the file holds, exactly, never quantized again.
#pragma once

#include <quant/core/row_ranges.hpp>
#include <quant/io/gguf/load_rows.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

template <std::size_t Id>
[[nodiscard]] consteval std::optional<scheme_descriptor> gguf_describe() {
    constexpr auto which = static_cast<gguf::type>(Id);
    if constexpr (gguf_find_block(which) == nullptr) {
        return std::nullopt;
    } else if constexpr (gguf_is_composition<which>) {
        return describe<typename gguf_codec<which>::scheme>();
    } else {
        return std::nullopt;
    }
}

inline constexpr auto gguf_descriptors = []<std::size_t... Ids>(std::index_sequence<Ids...>) {
    return std::array{gguf_describe<Ids>()...};
}(gguf_all_ids());

} // namespace detail

namespace gguf {

/// The scheme that a type's tensors are loaded as, a preset of that name or the one that
/// docs/formats.md says; nothing for numbers without scales (f32, f16, bf16, f64, integers) and for
/// ids that are none.
[[nodiscard]] constexpr std::optional<scheme_descriptor> scheme_of(type which) noexcept {
    const auto id = static_cast<std::size_t>(which);
    if (id >= detail::gguf_descriptors.size()) return std::nullopt;
    return detail::gguf_descriptors[id];
}

/// Tensors as packed weights, ready for products: their rows below each other, as if one tensor
/// held them all (query, key and value; gate and up).
///
/// Exact: dequantize of the result is gguf::dequantize of the tensors' blocks, bit for bit. Codes
/// and scales are the file's, in other places; where several types are one scheme (TQ1_0 and TQ2_0,
/// IQ2_XS and IQ2_S), tensors of them mix. The factor that NVFP4 may have in a tensor of its own is
/// not applied: epilogue::scale does that, with what try_scale_of says.
///
/// @tparam S a scheme that scheme_of names for some type, such as presets::q4_k; others do not
/// compile.
/// @param tensors one or more, all of the same cols(), of types whose scheme is S.
/// @param run executor; rows are independent. O(rows·cols), one panel of 16 rows at a time beside
/// the result.
///
/// Errors, where names the tensor: unsupported if its type is another scheme's; non_finite for a
/// scale or minimum that is infinite or NaN (255 of MXFP4, 127 and 255 of NVFP4 among them) and
/// code_out_of_range for the code 3 of TQ2_0, both naming row and block; shape_mismatch; empty for
/// no tensors; size_overflow, out_of_memory, executor_failed. If several rows fail, the first is
/// reported.
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] result<packed_matrix<S>> try_load(std::span<const tensor> tensors,
                                                E&& run = serial) noexcept {
    static_assert(detail::gguf_has_scheme<S>,
                  "quant::gguf::load: no GGUF type has this scheme; see quant::presets");
    constexpr const char* where = "gguf::load: tensors";
    const auto rows = detail::gguf_rows<S>::try_make(tensors);
    if (!rows) return rows.failure();
    const std::size_t cols = rows->cols();
    auto made = detail::matrix_internals::make<packed_matrix<S>>(rows->rows(), cols, where);
    if (!made) return made;
    std::byte* const panels = made->mutable_bytes().data() + detail::packed_header_bytes;
    const std::size_t panel_bytes = *detail::layout<S>::panel_bytes(cols);
    const std::size_t per_task =
        detail::rows_per_task(rows->rows(), cols, detail::concurrency_of(run), panel_rows);
    auto done = detail::for_each_row_range(
        run, rows->rows(), per_task, where,
        [&](std::size_t first, std::size_t last) -> result<void> {
            auto scratch = detail::gguf_panel_scratch<S>::try_make(cols, where);
            if (!scratch) return scratch.failure();
            for (std::size_t r = first; r < last; r += panel_rows) {
                const auto source = scratch->read(*rows, r, std::min(panel_rows, last - r));
                if (!source) return source.failure();
                detail::pack_panel(*source, panels + r / panel_rows * panel_bytes);
            }
            return {};
        });
    if (!done) return done.failure();
    return made;
}

/// @copydoc try_load
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] result<packed_matrix<S>> try_load(const tensor& one, E&& run = serial) noexcept {
    return try_load<S>(std::span(&one, 1), run);
}

/// As try_load, but codes and scales row by row, one byte per code: the form to look at and to
/// edit.
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] result<quantized_matrix<S>> try_load_quantized(std::span<const tensor> tensors,
                                                             E&& run = serial) noexcept {
    static_assert(detail::gguf_has_scheme<S>,
                  "quant::gguf::load: no GGUF type has this scheme; see quant::presets");
    constexpr const char* where = "gguf::load: tensors";
    const auto rows = detail::gguf_rows<S>::try_make(tensors);
    if (!rows) return rows.failure();
    const std::size_t cols = rows->cols();
    auto made = detail::matrix_internals::make<quantized_matrix<S>>(rows->rows(), cols, where);
    if (!made) return made;
    const std::size_t per_task =
        detail::rows_per_task(rows->rows(), cols, detail::concurrency_of(run), 1);
    auto done = detail::for_each_row_range(
        run, rows->rows(), per_task, where,
        [&](std::size_t first, std::size_t last) -> result<void> {
            for (std::size_t r = first; r < last; ++r) {
                auto read = rows->read(r, made->mutable_codes().data() + r * cols,
                                       made->mutable_row_numbers(r));
                if (!read) return read;
            }
            return {};
        });
    if (!done) return done.failure();
    return made;
}

/// @copydoc try_load_quantized
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] result<quantized_matrix<S>> try_load_quantized(const tensor& one,
                                                             E&& run = serial) noexcept {
    return try_load_quantized<S>(std::span(&one, 1), run);
}

#if QUANT_HAS_EXCEPTIONS
/// @copydoc try_load
/// @throws quant::error
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] packed_matrix<S> load(std::span<const tensor> tensors, E&& run = serial) {
    return try_load<S>(tensors, run).value();
}
/// @copydoc load
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] packed_matrix<S> load(const tensor& one, E&& run = serial) {
    return try_load<S>(one, run).value();
}
/// @copydoc try_load_quantized
/// @throws quant::error
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] quantized_matrix<S> load_quantized(std::span<const tensor> tensors,
                                                 E&& run = serial) {
    return try_load_quantized<S>(tensors, run).value();
}
/// @copydoc load_quantized
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] quantized_matrix<S> load_quantized(const tensor& one, E&& run = serial) {
    return try_load_quantized<S>(one, run).value();
}
#endif

} // namespace gguf
} // namespace quant::inline QUANT_ABI
