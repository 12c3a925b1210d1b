// any_packed_view: packed weights in somebody else's memory whose scheme is known only at run time.
#pragma once

#include <quant/pack/gather_rows.hpp>
#include <quant/pack/packed_matrix.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>

namespace quant::inline QUANT_ABI {

/// One of packed_view<Schemes>…: a value to pass around, as they are. An any_packed_matrix converts
/// to one.
template <quantization_scheme... Schemes>
class any_packed_view {
    static_assert(sizeof...(Schemes) > 0, "quant::any_packed_view needs at least one scheme");

public:
    /// Views nothing, 0 × 0, in the first scheme.
    any_packed_view() noexcept = default;

    template <quantization_scheme S>
        requires(std::same_as<S, Schemes> || ...)
    any_packed_view(packed_view<S> view) noexcept : view_(view) {}

    [[nodiscard]] std::size_t rows() const noexcept {
        return visit([](const auto& v) { return v.rows(); });
    }
    [[nodiscard]] std::size_t cols() const noexcept {
        return visit([](const auto& v) { return v.cols(); });
    }
    [[nodiscard]] scheme_descriptor descriptor() const noexcept {
        return visit([]<class S>(const packed_view<S>&) { return describe<S>(); });
    }
    [[nodiscard]] double nominal_bits() const noexcept {
        return visit([](const auto& v) { return v.nominal_bits(); });
    }

    /// f(const packed_view<S>&) for the scheme held; f returns the same type for all.
    template <class F>
    decltype(auto) visit(F&& f) const {
        return std::visit(std::forward<F>(f), view_);
    }

    /// Views packed bytes that were stored or mapped, in the listed scheme that their header names;
    /// see try_packed_view_of.
    /// Errors: unsupported if it is not listed; those of try_packed_view_of.
    [[nodiscard]] static result<any_packed_view> try_of(std::span<const std::byte> bytes) noexcept {
        const auto header = read_packed_header(bytes);
        if (!header) return header.failure();
        result<any_packed_view> made = detail::make_error(
            errc::unsupported, "packed bytes", "hold %s, which is not one of the schemes listed",
            detail::scheme_text(header->scheme).text);
        const auto try_one = [&]<class S>(std::type_identity<S>) {
            if (header->scheme != describe<S>()) return false;
            const auto view = try_packed_view_of<S>(bytes);
            if (view) {
                made = any_packed_view(*view);
            } else {
                made = view.failure();
            }
            return true;
        };
        static_cast<void>((try_one(std::type_identity<Schemes>{}) || ...));
        return made;
    }

#if QUANT_HAS_EXCEPTIONS
    /// As try_of. @throws quant::error
    [[nodiscard]] static any_packed_view of(std::span<const std::byte> bytes) {
        return try_of(bytes).value();
    }
#endif

private:
    std::variant<packed_view<Schemes>...> view_;
};

/// @copydoc try_gather_rows
template <quantization_scheme... Schemes, row_index I, real_element T,
          executor E = const serial_executor&>
[[nodiscard]] result<void> try_gather_rows(const any_packed_view<Schemes...>& p, std::span<I> rows,
                                           matrix_view<T> out, E&& run = serial) noexcept {
    return p.visit([&](const auto& held) { return try_gather_rows(held, rows, out, run); });
}

#if QUANT_HAS_EXCEPTIONS
/// @copydoc gather_rows
template <quantization_scheme... Schemes, row_index I, real_element T,
          executor E = const serial_executor&>
void gather_rows(const any_packed_view<Schemes...>& p, std::span<I> rows, matrix_view<T> out,
                 E&& run = serial) {
    try_gather_rows(p, rows, out, run).value();
}
#endif

} // namespace quant::inline QUANT_ABI
