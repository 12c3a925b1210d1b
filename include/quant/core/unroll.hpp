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

/// Before a loop whose count is a constant of at most 16: it becomes straight code, too, and arrays
/// that it indexes become registers (g++: from -O2 on; MSVC: as it sees fit). For indices that need
/// not be constants: compilers have a function less for each than with unroll().
#if defined(__clang__)
#define QUANT_DETAIL_UNROLLED _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define QUANT_DETAIL_UNROLLED _Pragma("GCC unroll 16")
#else
#define QUANT_DETAIL_UNROLLED
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
    // Compilers optimize every function that they inline, with all that it has inlined itself: a
    // function less around the loops of a kernel is a twentieth of the time that it takes.
    if constexpr (N <= 16) {
        if constexpr (N > 0) body(index_constant<0>{});
        if constexpr (N > 1) body(index_constant<1>{});
        if constexpr (N > 2) body(index_constant<2>{});
        if constexpr (N > 3) body(index_constant<3>{});
        if constexpr (N > 4) body(index_constant<4>{});
        if constexpr (N > 5) body(index_constant<5>{});
        if constexpr (N > 6) body(index_constant<6>{});
        if constexpr (N > 7) body(index_constant<7>{});
        if constexpr (N > 8) body(index_constant<8>{});
        if constexpr (N > 9) body(index_constant<9>{});
        if constexpr (N > 10) body(index_constant<10>{});
        if constexpr (N > 11) body(index_constant<11>{});
        if constexpr (N > 12) body(index_constant<12>{});
        if constexpr (N > 13) body(index_constant<13>{});
        if constexpr (N > 14) body(index_constant<14>{});
        if constexpr (N > 15) body(index_constant<15>{});
    } else {
        unroll_sequence(body, std::make_index_sequence<N>{});
    }
}

/// f(n), n of 1 … Largest, as a compile-time constant.
template <std::size_t Largest, class F>
QUANT_DETAIL_INLINE void with_constant(std::size_t n, F&& f) {
    if constexpr (Largest > 1) {
        if (n < Largest) return with_constant<Largest - 1>(n, f);
    }
    f(index_constant<Largest>{});
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
