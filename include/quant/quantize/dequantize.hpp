// dequantize: codes and scales back to real numbers.
#pragma once

#include <quant/quantize/quantized_matrix.hpp>
#include <quant/quantize/rows.hpp>

namespace quant::inline QUANT_ABI {

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
    constexpr const char* where = "dequantize: out";
    if (q.rows() == 0) return error(errc::empty, "dequantize: q", "the matrix has no elements");
    if (auto valid = detail::check_writable(out, where); !valid) return valid;
    if (out.rows() != q.rows() || out.cols() != q.cols()) {
        return detail::make_error(errc::shape_mismatch, where, "%zu x %zu, but q is %zu x %zu",
                                  out.rows(), out.cols(), q.rows(), q.cols());
    }
    const std::size_t per_task =
        detail::rows_per_task(q.rows(), q.cols(), detail::concurrency_of(run), 1);
    return detail::for_each_row_range(
        run, q.rows(), per_task, where, [&](std::size_t first, std::size_t last) -> result<void> {
            const bool in_place = std::is_same_v<T, float>;
            auto scratch = detail::buffer<float>::uninitialized(in_place ? 0 : q.cols(), where);
            if (!scratch) return scratch.failure();
            for (std::size_t r = first; r < last; ++r) {
                float* row = scratch->data();
                if constexpr (std::is_same_v<T, float>) row = out.row(r);
                const std::size_t g0 = q.first_group(r);
                const std::uint8_t* codes = q.codes().data() + r * q.cols();
                detail::for_each_group<S>(
                    q.cols(), [&](std::size_t g, std::size_t c, std::size_t n) {
                        const auto offset =
                            S::has_offset ? q.offsets()[g0 + g] : typename S::offset_type{};
                        const auto grid = detail::group_grid::of<S>(q.scales()[g0 + g], offset);
                        detail::decode_group<S>(codes + c, n, grid, row + c);
                    });
                if constexpr (!std::is_same_v<T, float>) {
                    for (std::size_t c = 0; c < q.cols(); c += 16) {
                        const std::size_t n = std::min<std::size_t>(16, q.cols() - c);
                        simd::store_from_float<T>(out.row(r) + c,
                                                  simd::load_partial<float>(row + c, n), n);
                    }
                }
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
