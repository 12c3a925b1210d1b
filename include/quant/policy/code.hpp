// Code axis: how many bits a weight's code has and which levels the codes stand for.
//
// In storage a code is always unsigned, 0 … 2^bits − 1. A linear code's level is the code itself,
// shifted and scaled by the mapping (see mapping.hpp).
#pragma once

#include <quant/core/config.hpp>

#include <concepts>
#include <type_traits>

namespace quant::inline QUANT_VOCABULARY {

/// Equally spaced levels, B bits wide, 1 ≤ B ≤ 8.
template <int B>
struct int_code {
    static_assert(1 <= B && B <= 8, "quant: int_code holds 1 to 8 bits");
    static constexpr int bits = B;
    /// Number of steps between the first and the last level, 2^B − 1.
    static constexpr int max_code = (1 << B) - 1;
};

using int8 = int_code<8>;
using int7 = int_code<7>;
using int6 = int_code<6>;
using int5 = int_code<5>;
using int4 = int_code<4>;
using int3 = int_code<3>;
using int2 = int_code<2>;
using binary = int_code<1>;

template <class T>
inline constexpr bool is_code = false;
template <int B>
inline constexpr bool is_code<int_code<B>> = true;

/// A choice on the code axis.
template <class T>
concept code = is_code<T>;

} // namespace quant::inline QUANT_VOCABULARY
