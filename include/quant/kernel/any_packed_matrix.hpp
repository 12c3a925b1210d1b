// any_packed_matrix: packed weights whose scheme is known only at run time, such as a file's; and
// products with them, owned or viewed.
#pragma once

#include <quant/kernel/matmul.hpp>
#include <quant/pack/any_packed_view.hpp>
#include <quant/pack/pack.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>
#include <variant>

namespace quant::inline QUANT_ABI {

/// One of packed_matrix<Schemes>…: all kernels of the listed schemes, one switch per call.
template <quantization_scheme... Schemes>
class any_packed_matrix {
    static_assert(sizeof...(Schemes) > 0, "quant::any_packed_matrix needs at least one scheme");

public:
    /// Holds an empty matrix, 0 × 0, of the first scheme.
    any_packed_matrix() noexcept = default;

    template <quantization_scheme S>
        requires(std::same_as<S, Schemes> || ...)
    any_packed_matrix(packed_matrix<S> matrix) noexcept : matrix_(std::move(matrix)) {}

    [[nodiscard]] std::size_t rows() const noexcept { return view().rows(); }
    [[nodiscard]] std::size_t cols() const noexcept { return view().cols(); }
    [[nodiscard]] scheme_descriptor descriptor() const noexcept { return view().descriptor(); }
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
        return visit([](const auto& m) { return m.bytes(); });
    }
    [[nodiscard]] double nominal_bits() const noexcept { return view().nominal_bits(); }

    /// Views this matrix, which must outlive the view; a temporary has none.
    [[nodiscard]] any_packed_view<Schemes...> view() const& noexcept {
        return visit([](const auto& m) { return any_packed_view<Schemes...>(m.view()); });
    }
    any_packed_view<Schemes...> view() const&& = delete;
    operator any_packed_view<Schemes...>() const& noexcept { return view(); }
    operator any_packed_view<Schemes...>() const&& = delete;

    /// f(const packed_matrix<S>&) for the scheme held; f returns the same type for all.
    template <class F>
    decltype(auto) visit(F&& f) const {
        return std::visit(std::forward<F>(f), matrix_);
    }

    /// Quantizes and packs to the listed scheme that the descriptor names.
    /// Errors: unsupported if it is not listed; those of quantize.
    template <real_element T, executor E = const serial_executor&>
    [[nodiscard]] static result<any_packed_matrix>
    try_quantize(const scheme_descriptor& scheme, matrix_view<T> w,
                 const quantize_options& options = {}, E&& run = serial) noexcept {
        result<any_packed_matrix> made = detail::make_error(
            errc::unsupported, "any_packed_matrix: scheme",
            "%u-bit %s, groups of %u x %u, is not one of those listed", scheme.bits,
            to_string(scheme.mapping), scheme.group_rows, scheme.group_cols);
        const auto try_one = [&]<class S>(std::type_identity<S>) {
            if (scheme != describe<S>()) return false;
            auto packed = try_quantize_packed<S>(w, options, run);
            if (packed) {
                made = any_packed_matrix(std::move(*packed));
            } else {
                made = packed.failure();
            }
            return true;
        };
        static_cast<void>((try_one(std::type_identity<Schemes>{}) || ...));
        return made;
    }

#if QUANT_HAS_EXCEPTIONS
    /// As try_quantize. @throws quant::error
    template <real_element T, executor E = const serial_executor&>
    [[nodiscard]] static any_packed_matrix
    quantize(const scheme_descriptor& scheme, matrix_view<T> w,
             const quantize_options& options = {}, E&& run = serial) {
        return try_quantize(scheme, w, options, run).value();
    }
#endif

private:
    std::variant<packed_matrix<Schemes>...> matrix_;
};

/// @copydoc try_matmul
/// With weights of a scheme known at run time; x cannot be packed in advance.
template <class A = automatic, class X, quantization_scheme... Schemes, real_element Y,
          class... Args>
    requires(detail::is_matrix_view<X> && (detail::product_argument<Args> && ...))
[[nodiscard]] result<void> try_matmul(const X& x, const any_packed_view<Schemes...>& w,
                                      matrix_view<Y> y, Args&&... args) noexcept {
    return w.visit([&](const auto& held) { return try_matmul<A>(x, held, y, args...); });
}
/// @copydoc try_matmul
template <class A = automatic, class X, quantization_scheme... Schemes, real_element Y,
          class... Args>
    requires(detail::is_matrix_view<X> && (detail::product_argument<Args> && ...))
[[nodiscard]] result<void> try_matmul(const X& x, const any_packed_matrix<Schemes...>& w,
                                      matrix_view<Y> y, Args&&... args) noexcept {
    return try_matmul<A>(x, w.view(), y, args...);
}

/// @copydoc try_gather_rows
template <quantization_scheme... Schemes, row_index I, real_element T,
          executor E = const serial_executor&>
[[nodiscard]] result<void> try_gather_rows(const any_packed_matrix<Schemes...>& p,
                                           std::span<I> rows, matrix_view<T> out,
                                           E&& run = serial) noexcept {
    return try_gather_rows(p.view(), rows, out, run);
}

#if QUANT_HAS_EXCEPTIONS
/// As try_matmul. @throws quant::error
template <class A = automatic, class X, quantization_scheme... Schemes, real_element Y,
          class... Args>
    requires(detail::is_matrix_view<X> && (detail::product_argument<Args> && ...))
void matmul(const X& x, const any_packed_view<Schemes...>& w, matrix_view<Y> y, Args&&... args) {
    try_matmul<A>(x, w, y, args...).value();
}
/// As try_matmul. @throws quant::error
template <class A = automatic, class X, quantization_scheme... Schemes, real_element Y,
          class... Args>
    requires(detail::is_matrix_view<X> && (detail::product_argument<Args> && ...))
void matmul(const X& x, const any_packed_matrix<Schemes...>& w, matrix_view<Y> y, Args&&... args) {
    try_matmul<A>(x, w.view(), y, args...).value();
}
/// @copydoc gather_rows
template <quantization_scheme... Schemes, row_index I, real_element T,
          executor E = const serial_executor&>
void gather_rows(const any_packed_matrix<Schemes...>& p, std::span<I> rows, matrix_view<T> out,
                 E&& run = serial) {
    try_gather_rows(p.view(), rows, out, run).value();
}
#endif

} // namespace quant::inline QUANT_ABI
