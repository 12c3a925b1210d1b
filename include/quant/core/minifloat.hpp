// Floating-point numbers of 4 to 8 bits, and powers of two in a byte, as storage types with exact
// widening (OCP Microscaling Formats 1.0, OCP 8-bit Floating Point 1.0).
#pragma once

#include <quant/core/bit_cast.hpp>
#include <quant/core/config.hpp>

#include <cstdint>

namespace quant::inline QUANT_VOCABULARY {

/// 1 sign, E exponent and M mantissa bits in the low bits of a byte; exponent bias 2^(E−1) − 1,
/// subnormals as in IEEE 754. E5M2 has infinities and NaNs as IEEE 754 has; E4M3 has one NaN (all
/// ones but the sign) and no infinity; the others are finite throughout. Storage only.
///
/// Widening is exact. Narrowing rounds to nearest, ties to even. What is too large becomes infinity
/// (E5M2), NaN (E4M3), or the greatest number of its sign. NaN stays NaN where there is one and
/// becomes 0 elsewhere.
template <int E, int M>
struct minifloat {
    static_assert(2 <= E && 1 <= M && E + M <= 7, "quant: a minifloat has 4 to 8 bits");
    static constexpr int exponent_bits = E;
    static constexpr int mantissa_bits = M;
    static constexpr int width = 1 + E + M;
    static constexpr int bias = (1 << (E - 1)) - 1;
    static constexpr bool has_infinity = E == 5 && M == 2;
    static constexpr bool has_nan = has_infinity || (E == 4 && M == 3);
    static constexpr int sign_bit = 1 << (E + M);
    /// Bits of the greatest finite number.
    static constexpr int greatest_bits = sign_bit - 1 - (has_infinity ? 4 : has_nan ? 1 : 0);

    std::uint8_t bits = 0;

    constexpr minifloat() noexcept = default;
    constexpr explicit minifloat(float value) noexcept : bits(narrow(value)) {}
    constexpr explicit operator float() const noexcept { return widen(bits); }

    [[nodiscard]] static constexpr minifloat from_bits(std::uint8_t bits) noexcept {
        minifloat value;
        value.bits = bits;
        return value;
    }
    /// Equality of bits.
    friend constexpr bool operator==(minifloat, minifloat) noexcept = default;

private:
    /// As a float's exponent field: that of the least normal number.
    static constexpr std::uint32_t least_normal = static_cast<std::uint32_t>(128 - bias) << 23;
    static constexpr int nan_bits = has_infinity ? greatest_bits + 3 : greatest_bits + 1;

    [[nodiscard]] static constexpr std::uint8_t narrow(float value) noexcept {
        const std::uint32_t whole = core_detail::bit_cast<std::uint32_t>(value);
        const int sign = whole >> 31 != 0 ? sign_bit : 0;
        const std::uint32_t magnitude = whole & 0x7FFFFFFFu;
        if (magnitude > 0x7F800000u) {
            return static_cast<std::uint8_t>(has_nan ? sign | nan_bits : 0);
        }
        int rounded = greatest_bits + 1;
        if (magnitude < least_normal) {
            // The last place of this number is that of subnormals, so the addition rounds to it.
            constexpr std::uint32_t large =
                least_normal + (static_cast<std::uint32_t>(23 - M) << 23);
            const float sum =
                core_detail::bit_cast<float>(magnitude) + core_detail::bit_cast<float>(large);
            rounded = static_cast<int>(core_detail::bit_cast<std::uint32_t>(sum) - large);
        } else if (magnitude < 0x7F800000u - (1u << 23)) {
            const std::uint32_t odd = magnitude >> (23 - M) & 1u;
            const std::uint32_t up = magnitude + odd + ((1u << (22 - M)) - 1u);
            rounded = static_cast<int>((up >> (23 - M)) - ((least_normal >> (23 - M)) - (1u << M)));
        }
        if (rounded > greatest_bits) {
            rounded = has_infinity ? greatest_bits + 1 : has_nan ? nan_bits : greatest_bits;
        }
        return static_cast<std::uint8_t>(sign | rounded);
    }

    [[nodiscard]] static constexpr float widen(std::uint8_t bits) noexcept {
        const bool negative = (bits & sign_bit) != 0;
        const int magnitude = bits & (sign_bit - 1);
        float value = 0;
        if (magnitude > greatest_bits) {
            const bool infinite = has_infinity && magnitude == greatest_bits + 1;
            value = core_detail::bit_cast<float>(infinite ? 0x7F800000u : 0x7FC00000u);
        } else if (magnitude < 1 << M) {
            constexpr float unit =
                core_detail::bit_cast<float>(least_normal - (std::uint32_t{M} << 23));
            value = static_cast<float>(magnitude) * unit;
        } else {
            value = core_detail::bit_cast<float>(
                (static_cast<std::uint32_t>(magnitude) << (23 - M)) + least_normal - (1u << 23));
        }
        return negative ? -value : value;
    }
};

using fp4 = minifloat<2, 1>;      ///< E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6
using fp6_e2m3 = minifloat<2, 3>; ///< to 7.5, in steps of 0.125 and more
using fp6_e3m2 = minifloat<3, 2>; ///< to 28
using fp8_e4m3 = minifloat<4, 3>; ///< to 448
using fp8_e5m2 = minifloat<5, 2>; ///< to 57344

/// A power of two, 2^(bits − 127), from 2^−127 to 2^127; 255 is NaN. No sign, no zero.
///
/// Widening is exact. Narrowing takes the nearest power of two, the greater one of two that are
/// equally near; zero and what is below become 2^−127; what is not finite, negative, or rounds to
/// 2^128 becomes NaN.
struct e8m0 {
    std::uint8_t bits = 0;

    constexpr e8m0() noexcept = default;
    constexpr explicit e8m0(float value) noexcept : bits(narrow(value)) {}
    constexpr explicit operator float() const noexcept {
        if (bits == 255) return core_detail::bit_cast<float>(0x7FC00000u);
        return core_detail::bit_cast<float>(bits == 0 ? 0x400000u
                                                      : static_cast<std::uint32_t>(bits) << 23);
    }

    [[nodiscard]] static constexpr e8m0 from_bits(std::uint8_t bits) noexcept {
        e8m0 value;
        value.bits = bits;
        return value;
    }
    /// Equality of bits.
    friend constexpr bool operator==(e8m0, e8m0) noexcept = default;

private:
    [[nodiscard]] static constexpr std::uint8_t narrow(float value) noexcept {
        const std::uint32_t whole = core_detail::bit_cast<std::uint32_t>(value);
        if (whole == 0x80000000u) return 0;
        if (whole >= 0x7F400000u) return 255; // from 1.5·2^127 on; negative numbers; NaN
        // Subnormal floats lie evenly: 2^−126 begins at the 1.5-fold of 2^−127 there, too.
        return static_cast<std::uint8_t>(whole < 0x600000u ? 0 : (whole + 0x400000u) >> 23);
    }
};

static_assert(sizeof(fp4) == 1 && sizeof(fp8_e4m3) == 1 && sizeof(e8m0) == 1);

} // namespace quant::inline QUANT_VOCABULARY
