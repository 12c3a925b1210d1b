// Sixteen minifloats or powers of two, one per lane, from and to floats: the same bits as the
// conversions of core/minifloat.hpp.
#pragma once

#include <quant/core/minifloat.hpp>
#include <quant/simd/lanes.hpp>

#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace simd {

/// Finite minifloats' bits in the lanes, widened exactly. Touches no subnormal floats, which cost
/// some processors a hundred cycles.
template <int E, int M>
QUANT_DETAIL_INLINE f32x16 widen_finite(const i32x16& bits) noexcept {
    using number = minifloat<E, M>;
    constexpr std::int32_t one = 1 << 23;
    const auto magnitude = bits & broadcast<std::int32_t>(number::sign_bit - 1);
    const auto sign = shift_left<31 - E - M>(bits & broadcast<std::int32_t>(number::sign_bit));
    // A subnormal number takes the least normal exponent, whose hidden bit is then taken away.
    const auto least_normal = broadcast<std::int32_t>(1 << M);
    const auto hidden = bits_to_float(broadcast<std::int32_t>((128 - number::bias) * one));
    const auto none = broadcast<std::int32_t>(0);
    const auto up = select_greater(least_normal, magnitude, broadcast(one), none);
    const auto surplus =
        bits_to_float(select_greater(least_normal, magnitude, float_to_bits(hidden), none));
    const auto exponent = broadcast<std::int32_t>((127 - number::bias) * one);
    const auto value = bits_to_float(shift_left<23 - M>(magnitude) + exponent + up) - surplus;
    return bits_to_float(float_to_bits(value) | sign);
}

/// Bits of the nearest minifloat of finite floats that do not round beyond the greatest, ties to
/// even.
template <int E, int M>
QUANT_DETAIL_INLINE i32x16 narrow_finite(const f32x16& value) noexcept {
    using number = minifloat<E, M>;
    constexpr std::int32_t least_normal = (128 - number::bias) << 23;
    constexpr std::int32_t large = least_normal + ((23 - M) << 23);
    const auto bits = float_to_bits(value);
    const auto magnitude = bits & broadcast<std::int32_t>(0x7FFFFFFF);
    const auto odd = shift_right<23 - M>(magnitude) & broadcast<std::int32_t>(1);
    const auto up = magnitude + odd + broadcast<std::int32_t>((1 << (22 - M)) - 1);
    const auto normal =
        shift_right<23 - M>(up) - broadcast<std::int32_t>((least_normal >> (23 - M)) - (1 << M));
    // The last place of `large` is that of subnormals, so the addition rounds to it.
    const auto subnormal =
        float_to_bits(bits_to_float(magnitude) + bits_to_float(broadcast<std::int32_t>(large))) -
        broadcast<std::int32_t>(large);
    const auto rounded =
        select_greater(broadcast<std::int32_t>(least_normal), magnitude, subnormal, normal);
    return rounded | (shift_right<31 - E - M>(bits) & broadcast<std::int32_t>(number::sign_bit));
}

/// As static_cast<float>(fp8_e4m3), for bits in the lanes.
QUANT_DETAIL_INLINE f32x16 fp8_e4m3_bits_to_float(const i32x16& bits) noexcept {
    const auto magnitude = bits & broadcast<std::int32_t>(fp8_e4m3::sign_bit - 1);
    const auto sign = shift_left<24>(bits & broadcast<std::int32_t>(fp8_e4m3::sign_bit));
    return bits_to_float(select_greater(magnitude, broadcast<std::int32_t>(fp8_e4m3::greatest_bits),
                                        broadcast<std::int32_t>(0x7FC00000) | sign,
                                        float_to_bits(widen_finite<4, 3>(bits))));
}
/// As fp8_e4m3(float).
QUANT_DETAIL_INLINE i32x16 float_to_fp8_e4m3_bits(const f32x16& value) noexcept {
    const auto sign = shift_right<24>(float_to_bits(value)) & broadcast<std::int32_t>(0x80);
    // 464 lies between the greatest number and what would be the next one, and rounds to it.
    return select_greater(float_to_bits(abs(value)), float_to_bits(broadcast(464.0f)),
                          broadcast<std::int32_t>(fp8_e4m3::greatest_bits + 1) | sign,
                          narrow_finite<4, 3>(value));
}

/// As static_cast<float>(e8m0), for bits in the lanes.
QUANT_DETAIL_INLINE f32x16 e8m0_bits_to_float(const i32x16& bits) noexcept {
    const auto normal = shift_left<23>(bits);
    const auto small =
        select_greater(broadcast<std::int32_t>(1), bits, broadcast<std::int32_t>(0x400000), normal);
    return bits_to_float(select_greater(bits, broadcast<std::int32_t>(254),
                                        broadcast<std::int32_t>(0x7FC00000), small));
}
/// As e8m0(float).
QUANT_DETAIL_INLINE i32x16 float_to_e8m0_bits(const f32x16& value) noexcept {
    const auto bits = float_to_bits(value + broadcast(0.0f)); // −0 counts as 0
    const auto zero = broadcast<std::int32_t>(0);
    const auto rounded = shift_right<23>(bits + broadcast<std::int32_t>(0x400000));
    auto exponent = select_greater(broadcast<std::int32_t>(0x600000), bits, zero, rounded);
    const auto nan = broadcast<std::int32_t>(255);
    exponent = select_greater(bits, broadcast<std::int32_t>(0x7F400000 - 1), nan, exponent);
    return select_greater(zero, bits, nan, exponent);
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
