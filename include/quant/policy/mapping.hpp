// Mapping axis: which real number a stored code u, 0 … 2^B − 1, stands for.
//
//   symmetric       w = s·(u − 2^(B−1))           levels −2^(B−1) … 2^(B−1)−1
//   midrise         w = s·(2u − (2^B − 1))        levels ±1, ±3 … ±(2^B − 1); no zero
//   asymmetric      w = s·(u − z)                 integer zero point z, 0 … 2^B − 1, per group
//   asymmetric_min  w = s·u + m                   minimum m per group, in the scale's type
//
// s is the group's scale. A kernel works with integers t = multiplier·u − offset (or − z) and
// multiplies by s once per group.
#pragma once

#include <quant/core/config.hpp>

namespace quant::inline QUANT_VOCABULARY {

/// What a group stores besides its scale.
enum class group_offset { none, zero_point, minimum };

/// Levels −2^(B−1) … 2^(B−1)−1, so that zero is exact and no code is wasted.
struct symmetric {
    static constexpr group_offset stores = group_offset::none;
    static constexpr int multiplier = 1;
    template <int B>
    static constexpr int offset = 1 << (B - 1);
    /// The code whose level times a zero scale is +0.
    template <int B>
    static constexpr int zero_code = 1 << (B - 1);
};

/// Odd levels on both sides of zero; one bit is ±1.
struct midrise {
    static constexpr group_offset stores = group_offset::none;
    static constexpr int multiplier = 2;
    template <int B>
    static constexpr int offset = (1 << B) - 1;
    template <int B>
    static constexpr int zero_code = 1 << (B - 1);
};

/// An integer zero point per group, stored like a code: zero is exact wherever the group lies.
struct asymmetric {
    static constexpr group_offset stores = group_offset::zero_point;
    static constexpr int multiplier = 1;
    template <int B>
    static constexpr int offset = 0;
    template <int B>
    static constexpr int zero_code = 0;
};

/// A real minimum per group: the levels span exactly what the group holds.
struct asymmetric_min {
    static constexpr group_offset stores = group_offset::minimum;
    static constexpr int multiplier = 1;
    template <int B>
    static constexpr int offset = 0;
    template <int B>
    static constexpr int zero_code = 0;
};

template <class T>
inline constexpr bool is_mapping = false;
template <>
inline constexpr bool is_mapping<symmetric> = true;
template <>
inline constexpr bool is_mapping<midrise> = true;
template <>
inline constexpr bool is_mapping<asymmetric> = true;
template <>
inline constexpr bool is_mapping<asymmetric_min> = true;

/// A choice on the mapping axis.
template <class T>
concept mapping = is_mapping<T>;

} // namespace quant::inline QUANT_VOCABULARY
