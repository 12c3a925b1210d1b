// How far an approximation is from a reference: squared error, signal to noise, largest error,
// direction; of a whole tensor and of each row.
#pragma once

#include <quant/core/buffer.hpp>
#include <quant/core/executor.hpp>
#include <quant/core/matrix_view.hpp>
#include <quant/core/row_ranges.hpp>
#include <quant/core/run_tasks.hpp>
#include <quant/simd/doubles.hpp>
#include <quant/simd/rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace quant::inline QUANT_VOCABULARY {

/// Sums over pairs of a reference w and its approximation q, from which all metrics follow; sums of
/// parts of a tensor merge into sums of the whole.
///
/// w and q are exact in double, so are w², q² and w·q; w − q and its square are rounded once each,
/// relative error 2^−53. No sum overflows, whatever floats it is of.
struct error_sums {
    std::uint64_t count = 0;          ///< pairs
    double squared_error = 0;         ///< Σ (w − q)²
    double squared_reference = 0;     ///< Σ w²
    double squared_approximation = 0; ///< Σ q²
    double product = 0;               ///< Σ w·q
    double max_abs_error = 0;         ///< max |w − q|

    /// Adds the sums of other pairs; rounds once each, max_abs_error is exact.
    QUANT_DETAIL_INLINE constexpr void merge(const error_sums& other) noexcept {
        count += other.count;
        squared_error += other.squared_error;
        squared_reference += other.squared_reference;
        squared_approximation += other.squared_approximation;
        product += other.product;
        max_abs_error = std::max(max_abs_error, other.max_abs_error);
    }

    /// Mean squared error, Σ (w − q)² / count; 0 of nothing.
    [[nodiscard]] QUANT_DETAIL_INLINE constexpr double mse() const noexcept {
        return count == 0 ? 0.0 : squared_error / static_cast<double>(count);
    }
    /// Relative root mean square error, ‖w − q‖ / ‖w‖. Of a zero reference: 0 if q is zero, too,
    /// else infinity.
    [[nodiscard]] QUANT_DETAIL_INLINE double relative_rms() const noexcept {
        if (squared_error == 0) return 0.0;
        if (squared_reference == 0) return std::numeric_limits<double>::infinity();
        return std::sqrt(squared_error / squared_reference);
    }
    /// Signal to quantization noise ratio in decibels, 10·log₁₀(Σ w² / Σ (w − q)²). Infinity
    /// if w = q, zeros included; −infinity if w is zero and q is not.
    [[nodiscard]] QUANT_DETAIL_INLINE double sqnr_db() const noexcept {
        if (squared_error == 0) return std::numeric_limits<double>::infinity();
        if (squared_reference == 0) return -std::numeric_limits<double>::infinity();
        return 10.0 * std::log10(squared_reference / squared_error);
    }
    /// Cosine of the angle between w and q, Σ w·q / (‖w‖·‖q‖), within −1 … 1; exactly 1 if w = q.
    /// 1 if both are zero, 0 if one is.
    [[nodiscard]] QUANT_DETAIL_INLINE double cosine_similarity() const noexcept {
        if (squared_reference == 0 && squared_approximation == 0) return 1.0;
        if (squared_reference == 0 || squared_approximation == 0) return 0.0;
        const double norms = std::sqrt(squared_reference * squared_approximation);
        return std::clamp(product / norms, -1.0, 1.0);
    }

    friend constexpr bool operator==(const error_sums&, const error_sums&) noexcept = default;
};

} // namespace quant::inline QUANT_VOCABULARY

namespace quant::inline QUANT_ABI {
namespace detail {

/// The eight running sums of a row: lane j has the columns c with c mod 8 = j, in ascending order.
struct error_lanes {
    simd::f64x8 squared_error = simd::broadcast_f64(0);
    simd::f64x8 squared_reference = simd::broadcast_f64(0);
    simd::f64x8 squared_approximation = simd::broadcast_f64(0);
    simd::f64x8 product = simd::broadcast_f64(0);
    simd::f64x8 max_abs_error = simd::broadcast_f64(0);

    QUANT_DETAIL_INLINE void add(const simd::f64x8& w, const simd::f64x8& q) noexcept {
        const simd::f64x8 error = w - q;
        squared_error = squared_error + simd::rounded_product(error, error);
        squared_reference = squared_reference + w * w;
        squared_approximation = squared_approximation + q * q;
        product = product + w * q;
        max_abs_error = simd::max_magnitude(error, max_abs_error);
    }
    QUANT_DETAIL_INLINE void add(const simd::f32x16& w, const simd::f32x16& q) noexcept {
        add(simd::widen_half<false>(w), simd::widen_half<false>(q));
        add(simd::widen_half<true>(w), simd::widen_half<true>(q));
    }
};

/// The first n < 16 elements as floats, zeros after them.
template <class T>
QUANT_DETAIL_INLINE simd::f32x16 load_rest(const T* from, std::size_t n) noexcept {
    T elements[16] = {};
    std::memcpy(static_cast<void*>(elements), static_cast<const void*>(from), n * sizeof(T));
    return simd::load_as_float<T>(elements);
}

/// Sums over one row of contiguous elements.
template <class T, class U>
[[nodiscard]] error_sums sum_errors(const T* w, const U* q, std::size_t n) noexcept {
    error_lanes lanes;
    std::size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        lanes.add(simd::load_as_float<T>(w + i), simd::load_as_float<U>(q + i));
    }
    if (i < n) lanes.add(load_rest(w + i, n - i), load_rest(q + i, n - i));
    error_sums sums;
    sums.count = n;
    sums.squared_error = simd::sum_of_lanes(lanes.squared_error);
    sums.squared_reference = simd::sum_of_lanes(lanes.squared_reference);
    sums.squared_approximation = simd::sum_of_lanes(lanes.squared_approximation);
    sums.product = simd::sum_of_lanes(lanes.product);
    sums.max_abs_error = simd::greatest_lane(lanes.max_abs_error);
    return sums;
}

/// Row r of a view as contiguous elements: where they lie, or as floats in `scratch`.
template <class T, class F>
QUANT_DETAIL_INLINE auto with_row(const matrix_view<T>& view, std::size_t r, float* scratch,
                                  F&& f) {
    if (view.col_stride() == 1 || view.cols() == 1) return f(view.row(r));
    return f(row_as_floats(view, r, scratch));
}

/// Names the first element of row r that is not finite.
template <class T>
[[nodiscard]] error non_finite_in_row(const matrix_view<T>& view, std::size_t r, const char* where,
                                      const char* rows = "row") noexcept {
    std::size_t c = 0;
    float value = 0;
    for (; c < view.cols(); ++c) {
        value = static_cast<float>(load_element(view.row(r) + c * view.col_stride()));
        if (!std::isfinite(value)) break;
    }
    return non_finite_element(&value, 1, r, c, where, rows);
}

/// Sums of each row, into `rows`.
template <class T, class U>
[[nodiscard]] result<void> sum_errors_by_row(const matrix_view<T>& w, const matrix_view<U>& q,
                                             error_sums* rows, const executor_ref& run) noexcept {
    constexpr const char* w_where = "measure_error: reference";
    constexpr const char* q_where = "measure_error: approximation";
    const std::size_t per_task = rows_per_task(w.rows(), w.cols(), run.concurrency(), 1);
    const std::size_t width =
        w.cols() * ((w.col_stride() == 1 ? 0u : 1u) + (q.col_stride() == 1 ? 0u : 1u));
    return for_each_row_range(
        run, w.rows(), per_task, "measure_error",
        [&](std::size_t first, std::size_t last) -> result<void> {
            auto scratch = buffer<float>::uninitialized(width, "measure_error");
            if (!scratch) return scratch.failure();
            float* const q_scratch = scratch->data() + (width > w.cols() ? w.cols() : 0);
            for (std::size_t r = first; r < last; ++r) {
                rows[r] = with_row(w, r, scratch->data(), [&](const auto* w_row) {
                    return with_row(q, r, q_scratch, [&](const auto* q_row) {
                        return sum_errors(w_row, q_row, w.cols());
                    });
                });
                if (!std::isfinite(rows[r].squared_reference)) {
                    return non_finite_in_row(w, r, w_where);
                }
                if (!std::isfinite(rows[r].squared_approximation)) {
                    return non_finite_in_row(q, r, q_where);
                }
            }
            return {};
        });
}

template <class T, class U>
[[nodiscard]] result<void> check_pair(const matrix_view<T>& w, const matrix_view<U>& q,
                                      const char* w_where, const char* q_where) noexcept {
    if (auto valid = check_readable(w, w_where); !valid) return valid;
    if (auto valid = check_readable(q, q_where); !valid) return valid;
    if (w.rows() != q.rows() || w.cols() != q.cols()) {
        return make_error(errc::shape_mismatch, q_where, "%zu x %zu, the reference is %zu x %zu",
                          q.rows(), q.cols(), w.rows(), w.cols());
    }
    return {};
}

} // namespace detail

/// The errors of one tensor: of the whole and of each row, with a name for reports. Move only.
class tensor_report {
public:
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] std::size_t rows() const noexcept { return by_row_.size(); }
    [[nodiscard]] std::size_t cols() const noexcept { return cols_; }
    /// Sums over all rows: those of row 0, then merged with row 1, 2 and so on.
    [[nodiscard]] const error_sums& total() const noexcept { return total_; }
    /// Sums over each row.
    [[nodiscard]] std::span<const error_sums> by_row() const noexcept { return by_row_.span(); }

    /// Measures as try_measure_error does; the same errors.
    template <real_element T, real_element U, executor E = const serial_executor&>
    [[nodiscard]] static result<tensor_report>
    try_measure(std::string_view name, matrix_view<T> reference, matrix_view<U> approximation,
                E&& run = serial) noexcept {
        auto valid = detail::check_pair(reference, approximation, "measure_error: reference",
                                        "measure_error: approximation");
        if (!valid) return valid.failure();
        return detail::guarded("measure_error", [&]() -> result<tensor_report> {
            tensor_report made;
            made.name_ = name;
            made.cols_ = reference.cols();
            auto rows =
                detail::buffer<error_sums>::uninitialized(reference.rows(), "measure_error");
            if (!rows) return rows.failure();
            made.by_row_ = *std::move(rows);
            error_sums* const sums = made.by_row_.data();
            auto done = detail::sum_errors_by_row(reference, approximation, sums, run);
            if (!done) return done.failure();
            made.total_ = sums[0];
            for (std::size_t r = 1; r < made.rows(); ++r) made.total_.merge(sums[r]);
            return made;
        });
    }
#if QUANT_HAS_EXCEPTIONS
    /// As try_measure. @throws quant::error
    template <real_element T, real_element U, executor E = const serial_executor&>
    [[nodiscard]] static tensor_report measure(std::string_view name, matrix_view<T> reference,
                                               matrix_view<U> approximation, E&& run = serial) {
        return try_measure(name, reference, approximation, run).value();
    }
#endif

private:
    std::string name_;
    std::size_t cols_ = 0;
    error_sums total_;
    detail::buffer<error_sums> by_row_;
};

/// Measures an approximation q of a reference w, both rows × cols: sums of the whole tensor and of
/// each row.
///
/// A row is summed in eight lanes, lane j over the columns c with c mod 8 = j in ascending order;
/// lanes are then added as ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)), and rows in ascending order.
/// All in double, and the same bits for every number of threads, instruction set, element type that
/// holds the same numbers, and stride. Relative error of a row's sums of squares: at most
/// (⌈cols / 8⌉ + 5)·2^−53; of the tensor's: rows·2^−53 more.
///
/// @param reference      float, fp16 or bf16; any strides, any alignment
/// @param approximation  likewise, of any of these types
/// @param run            executor; rows are split over it
///
/// Errors: empty, null_data, size_overflow, shape_mismatch; non_finite (names row and column; the
/// lowest row first, the reference before the approximation); out_of_memory; executor_failed.
/// Complexity: O(rows·cols), one pass; 48 bytes per row.
template <real_element T, real_element U, executor E = const serial_executor&>
[[nodiscard]] result<error_sums> try_measure_error(matrix_view<T> reference,
                                                   matrix_view<U> approximation,
                                                   E&& run = serial) noexcept {
    auto report = tensor_report::try_measure({}, reference, approximation, run);
    if (!report) return report.failure();
    return report->total();
}

#if QUANT_HAS_EXCEPTIONS
/// As try_measure_error. @throws quant::error
template <real_element T, real_element U, executor E = const serial_executor&>
[[nodiscard]] error_sums measure_error(matrix_view<T> reference, matrix_view<U> approximation,
                                       E&& run = serial) {
    return try_measure_error(reference, approximation, run).value();
}
#endif

} // namespace quant::inline QUANT_ABI
