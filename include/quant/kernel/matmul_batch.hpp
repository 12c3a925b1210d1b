// matmul_batch and grouped_matmul: many products at the price of one parallel region, as the
// experts of a mixture or Q, K and V of attention need them.
#pragma once

#include <quant/kernel/batch.hpp>

#include <concepts>
#include <cstddef>
#include <iterator>
#include <span>
#include <type_traits>

namespace quant::inline QUANT_ABI {
namespace detail {

template <class T>
inline constexpr bool is_product = false;
template <class S, class X, class Y>
inline constexpr bool is_product<product<S, X, Y>> = true;

/// Elements of a vector, array or span.
template <class Range>
using element_of = std::remove_cvref_t<decltype(*std::data(std::declval<const Range&>()))>;

template <class Range>
concept product_range = requires(const Range& r) {
    std::span<const element_of<Range>>(std::data(r), std::size(r));
} && is_product<element_of<Range>>;

template <class T>
inline constexpr bool is_packed_weights = false;
template <class S>
inline constexpr bool is_packed_weights<packed_view<S>> = true;
template <class S>
inline constexpr bool is_packed_weights<packed_matrix<S>> = true;

template <class Range>
concept packed_range = requires(const Range& r) {
    std::span<const element_of<Range>>(std::data(r), std::size(r));
} && is_packed_weights<element_of<Range>>;

/// Checks the rows of grouped products: ends that do not fall and reach the last row.
[[nodiscard]] inline result<void> check_row_ends(std::span<const std::size_t> ends,
                                                 std::size_t experts, std::size_t rows) noexcept {
    constexpr const char* where = "grouped_matmul: row_ends";
    if (ends.size() != experts) {
        return make_error(errc::shape_mismatch, where, "%zu ends for %zu experts", ends.size(),
                          experts);
    }
    std::size_t before = 0;
    for (std::size_t e = 0; e < ends.size(); ++e) {
        if (ends[e] < before || ends[e] > rows) {
            return make_error(errc::invalid_argument, where,
                              "%zu at %zu, after %zu and with %zu rows", ends[e], e, before, rows);
        }
        before = ends[e];
    }
    if (before == rows) return {};
    return make_error(errc::shape_mismatch, where, "the last is %zu, x has %zu rows", before, rows);
}

/// Rows first … last − 1 of a view.
template <class T>
[[nodiscard]] matrix_view<T> rows_between(const matrix_view<T>& view, std::size_t first,
                                          std::size_t last) noexcept {
    if (first == last) return {view.data(), 0, view.cols(), view.row_stride(), view.col_stride()};
    return {view.row(first), last - first, view.cols(), view.row_stride(), view.col_stride()};
}

template <class A, class X, class Experts, class Y, class... Args>
[[nodiscard]] result<void> run_grouped(const matrix_view<const X>& x, const Experts& experts,
                                       std::span<const std::size_t> ends, const matrix_view<Y>& y,
                                       Args&... args) noexcept {
    using S = typename element_of<Experts>::scheme_type;
    if (auto valid = check_row_ends(ends, std::size(experts), x.rows()); !valid) return valid;
    if (y.rows() != x.rows()) {
        return make_error(errc::shape_mismatch, "grouped_matmul: y", "%zu rows, x has %zu",
                          y.rows(), x.rows());
    }
    if (x.rows() == 0) return {};
    if (auto valid = check_readable(x, "grouped_matmul: x"); !valid) return valid;
    if (auto valid = check_writable(y, "grouped_matmul: y"); !valid) return valid;
    const auto expert = [&](std::size_t e) noexcept {
        const std::size_t first = e == 0 ? 0 : ends[e - 1];
        return product<S, X, Y>(rows_between(x, first, ends[e]),
                                packed_view<S>(std::data(experts)[e]),
                                rows_between(y, first, ends[e]));
    };
    return run_batch<A, S>(ends.size(), expert, {"grouped_matmul", "expert"}, args...);
}

} // namespace detail

/// Several products, as matmul computes each: yᵢ = xᵢ · wᵢᵀ, of any shapes, in two parallel regions
/// at most, however many there are.
///
/// One region quantizes the activations of all products, one multiplies; tasks are divided by work,
/// across the products. Products that follow one another with the same x and rows (Q, K and V)
/// quantize them once. Products without tokens (an expert that nobody chose: y without rows) are
/// skipped, whatever their x and w. The results have the bits of separate calls of matmul.
///
/// Arguments after the products are those of matmul, in any order, and apply to each product:
/// stages see its own tokens and outputs; numbers per output (bias) or per column must fit them
/// all; accumulate adds each product's own y. Outputs must not overlap one another, x or scratch.
///
/// @param products  quant::product of one type, in a vector, array or span
///
/// Errors: those of matmul, which name the product ("matmul_batch: item 3: w"); invalid_argument
/// for a row that x does not have. On an error the outputs are unspecified. Complexity: that of the
/// products; one allocation per call, none with a scratch.
template <class A = automatic, detail::product_range Products, class... Args>
    requires(detail::product_argument<Args> && ...)
[[nodiscard]] result<void> try_matmul_batch(const Products& products, Args&&... args) noexcept {
    using scheme = typename decltype(detail::element_of<Products>::w)::scheme_type;
    const auto item_at = [&](std::size_t i) noexcept { return std::data(products)[i]; };
    return detail::run_batch<A, scheme>(std::size(products), item_at, {"matmul_batch", "item"},
                                        args...);
}

/// Rows of x, sorted by expert, times the weights of their expert: rows row_ends[e − 1] …
/// row_ends[e] − 1 of y are those rows of x times experts[e]ᵀ.
///
/// The batch of these products; see matmul_batch for its arguments, bits and cost.
///
/// @param x         tokens × in, any strides
/// @param experts   packed_view or packed_matrix, out × in each, in a vector, array or span
/// @param row_ends  the row after each expert's last, of which the last is the number of tokens; an
///                  expert without rows ends where the one before it does
/// @param y         tokens × out, columns side by side
///
/// Errors: those of matmul_batch ("grouped_matmul: expert 3: w"); shape_mismatch and
/// invalid_argument for row_ends.
template <class A = automatic, real_element X, detail::packed_range Experts, real_element Y,
          class... Args>
    requires(detail::product_argument<Args> && ...)
[[nodiscard]] result<void> try_grouped_matmul(matrix_view<X> x, const Experts& experts,
                                              std::span<const std::size_t> row_ends,
                                              matrix_view<Y> y, Args&&... args) noexcept {
    return detail::run_grouped<A, std::remove_const_t<X>>(x, experts, row_ends, y, args...);
}

#if QUANT_HAS_EXCEPTIONS
/// As try_matmul_batch. @throws quant::error
template <class A = automatic, detail::product_range Products, class... Args>
    requires(detail::product_argument<Args> && ...)
void matmul_batch(const Products& products, Args&&... args) {
    try_matmul_batch<A>(products, args...).value();
}
/// As try_grouped_matmul. @throws quant::error
template <class A = automatic, real_element X, detail::packed_range Experts, real_element Y,
          class... Args>
    requires(detail::product_argument<Args> && ...)
void grouped_matmul(matrix_view<X> x, const Experts& experts, std::span<const std::size_t> row_ends,
                    matrix_view<Y> y, Args&&... args) {
    try_grouped_matmul<A>(x, experts, row_ends, y, args...).value();
}
#endif

} // namespace quant::inline QUANT_ABI
