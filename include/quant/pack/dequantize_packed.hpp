// dequantize of packed weights: the real numbers that a packed matrix stands for.
#pragma once

#include <quant/pack/decode_panel.hpp>
#include <quant/quantize/dequantize.hpp>

namespace quant::inline QUANT_ABI {
/// Writes the real numbers that packed weights stand for: the same as dequantize of unpack(p) for
/// all that pack and quantize_packed make, panel by panel, without the matrix in between. With
/// slice_rows, of some rows alone. Errors: empty, null_data, shape_mismatch, invalid_stride,
/// out_of_memory, executor_failed.
template <quantization_scheme S, real_element T, executor E = const serial_executor&>
[[nodiscard]] result<void> try_dequantize(packed_view<S> p, matrix_view<T> out,
                                          E&& run = serial) noexcept {
    constexpr const char* where = "dequantize: out";
    if (p.rows() == 0) return error(errc::empty, "dequantize: p", "the matrix has no elements");
    if (p.panels() == nullptr) return error(errc::null_data, "dequantize: p", "null pointer");
    if (auto valid = detail::check_output(out, p.rows(), p.cols(), where); !valid) return valid;
    const std::size_t panel_bytes = p.panel_bytes();
    const std::size_t per_task =
        detail::rows_per_task(p.rows(), p.cols(), detail::concurrency_of(run), panel_rows);
    return detail::for_each_row_range(
        run, p.rows(), per_task, where, [&](std::size_t first, std::size_t last) -> result<void> {
            for (std::size_t r = first; r < last; r += panel_rows) {
                detail::dequantize_panel<S>(p.panels() + r / panel_rows * panel_bytes,
                                            std::min(panel_rows, last - r), p.cols(), out.row(r),
                                            out.row_stride());
            }
            return {};
        });
}
/// @copydoc try_dequantize
template <quantization_scheme S, real_element T, executor E = const serial_executor&>
[[nodiscard]] result<void> try_dequantize(const packed_matrix<S>& p, matrix_view<T> out,
                                          E&& run = serial) noexcept {
    return try_dequantize(p.view(), out, run);
}

#if QUANT_HAS_EXCEPTIONS
/// As try_dequantize. @throws quant::error
template <quantization_scheme S, real_element T, executor E = const serial_executor&>
void dequantize(packed_view<S> p, matrix_view<T> out, E&& run = serial) {
    try_dequantize(p, out, run).value();
}
/// @copydoc dequantize
template <quantization_scheme S, real_element T, executor E = const serial_executor&>
void dequantize(const packed_matrix<S>& p, matrix_view<T> out, E&& run = serial) {
    try_dequantize(p.view(), out, run).value();
}
#endif

} // namespace quant::inline QUANT_ABI
