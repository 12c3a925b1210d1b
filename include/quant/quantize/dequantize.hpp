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

/// Lets code produce a row of floats and brings it to an output of any element type.
template <class T>
class row_writer {
public:
    [[nodiscard]] result<void> prepare(std::size_t cols, const char* where) noexcept {
        auto made = buffer<float>::uninitialized(std::is_same_v<T, float> ? 0 : cols, where);
        if (!made) return made.failure();
        scratch_ = std::move(*made);
        return {};
    }

    /// produce(float*) writes row r's cols() floats, at any address.
    template <class F>
    void write(const matrix_view<T>& out, std::size_t r, F&& produce) noexcept {
        if constexpr (std::is_same_v<T, float>) {
            produce(out.row(r));
        } else {
            produce(scratch_.data());
            for (std::size_t c = 0; c < out.cols(); c += 16) {
                const std::size_t n = std::min<std::size_t>(16, out.cols() - c);
                const auto values = simd::load_partial<float>(scratch_.data() + c, n);
                simd::store_from_float<T>(out.row(r) + c, values, n);
            }
        }
    }

private:
    buffer<float> scratch_;
};

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
            detail::row_writer<T> writer;
            if (auto ready = writer.prepare(q.cols(), where); !ready) return ready;
            for (std::size_t r = first; r < last; ++r) {
                const std::size_t g0 = q.first_group(r);
                const std::uint8_t* codes = q.codes().data() + r * q.cols();
                writer.write(out, r, [&](float* row) {
                    detail::for_each_group<S>(
                        q.cols(), [&](std::size_t g, std::size_t c, std::size_t n) {
                            const auto offset =
                                S::has_offset ? q.offsets()[g0 + g] : typename S::offset_type{};
                            const auto grid = detail::group_grid::of<S>(q.scales()[g0 + g], offset);
                            detail::decode_group<S>(codes + c, n, grid, row + c);
                        });
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
