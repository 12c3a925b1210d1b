// GGUF's blocks of 256 weights with scales of scales: Q2_K … Q6_K, and Q8_K of activations.
//
// Codes come in rows of 32: bits of the same place in 32 neighbouring bytes are neighbours. Below,
// weight 128·h + 32·k + l is l of row k of half h. fp16 scale times group scale times code has at
// most 11 + 6 + 5 bits, so every product that a minimum is subtracted from is exact.
#pragma once

#include <quant/io/gguf/codecs/codec.hpp>
#include <quant/io/gguf/codecs/legacy.hpp>

namespace quant::inline QUANT_ABI {
namespace detail {

/// w = (d·s)·q − (dmin·m): 16 bytes with s in the low and m in the high half, for 16 weights each;
/// 64 bytes of q, row k of half h at bit 2·k of byte 32·h + l; fp16 d, fp16 dmin.
template <>
struct gguf_codec<gguf::type::q2_k> : gguf_composition<presets::q2_k> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.supers[0] = gguf_fp16_at(block + 80);
        to.super_minimums[0] = gguf_negated(gguf_fp16_at(block + 82));
        for (std::size_t g = 0; g < 16; ++g) {
            to.scales[g] = static_cast<std::uint8_t>(gguf_bits(block[g], 0, 4));
            to.offsets[g] = static_cast<std::uint8_t>(gguf_bits(block[g], 4, 4));
        }
        for (std::size_t row = 0; row < 8; ++row) {
            const std::byte* const low = block + 16 + 32 * (row / 4);
            for (std::size_t l = 0; l < 32; l += 8) {
                gguf_put_eight(codes + 32 * row + l, gguf_eight(low + l, 2 * (row % 4), 3));
            }
        }
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        for (std::size_t g = 0; g < 16; ++g) {
            block[g] = static_cast<std::byte>(from.scales[g] | from.offsets[g] << 4);
        }
        std::memset(block + 16, 0, 64);
        for (std::size_t row = 0; row < 8; ++row) {
            gguf_write_row<2>(codes + 32 * row, 0, block + 16 + 32 * (row / 4), 2 * (row % 4));
        }
        gguf_put_fp16(block + 80, from.supers[0]);
        gguf_put_fp16(block + 82, gguf_negated(from.super_minimums[0]));
    }
};

/// w = d·(s − 32)·(q − 4): 32 bytes with the third bit of q, row k of half h at bit 4·h + k; 64
/// bytes with the lower two as in q2_k; 12 bytes with 16 scales s of 6 bits; fp16 d.
///
/// The low four bits of scale g are in half g / 8 of byte g mod 8, the high two at bit 2·(g / 4) of
/// byte 8 + g mod 4.
template <>
struct gguf_codec<gguf::type::q3_k> : gguf_composition<presets::q3_k> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        const std::byte* const scales = block + 96;
        to.supers[0] = gguf_fp16_at(block + 108);
        for (std::size_t g = 0; g < 16; ++g) {
            const int s = gguf_bits(scales[g % 8], 4 * (g / 8), 4) |
                          gguf_bits(scales[8 + g % 4], 2 * (g / 4), 2) << 4;
            to.scales[g] = scheme::scale_byte(s - 32);
        }
        for (std::size_t row = 0; row < 8; ++row) {
            const std::byte* const low = block + 32 + 32 * (row / 4);
            for (std::size_t l = 0; l < 32; l += 8) {
                gguf_put_eight(codes + 32 * row + l, gguf_eight(low + l, 2 * (row % 4), 3) |
                                                         gguf_eight(block + l, row, 1) << 2);
            }
        }
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        std::memset(block, 0, 108);
        for (std::size_t row = 0; row < 8; ++row) {
            gguf_write_row<2>(codes + 32 * row, 0, block + 32 + 32 * (row / 4), 2 * (row % 4));
            gguf_write_row<1>(codes + 32 * row, 2, block, row);
        }
        std::byte* const scales = block + 96;
        for (std::size_t g = 0; g < 16; ++g) {
            const int s = scheme::scale_value(from.scales[g]) + 32;
            scales[g % 8] |= static_cast<std::byte>((s & 15) << (4 * (g / 8)));
            scales[8 + g % 4] |= static_cast<std::byte>(s >> 4 << (2 * (g / 4)));
        }
        gguf_put_fp16(block + 108, from.supers[0]);
    }
};

/// What q4_k and q5_k begin with: fp16 d, fp16 dmin, then scale and minimum of 8 groups, 6 bits
/// each, in 12 bytes.
///
/// Groups 0 … 3 have the low six bits of bytes 0 … 3 (scales) and 4 … 7 (minimums), groups 4 … 7
/// the halves of bytes 8 … 11 and above them the two bits that the former leave.
template <quantization_scheme S>
void gguf_read_scales_and_minimums(const std::byte* block, const gguf_numbers<S>& to) noexcept {
    to.supers[0] = gguf_fp16_at(block);
    to.super_minimums[0] = gguf_negated(gguf_fp16_at(block + 2));
    const std::byte* const twelve = block + 4;
    for (std::size_t g = 0; g < 4; ++g) {
        to.scales[g] = static_cast<std::uint8_t>(gguf_bits(twelve[g], 0, 6));
        to.offsets[g] = static_cast<std::uint8_t>(gguf_bits(twelve[4 + g], 0, 6));
        to.scales[4 + g] = static_cast<std::uint8_t>(gguf_bits(twelve[8 + g], 0, 4) |
                                                     gguf_bits(twelve[g], 6, 2) << 4);
        to.offsets[4 + g] = static_cast<std::uint8_t>(gguf_bits(twelve[8 + g], 4, 4) |
                                                      gguf_bits(twelve[4 + g], 6, 2) << 4);
    }
}

/// The inverse of gguf_read_scales_and_minimums.
template <quantization_scheme S>
void gguf_write_scales_and_minimums(const gguf_numbers<S, false>& from, std::byte* block) noexcept {
    gguf_put_fp16(block, from.supers[0]);
    gguf_put_fp16(block + 2, gguf_negated(from.super_minimums[0]));
    std::byte* const twelve = block + 4;
    for (std::size_t g = 0; g < 4; ++g) {
        const int scale = from.scales[4 + g], minimum = from.offsets[4 + g];
        twelve[g] = static_cast<std::byte>(from.scales[g] | scale >> 4 << 6);
        twelve[4 + g] = static_cast<std::byte>(from.offsets[g] | minimum >> 4 << 6);
        twelve[8 + g] = static_cast<std::byte>((scale & 15) | (minimum & 15) << 4);
    }
}

/// w = (d·s)·q − (dmin·m): fp16 d, fp16 dmin, 12 bytes of s and m for 32 weights each, 128 bytes of
/// q, groups 2·p and 2·p + 1 in the low and high halves of bytes 32·p … 32·p + 31.
template <>
struct gguf_codec<gguf::type::q4_k> : gguf_composition<presets::q4_k> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        gguf_read_scales_and_minimums<scheme>(block, to);
        for (std::size_t p = 0; p < 4; ++p) {
            gguf_read_halves<32>(block + 16 + 32 * p, codes + 64 * p);
        }
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        gguf_write_scales_and_minimums<scheme>(from, block);
        for (std::size_t p = 0; p < 4; ++p) {
            gguf_write_halves<32>(codes + 64 * p, block + 16 + 32 * p);
        }
    }
};

/// As q4_k, with 32 bytes of fifth bits, group g at bit g, before the lower four.
template <>
struct gguf_codec<gguf::type::q5_k> : gguf_composition<presets::q5_k> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        gguf_read_scales_and_minimums<scheme>(block, to);
        for (std::size_t g = 0; g < 8; ++g) {
            for (std::size_t l = 0; l < 32; l += 8) {
                const std::byte* const low = block + 48 + 32 * (g / 2) + l;
                gguf_put_eight(codes + 32 * g + l, gguf_eight(low, 4 * (g % 2), 15) |
                                                       gguf_eight(block + 16 + l, g, 1) << 4);
            }
        }
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        gguf_write_scales_and_minimums<scheme>(from, block);
        std::memset(block + 16, 0, 32);
        for (std::size_t g = 0; g < 8; ++g) gguf_write_row<1>(codes + 32 * g, 4, block + 16, g);
        for (std::size_t p = 0; p < 4; ++p) {
            gguf_write_halves<32>(codes + 64 * p, block + 48 + 32 * p);
        }
    }
};

/// w = (d·s)·(q − 32): 128 bytes with the low four bits of q, 64 with the high two, 16 signed
/// scales s for 16 weights each, fp16 d.
///
/// In half h, row k has its low bits in bytes 64·h + 32·(k mod 2) + l, in their low half for k < 2,
/// and its high bits in bytes 32·h + l at bit 2·k. The products are exact: 11 + 7 + 5 bits.
template <>
struct gguf_codec<gguf::type::q6_k> : gguf_composition<presets::q6_k> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.supers[0] = gguf_fp16_at(block + 208);
        for (std::size_t g = 0; g < 16; ++g) {
            to.scales[g] = std::to_integer<std::uint8_t>(block[192 + g]);
        }
        for (std::size_t row = 0; row < 8; ++row) {
            const std::byte* const low = block + 64 * (row / 4) + 32 * (row % 2);
            const std::byte* const high = block + 128 + 32 * (row / 4);
            for (std::size_t l = 0; l < 32; l += 8) {
                gguf_put_eight(codes + 32 * row + l, gguf_eight(low + l, 4 * (row % 4 / 2), 15) |
                                                         gguf_eight(high + l, 2 * (row % 4), 3)
                                                             << 4);
            }
        }
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        std::memset(block, 0, 192);
        for (std::size_t row = 0; row < 8; ++row) {
            std::byte* const low = block + 64 * (row / 4) + 32 * (row % 2);
            gguf_write_row<4>(codes + 32 * row, 0, low, row % 4 / 2 * 4);
            gguf_write_row<2>(codes + 32 * row, 4, block + 128 + 32 * (row / 4), 2 * (row % 4));
        }
        for (std::size_t g = 0; g < 16; ++g) block[192 + g] = std::byte{from.scales[g]};
        gguf_put_fp16(block + 208, from.supers[0]);
    }
};

/// w = d·q: float d, then 256 bytes of signed q; the product is rounded. The 16-bit sums of q that
/// follow are for products; weights do not need them.
template <>
struct gguf_codec<gguf::type::q8_k>
    : gguf_composition<scheme<int8, symmetric, group_wise<256>, float>> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.scales[0] = load_le<float>(block);
        gguf_read_signed<256>(block + 4, codes);
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
