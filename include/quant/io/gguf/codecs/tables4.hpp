// GGUF's blocks of 4-bit codes that stand for levels of a table: IQ4_NL, IQ4_XS, MXFP4, NVFP4.
//
// Codes lie as in Q4_0: of 2·n weights, weight j is in the low half of byte j, weight j + n in the
// high half. Every product is exact in float, unless it exceeds float's range and becomes infinite.
#pragma once

#include <quant/core/minifloat.hpp>
#include <quant/io/gguf/codecs/codec.hpp>
#include <quant/io/gguf/codecs/iq_grids.hpp>

#include <algorithm>
#include <iterator>

namespace quant::inline QUANT_ABI {
namespace detail {

static_assert(std::equal(std::begin(presets::iq4_levels::levels),
                         std::end(presets::iq4_levels::levels), std::begin(gguf_iq4_levels),
                         std::end(gguf_iq4_levels)));

/// w = d·level: fp16 d, then 16 bytes of codes.
template <>
struct gguf_codec<gguf::type::iq4_nl> : gguf_composition<presets::iq4_nl> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.scales[0] = gguf_fp16_at(block);
        gguf_read_halves<16>(block + 2, codes);
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        gguf_put_fp16(block, from.scales[0]);
        gguf_write_halves<16>(codes, block + 2);
    }
};

/// w = d·(s − 32)·level: fp16 d, a 16-bit word with the high two bits of the 8 scales s, 4 bytes
/// with their low four, 128 bytes of codes; a scale for 32 weights.
template <>
struct gguf_codec<gguf::type::iq4_xs> : gguf_composition<presets::iq4_xs> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.supers[0] = gguf_fp16_at(block);
        const int high = load_le<std::uint16_t>(block + 2);
        for (std::size_t g = 0; g < 8; ++g) {
            const int s = gguf_nibble(block + 4, g) | ((high >> (2 * g)) & 3) << 4;
            to.scales[g] = scheme::scale_byte(s - 32);
            gguf_read_halves<16>(block + 8 + 16 * g, codes + 32 * g);
        }
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        gguf_put_fp16(block, from.supers[0]);
        unsigned high = 0;
        std::memset(block + 4, 0, 4);
        for (std::size_t g = 0; g < 8; ++g) {
            const auto s = static_cast<unsigned>(scheme::scale_value(from.scales[g]) + 32);
            high |= s >> 4 << (2 * g);
            block[4 + g / 2] |= static_cast<std::byte>((s & 15u) << (4 * (g % 2)));
            gguf_write_halves<16>(codes + 32 * g, block + 8 + 16 * g);
        }
        store_le(block + 2, static_cast<std::uint16_t>(high));
    }
};

/// 2·Half codes of E2M1 (one sign, two exponent bits, one of mantissa). Code 8, minus zero, is read
/// as plus zero, as in the ggml project.
template <std::size_t Half>
void gguf_read_e2m1(const std::byte* from, std::uint8_t* codes) noexcept {
    for (std::size_t j = 0; j < 2 * Half; j += 8) {
        const std::uint64_t eight = gguf_eight(from + j % Half, 4 * (j / Half), 15);
        // The highest bit of each byte, unless it is the sign bit alone.
        const std::uint64_t other = (eight ^ fp4::sign_bit * gguf_each) + 127 * gguf_each;
        gguf_put_eight(codes + j, eight & (other >> 7 & gguf_each) * 15);
    }
}

/// The inverse of gguf_read_e2m1; minus zero is written as plus zero, which it is read as.
template <std::size_t Half>
void gguf_write_e2m1(const std::uint8_t* codes, std::byte* to) noexcept {
    std::uint8_t signed_once[2 * Half];
    for (std::size_t j = 0; j < 2 * Half; ++j) {
        signed_once[j] = codes[j] == fp4::sign_bit ? std::uint8_t{0} : codes[j];
    }
    gguf_write_halves<Half>(signed_once, to);
}

/// w = scale · E2M1: an E8M0 scale, then 16 bytes of codes. A scale of NaN makes all weights NaN.
template <>
struct gguf_codec<gguf::type::mxfp4> : gguf_composition<presets::mxfp4> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.scales[0] = e8m0::from_bits(std::to_integer<std::uint8_t>(block[0]));
        gguf_read_e2m1<16>(block + 1, codes);
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        block[0] = std::byte{from.scales[0].bits};
        gguf_write_e2m1<16>(codes, block + 1);
    }
};

/// w = scale · E2M1: four E4M3 scales for 16 weights each, whose signs have no meaning, then 8
/// bytes of codes for each. A scale of NaN makes its weights NaN.
template <>
struct gguf_codec<gguf::type::nvfp4> : gguf_composition<presets::nvfp4> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        constexpr std::byte no_sign{127};
        for (std::size_t g = 0; g < 4; ++g) {
            to.scales[g] = fp8_e4m3::from_bits(std::to_integer<std::uint8_t>(block[g] & no_sign));
            gguf_read_e2m1<8>(block + 4 + 8 * g, codes + 16 * g);
        }
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        for (std::size_t g = 0; g < 4; ++g) {
            block[g] = std::byte{from.scales[g].bits};
            gguf_write_e2m1<8>(codes + 16 * g, block + 4 + 8 * g);
        }
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
