// GGUF's blocks of 4-bit codes that stand for levels of a table: IQ4_NL, IQ4_XS, MXFP4, NVFP4.
//
// Each table has 16 int8 levels. Codes lie as in Q4_0: of 2·n weights, weight j is in the low half
// of byte j, weight j + n in the high half. Every product is exact in float, unless it exceeds
// float's range and becomes infinite.
#pragma once

#include <quant/core/minifloat.hpp>
#include <quant/io/gguf/codecs/codec.hpp>
#include <quant/io/gguf/codecs/iq_grids.hpp>

namespace quant::inline QUANT_ABI {
namespace detail {

/// E2M1 (one sign, two exponent bits, one of mantissa), doubled to be integers. Code 8, minus zero,
/// decodes to plus zero here as in the ggml project.
inline constexpr std::int8_t gguf_e2m1_doubled[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                                      0, -1, -2, -3, -4, -6, -8, -12};

/// 2·Half weights: scale · level.
template <std::size_t Half>
void gguf_put_levels(float scale, const std::int8_t (&levels)[16], const std::byte* codes,
                     float* out) noexcept {
    for (std::size_t j = 0; j < Half; ++j) {
        const auto pair = std::to_integer<unsigned>(codes[j]);
        out[j] = scale * static_cast<float>(levels[pair & 15u]);
        out[j + Half] = scale * static_cast<float>(levels[pair >> 4]);
    }
}

/// w = d·level: fp16 d, then 16 bytes of codes.
template <>
struct gguf_codec<gguf::type::iq4_nl> {
    static void decode(const std::byte* block, float* out) noexcept {
        gguf_put_levels<16>(gguf_fp16_at(block), gguf_iq4_levels, block + 2, out);
    }
};

/// w = d·(s − 32)·level: fp16 d, a 16-bit word with the high two bits of the 8 scales s, 4 bytes
/// with their low four, 128 bytes of codes; a scale for 32 weights.
template <>
struct gguf_codec<gguf::type::iq4_xs> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        const int high = load_le<std::uint16_t>(block + 2);
        for (std::size_t g = 0; g < 8; ++g) {
            const int s = gguf_nibble(block + 4, g) | ((high >> (2 * g)) & 3) << 4;
            gguf_put_levels<16>(d * static_cast<float>(s - 32), gguf_iq4_levels, block + 8 + 16 * g,
                                out + 32 * g);
        }
    }
};

/// w = scale · E2M1: an E8M0 scale, then 16 bytes of codes. A scale of NaN makes all weights NaN.
template <>
struct gguf_codec<gguf::type::mxfp4> {
    static void decode(const std::byte* block, float* out) noexcept {
        const auto scale = e8m0::from_bits(std::to_integer<std::uint8_t>(block[0]));
        const float half = 0.5f * static_cast<float>(scale);
        gguf_put_levels<16>(half, gguf_e2m1_doubled, block + 1, out);
    }
};

/// w = scale · E2M1: four E4M3 scales for 16 weights each, whose signs have no meaning, then 8
/// bytes of codes for each. A scale of NaN makes its weights NaN.
template <>
struct gguf_codec<gguf::type::nvfp4> {
    static constexpr std::byte no_sign{127};

    static void decode(const std::byte* block, float* out) noexcept {
        for (std::size_t g = 0; g < 4; ++g) {
            const auto scale =
                fp8_e4m3::from_bits(std::to_integer<std::uint8_t>(block[g] & no_sign));
            const float half = 0.5f * static_cast<float>(scale);
            gguf_put_levels<8>(half, gguf_e2m1_doubled, block + 4 + 8 * g, out + 16 * g);
        }
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
