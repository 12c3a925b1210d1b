// Activations as codes, sixteen at a time, and their scales.
#pragma once

#include <quant/core/bit_cast.hpp>
#include <quant/policy/activations.hpp>
#include <quant/simd/convert.hpp>
#include <quant/simd/reduce.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Magnitudes as integers in the same order; those of numbers that are not finite are the largest.
QUANT_DETAIL_INLINE simd::i32x16 magnitude_bits(const simd::f32x16& v) noexcept {
    return simd::float_to_bits(v) & simd::broadcast<std::int32_t>(0x7FFFFFFF);
}
inline constexpr std::int32_t infinity_bits = 0x7F800000;

/// magnitude_bits of n numbers, the largest of them in some lane.
QUANT_DETAIL_INLINE simd::i32x16 largest_magnitudes(const float* x, std::size_t n) noexcept {
    simd::i32x16 largest[4];
    for (auto& l : largest) l = simd::broadcast<std::int32_t>(0);
    std::size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        unroll<4>([&](auto j) QUANT_DETAIL_LAMBDA {
            largest[j] = simd::max(largest[j], magnitude_bits(simd::load<float>(x + i + 16 * j)));
        });
    }
    for (; i < n; i += 16) {
        const std::size_t count = std::min<std::size_t>(16, n - i);
        largest[0] = simd::max(
            largest[0], magnitude_bits(count == 16 ? simd::load<float>(x + i)
                                                   : simd::load_partial<float>(x + i, count)));
    }
    return simd::max(simd::max(largest[0], largest[1]), simd::max(largest[2], largest[3]));
}

/// max |x|; NaN or infinity if any of the numbers is.
[[nodiscard]] inline float largest_magnitude(const float* x, std::size_t n) noexcept {
    return core_detail::bit_cast<float>(simd::reduce_max(largest_magnitudes(x, n)));
}

/// Scale of activations of magnitude up to `largest`.
template <activation A>
[[nodiscard]] float activation_scale(float largest) noexcept {
    const float scale = largest / static_cast<float>(A::max_code);
    return scale < 0x1p-126f ? 0.0f : scale;
}

/// @copydoc activation_scale
template <activation A>
QUANT_DETAIL_INLINE simd::f32x16 activation_scales(const simd::f32x16& largest) noexcept {
    const auto scale = largest / simd::broadcast(static_cast<float>(A::max_code));
    return simd::select_greater(simd::broadcast(0x1p-126f), scale, simd::broadcast(0.0f), scale);
}

/// What activations are multiplied with instead of being divided by their scale; 0 for 0.
[[nodiscard]] inline float inverse_scale(float scale) noexcept {
    return scale == 0 ? 0.0f : 1.0f / scale;
}
/// @copydoc inverse_scale
QUANT_DETAIL_INLINE simd::f32x16 inverse_scales(const simd::f32x16& scale) noexcept {
    const auto zero = simd::broadcast(0.0f);
    return simd::select_greater(scale, zero, simd::broadcast(1.0f) / scale, zero);
}

/// Sixteen activations as codes; lanes beyond n ≤ 16 are 0. Clamp: some may exceed what the scale
/// is for. Where it is that of the largest among them, none does: with scale, inverse and product
/// each rounded once, the product is at most max_code·(1 + 2^-22).
template <activation A, bool Clamp = true>
QUANT_DETAIL_INLINE simd::i32x16 encode_activations(const float* x, std::size_t n,
                                                    const simd::f32x16& inverse) noexcept {
    const auto values = n == 16 ? simd::load<float>(x) : simd::load_partial<float>(x, n);
    const auto codes = simd::nearest(values * inverse);
    if constexpr (!Clamp) return codes;
    const auto last = simd::broadcast<std::int32_t>(A::max_code);
    const auto first = simd::broadcast<std::int32_t>(-A::max_code);
    return simd::min(simd::max(codes, first), last);
}

/// A code as 256·high + low with low in −128 … 127.
struct code_halves {
    simd::i32x16 low, high;

    QUANT_DETAIL_INLINE explicit code_halves(const simd::i32x16& code) noexcept
        : high(simd::shift_right_signed<8>(code + simd::broadcast(128))) {
        low = code - simd::shift_left<8>(high);
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
