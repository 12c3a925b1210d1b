// dequantize: codes and scales back to real numbers.
#pragma once

#include <quant/quantize/quantized_matrix.hpp>
#include <quant/quantize/rows.hpp>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Checks an output that must be rows × cols.
template <class T>
[[nodiscard]] result<void> check_output(const matrix_view<T>& out, std::size_t rows,
                                        std::size_t cols, const char* where) noexcept {
    if (auto valid = check_writable(out, where); !valid) return valid;
    if (out.rows() == rows && out.cols() == cols) return {};
    return make_error(errc::shape_mismatch, where, "%zu x %zu, but the matrix is %zu x %zu",
                      out.rows(), out.cols(), rows, cols);
}

} // namespace detail

/// Writes the real numbers that a quantized matrix stands for: s·t, plus the minimum where the
/// mapping has one, with t = multiplier·u − offset − z (see policy/mapping.hpp).
///
/// In float the product is rounded once and the sum once, the same on every machine; fp16 and bf16
/// outputs are that float rounded to nearest, ties to even.
///
/// @param out  rows() × cols() elements, columns side by side, rows at any distance
/// Errors: empty (q has no elements), null_data, shape_mismatch, invalid_stride, executor_failed,
/// out_of_memory.
template <quantization_scheme S, real_element T, executor E = const serial_executor&>
[[nodiscard]] result<void> try_dequantize(const quantized_matrix<S>& q, matrix_view<T> out,
                                          E&& run = serial) noexcept {
    static_assert(!std::is_const_v<T>, "quant::dequantize: the output view's elements are const");
    constexpr const char* where = "dequantize: out";
    if (q.rows() == 0) return error(errc::empty, "dequantize: q", "the matrix has no elements");
    if (auto valid = detail::check_output(out, q.rows(), q.cols(), where); !valid) return valid;
    const std::size_t per_task =
        detail::rows_per_task(q.rows(), q.cols(), detail::concurrency_of(run), 1);
    return detail::for_each_row_range(
        run, q.rows(), per_task, where, [&](std::size_t first, std::size_t last) -> result<void> {
            for (std::size_t r = first; r < last; ++r) {
                const std::uint8_t* codes = q.codes().data() + r * q.cols();
                const auto row_numbers = q.row_numbers(r);
                T* row = out.row(r);
                detail::for_each_batch<S>(
                    q.cols(), [&](std::size_t g, std::size_t groups, std::size_t c, std::size_t n) {
                        const auto stored = detail::stored_groups<S>::load(row_numbers, g, groups);
                        detail::group_grids grids;
                        grids.set(stored, stored.scale);
                        detail::decode_batch<S>(codes + c, n, grids, row + c);
                    });
            }
            return {};
        });
}

#if QUANT_HAS_EXCEPTIONS
/// As try_dequantize. @throws quant::error
template <quantization_scheme S, real_element T, executor E = const serial_executor&>
void dequantize(const quantized_matrix<S>& q, matrix_view<T> out, E&& run = serial) {
    try_dequantize(q, out, run).value();
}
#endif

} // namespace quant::inline QUANT_ABI
