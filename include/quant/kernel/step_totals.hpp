// Totals of a step as floats, from exact sums of both halves of activations, or of the only one.
#pragma once

#include <quant/policy/activations.hpp>
#include <quant/simd/lanes.hpp>

#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// A step's dot product as float, from sums of both halves of activations, or of the only one:
/// exact integers, rounded once.
template <activation A>
QUANT_DETAIL_INLINE simd::f32x16 total_of(const simd::i32x16& low,
                                          const simd::i32x16& high) noexcept {
    if constexpr (A::halves == 1) return simd::to_float(low);
    return simd::fma(simd::to_float(high), simd::broadcast(256.0f), simd::to_float(low));
}
/// Σ x̂ of a step from the sums of activations' halves, one lane per token.
template <activation A>
QUANT_DETAIL_INLINE simd::native<float>
activation_total(const simd::native<std::int32_t> (&sums)[A::halves]) noexcept {
    if constexpr (A::halves == 1) return simd::native_to_float(sums[0]);
    return simd::native_to_float(sums[0] + simd::native_shift_left<8>(sums[A::halves - 1]));
}
/// The same of one token.
template <activation A>
QUANT_DETAIL_INLINE float activation_total(const std::int32_t (&sums)[A::halves]) noexcept {
    if constexpr (A::halves == 1) return static_cast<float>(sums[0]);
    return static_cast<float>(sums[0] + 256 * sums[A::halves - 1]);
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
