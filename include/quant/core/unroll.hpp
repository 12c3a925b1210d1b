// Compile-time loops: bodies that must become straight code with constant indices.
#pragma once

#include <quant/core/config.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

#if defined(_MSC_VER) && !defined(__clang__)
#define QUANT_DETAIL_LAMBDA
#else
#define QUANT_DETAIL_LAMBDA __attribute__((always_inline))
#endif

namespace quant::inline QUANT_ABI {
namespace detail {

template <std::size_t I>
using index_constant = std::integral_constant<std::size_t, I>;

template <class F, std::size_t... I>
QUANT_DETAIL_INLINE constexpr void unroll_sequence(F& body, std::index_sequence<I...>) {
    (body(index_constant<I>{}), ...);
}

/// body(0), body(1) … body(N − 1), each index a compile-time constant.
template <std::size_t N, class F>
QUANT_DETAIL_INLINE constexpr void unroll(F&& body) {
    unroll_sequence(body, std::make_index_sequence<N>{});
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
