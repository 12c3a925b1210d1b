// quantize: floats to codes and scales.
#pragma once

#include <quant/quantize/quantized_matrix.hpp>
#include <quant/quantize/rows.hpp>

namespace quant::inline QUANT_ABI {

namespace detail {

/// try_quantize with quantize_options, or default_options.
template <quantization_scheme S, class T, class Options>
[[nodiscard]] result<quantized_matrix<S>> quantize_matrix(matrix_view<T> w, const Options& options,
                                                          const executor_ref& run) noexcept {
    constexpr const char* where = "quantize: w";
    if (auto valid = check_readable(w, where); !valid) return valid.failure();
    if (auto valid = check_options(options, w.cols()); !valid) return valid.failure();
    auto made = matrix_internals::make<quantized_matrix<S>>(w.rows(), w.cols(), where);
    if (!made) return made;
    row_monitor<Options> monitor(options, w.rows());
    constexpr bool rows_share = S::group_rows != 1;
    if constexpr (rows_share) {
        if (auto fitted =
                fit_shared<S>(w, made->mutable_scales().data(), made->mutable_offsets().data(),
                              options, monitor, run, where);
            !fitted) {
            return fitted.failure();
        }
    }
    const std::size_t per_task = rows_per_task(w.rows(), w.cols(), monitor.concurrency(run), 1);
    auto done = for_each_row_range(
        run, w.rows(), per_task, where, [&](std::size_t first, std::size_t last) -> result<void> {
            const std::size_t width = rows_are_floats(w) ? 0 : w.cols();
            auto scratch = buffer<float>::uninitialized(width, where);
            if (!scratch) return scratch.failure();
            for (std::size_t r = first; r < last; ++r) {
                if (monitor.cancelled()) return stopped_by_caller(where);
                const float* row = row_as_floats(w, r, scratch->data());
                const auto numbers = made->mutable_row_numbers(r);
                std::uint8_t* codes = made->mutable_codes().data() + r * w.cols();
                if constexpr (rows_share) {
                    encode_row<S>(row, w.cols(), r, numbers, codes, options);
                } else {
                    auto quantized =
                        quantize_row<S>(row, w.cols(), r, numbers, codes, options, where);
                    if (!quantized) return quantized;
                }
            }
            monitor.finished(last - first);
            return {};
        });
    if (!done) return done.failure();
    return made;
}

} // namespace detail

/// Quantizes weights w (rows = output features, columns = input features) to scheme S.
///
/// Each group gets the scale (and offset) that options.range finds, rounded to its type; codes are
/// then the nearest levels of the stored scale, ties to even (midrise: upward). See docs/maths.md
/// for the formulas and reference/quantize.hpp for the definition. Deterministic: the same bytes
/// on every instruction set, compiler and thread count.
///
/// Scales whose magnitude is below 2^-126 become zero, and their weights exact zeros.
///
/// @param w        float, fp16 or bf16; any strides, any alignment
/// @param options  range estimator, progress, cancellation
/// @param run      executor; rows are split over it
///
/// Errors: empty, null_data, size_overflow; non_finite (names row and column) and scale_overflow,
/// the lowest row first; of options invalid_argument (no such estimator or rounding; a percentile
/// out of range; a factor of importance that is negative or not finite), shape_mismatch and
/// null_data (importance); out_of_memory; cancelled; executor_failed. Complexity: O(rows·cols),
/// two passes over each group while it is in cache; some tens of them for mse and two-level scales,
/// many more for mse_optimal.
template <quantization_scheme S, real_element T, executor E = const serial_executor&>
[[nodiscard]] result<quantized_matrix<S>>
try_quantize(matrix_view<T> w, const quantize_options& options, E&& run = serial) noexcept {
    return detail::quantize_matrix<S>(w, options, run);
}
/// try_quantize with all options' defaults, for which less is compiled.
template <quantization_scheme S, real_element T, executor E>
[[nodiscard]] result<quantized_matrix<S>> try_quantize(matrix_view<T> w, E&& run) noexcept {
    return detail::quantize_matrix<S>(w, detail::default_options{}, run);
}
/// @copydoc try_quantize
template <quantization_scheme S, real_element T>
[[nodiscard]] result<quantized_matrix<S>> try_quantize(matrix_view<T> w) noexcept {
    return detail::quantize_matrix<S>(w, detail::default_options{}, serial);
}

#if QUANT_HAS_EXCEPTIONS
/// As try_quantize. @throws quant::error
template <quantization_scheme S, real_element T, executor E = const serial_executor&>
[[nodiscard]] quantized_matrix<S> quantize(matrix_view<T> w, const quantize_options& options,
                                           E&& run = serial) {
    return try_quantize<S>(w, options, run).value();
}
/// @copydoc quantize
template <quantization_scheme S, real_element T, executor E>
[[nodiscard]] quantized_matrix<S> quantize(matrix_view<T> w, E&& run) {
    return try_quantize<S>(w, run).value();
}
/// @copydoc quantize
template <quantization_scheme S, real_element T>
[[nodiscard]] quantized_matrix<S> quantize(matrix_view<T> w) {
    return try_quantize<S>(w).value();
}
#endif

} // namespace quant::inline QUANT_ABI
