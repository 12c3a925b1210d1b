// IEEE 754 binary16 and bfloat16 as storage types with exact conversions.
#pragma once

#include <quant/core/bit_cast.hpp>
#include <quant/core/config.hpp>

#include <cstdint>

namespace quant::inline QUANT_VOCABULARY {

namespace core_detail {

[[nodiscard]] constexpr float fp16_bits_to_float(std::uint16_t bits) noexcept {
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
    const std::uint32_t exponent = (bits >> 10) & 0x1Fu;
    const std::uint32_t mantissa = bits & 0x3FFu;
    if (exponent == 0x1F) { // infinity, or NaN made quiet with its payload kept
        const std::uint32_t quiet = mantissa != 0 ? 0x400000u : 0u;
        return core_detail::bit_cast<float>(sign | 0x7F800000u | quiet | (mantissa << 13));
    }
    if (exponent == 0) { // zero or subnormal: mantissa · 2^-24, exact in float
        const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
        return core_detail::bit_cast<float>(sign | core_detail::bit_cast<std::uint32_t>(magnitude));
    }
    return core_detail::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

[[nodiscard]] constexpr std::uint16_t float_to_fp16_bits(float value) noexcept {
    const std::uint32_t bits = core_detail::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = (bits >> 16) & 0x8000u;
    const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) { // NaN: quiet, upper payload kept
        return static_cast<std::uint16_t>(sign | 0x7E00u | ((magnitude >> 13) & 0x3FFu));
    }
    if (magnitude >= 0x477FF000u) { // from 65520 on, the nearest is infinity
        return static_cast<std::uint16_t>(sign | 0x7C00u);
    }
    if (magnitude >= 0x38800000u) { // normal: round 13 bits away, ties to even
        const std::uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
        return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
    }
    if (magnitude < 0x33000000u) { // below half of the least subnormal, 2^-25
        return static_cast<std::uint16_t>(sign);
    }
    // Subnormal: shift the significand (with its hidden bit) to units of 2^-24.
    const std::uint32_t significand = (magnitude & 0x7FFFFFu) | 0x800000u;
    const std::uint32_t shift = 126u - (magnitude >> 23);
    const std::uint32_t half = 1u << (shift - 1);
    const std::uint32_t odd = (significand >> shift) & 1u;
    return static_cast<std::uint16_t>(sign | ((significand + half - 1u + odd) >> shift));
}

[[nodiscard]] constexpr std::uint16_t float_to_bf16_bits(float value) noexcept {
    const std::uint32_t bits = core_detail::bit_cast<std::uint32_t>(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) { // NaN: quiet, upper payload kept
        return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
    }
    return static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

} // namespace core_detail

/// IEEE 754 binary16: 1 sign, 5 exponent, 10 mantissa bits. Storage only; arithmetic is in float.
///
/// Widening is exact. Narrowing rounds to nearest, ties to even; from 65520 on it gives infinity;
/// subnormals are kept; NaN stays NaN (quiet). Source: IEEE 754-2019, 3.6.
struct fp16 {
    std::uint16_t bits = 0;

    constexpr fp16() noexcept = default;
    constexpr explicit fp16(float value) noexcept : bits(core_detail::float_to_fp16_bits(value)) {}
    constexpr explicit operator float() const noexcept {
        return core_detail::fp16_bits_to_float(bits);
    }

    [[nodiscard]] static constexpr fp16 from_bits(std::uint16_t bits) noexcept {
        fp16 value;
        value.bits = bits;
        return value;
    }
    /// Equality of bits: two NaNs of the same payload are equal, 0 and −0 are not.
    friend constexpr bool operator==(fp16, fp16) noexcept = default;
};

/// bfloat16: the upper half of a float (1 sign, 8 exponent, 7 mantissa bits). Storage only.
///
/// Widening is exact. Narrowing rounds to nearest, ties to even; NaN stays NaN (quiet).
struct bf16 {
    std::uint16_t bits = 0;

    constexpr bf16() noexcept = default;
    constexpr explicit bf16(float value) noexcept : bits(core_detail::float_to_bf16_bits(value)) {}
    constexpr explicit operator float() const noexcept {
        return core_detail::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
    }

    [[nodiscard]] static constexpr bf16 from_bits(std::uint16_t bits) noexcept {
        bf16 value;
        value.bits = bits;
        return value;
    }
    /// Equality of bits: two NaNs of the same payload are equal, 0 and −0 are not.
    friend constexpr bool operator==(bf16, bf16) noexcept = default;
};

static_assert(sizeof(fp16) == 2 && sizeof(bf16) == 2);

} // namespace quant::inline QUANT_VOCABULARY
