// Rows of any view as contiguous floats.
#pragma once

#include <quant/core/matrix_view.hpp>
#include <quant/simd/convert.hpp>

#include <cmath>
#include <cstddef>
#include <type_traits>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Whether rows of a view can be read as floats where they lie.
template <class T>
[[nodiscard]] bool rows_are_floats(const matrix_view<T>& view) noexcept {
    return std::is_same_v<std::remove_const_t<T>, float> &&
           (view.col_stride() == 1 || view.cols() == 1);
}

/// Row r as contiguous floats: in place where possible, else converted into `scratch`.
template <class T>
[[nodiscard]] const float* row_as_floats(const matrix_view<T>& view, std::size_t r,
                                         float* scratch) noexcept {
    using element = std::remove_const_t<T>;
    const element* row = view.row(r);
    if constexpr (std::is_same_v<element, float>) {
        if (rows_are_floats(view)) return row;
    }
    std::size_t c = 0;
    if (view.col_stride() == 1) {
        for (; c + 16 <= view.cols(); c += 16) {
            simd::store(scratch + c, simd::load_as_float<element>(row + c));
        }
    }
    for (; c < view.cols(); ++c) {
        scratch[c] = static_cast<float>(load_element(row + c * view.col_stride()));
    }
    return scratch;
}

/// Names what is wrong in row r: the first of n ≥ 1 elements, of which one at least is not finite,
/// that is not. Rows are called `rows`.
[[nodiscard]] inline error non_finite_element(const float* values, std::size_t n, std::size_t row,
                                              std::size_t first_col, const char* where,
                                              const char* rows = "row") noexcept {
    std::size_t i = 0;
    while (i + 1 < n && std::isfinite(load_element(values + i))) ++i;
    const float value = load_element(values + i);
    return make_error(errc::non_finite, where, "%s at %s %zu, column %zu",
                      std::isnan(value) ? "NaN" : "infinity", rows, row, first_col + i);
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
