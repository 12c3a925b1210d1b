// GGUF's blocks of 256 weights with scales of scales: Q2_K … Q6_K, and Q8_K of activations.
//
// Codes come in rows of 32: bits of the same place in 32 neighbouring bytes are neighbours. Below,
// weight 128·h + 32·k + l is l of row k of half h. fp16 scale times group scale times code has at
// most 11 + 6 + 5 bits, so every product that a minimum is subtracted from is exact.
#pragma once

#include <quant/io/gguf/codecs/codec.hpp>

namespace quant::inline QUANT_ABI {
namespace detail {

/// w = (d·s)·q − (dmin·m): 16 bytes with s in the low and m in the high half, for 16 weights each;
/// 64 bytes of q, row k of half h at bit 2·k of byte 32·h + l; fp16 d, fp16 dmin.
template <>
struct gguf_codec<gguf::type::q2_k> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block + 80);
        const float d_min = gguf_fp16_at(block + 82);
        for (std::size_t g = 0; g < 16; ++g) {
            const std::byte* const codes = block + 16 + 32 * (g / 8) + 16 * (g % 2);
            const std::size_t shift = 2 * (g % 8 / 2);
            const float scale = d * static_cast<float>(gguf_bits(block[g], 0, 4));
            const float minimum = d_min * static_cast<float>(gguf_bits(block[g], 4, 4));
            for (std::size_t l = 0; l < 16; ++l) {
                const int q = gguf_bits(codes[l], shift, 2);
                out[16 * g + l] = scale * static_cast<float>(q) - minimum;
            }
        }
    }
};

/// w = d·(s − 32)·(q − 4): 32 bytes with the third bit of q, row k of half h at bit 4·h + k; 64
/// bytes with the lower two as in q2_k; 12 bytes with 16 scales s of 6 bits; fp16 d.
///
/// The low four bits of scale g are in half g / 8 of byte g mod 8, the high two at bit 2·(g / 4) of
/// byte 8 + g mod 4.
template <>
struct gguf_codec<gguf::type::q3_k> {
    static void decode(const std::byte* block, float* out) noexcept {
        const std::byte* const scales = block + 96;
        const float d = gguf_fp16_at(block + 108);
        for (std::size_t g = 0; g < 16; ++g) {
            const std::byte* const low = block + 32 + 32 * (g / 8) + 16 * (g % 2);
            const std::byte* const high = block + 16 * (g % 2);
            const std::size_t row = g / 2;
            const int s = gguf_bits(scales[g % 8], 4 * (g / 8), 4) |
                          gguf_bits(scales[8 + g % 4], 2 * (g / 4), 2) << 4;
            const float scale = d * static_cast<float>(s - 32);
            for (std::size_t l = 0; l < 16; ++l) {
                const int q = gguf_bits(low[l], 2 * (row % 4), 2) | gguf_bits(high[l], row, 1) << 2;
                out[16 * g + l] = scale * static_cast<float>(q - 4);
            }
        }
    }
};

/// Scale and minimum of one of 8 groups, 6 bits each, in 12 bytes.
///
/// Groups 0 … 3 have the low six bits of bytes 0 … 3 (scales) and 4 … 7 (minimums), groups 4 … 7
/// the halves of bytes 8 … 11 and above them the two bits that the former leave.
struct gguf_scale_and_minimum {
    gguf_scale_and_minimum(const std::byte* twelve, std::size_t g) noexcept {
        if (g < 4) {
            scale = gguf_bits(twelve[g], 0, 6);
            minimum = gguf_bits(twelve[4 + g], 0, 6);
        } else {
            scale = gguf_bits(twelve[4 + g], 0, 4) | gguf_bits(twelve[g - 4], 6, 2) << 4;
            minimum = gguf_bits(twelve[4 + g], 4, 4) | gguf_bits(twelve[g], 6, 2) << 4;
        }
    }
    int scale;
    int minimum;
};

/// w = (d·s)·q − (dmin·m): fp16 d, fp16 dmin, 12 bytes of s and m for 32 weights each, 128 bytes of
/// q, groups 2·p and 2·p + 1 in the low and high halves of bytes 32·p … 32·p + 31.
template <>
struct gguf_codec<gguf::type::q4_k> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        const float d_min = gguf_fp16_at(block + 2);
        for (std::size_t g = 0; g < 8; ++g) {
            const std::byte* const codes = block + 16 + 32 * (g / 2);
            const gguf_scale_and_minimum group(block + 4, g);
            const float scale = d * static_cast<float>(group.scale);
            const float minimum = d_min * static_cast<float>(group.minimum);
            for (std::size_t l = 0; l < 32; ++l) {
                const int q = gguf_bits(codes[l], 4 * (g % 2), 4);
                out[32 * g + l] = scale * static_cast<float>(q) - minimum;
            }
        }
    }
};

/// As q4_k, with 32 bytes of fifth bits, group g at bit g, before the lower four.
template <>
struct gguf_codec<gguf::type::q5_k> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        const float d_min = gguf_fp16_at(block + 2);
        for (std::size_t g = 0; g < 8; ++g) {
            const std::byte* const high = block + 16;
            const std::byte* const low = block + 48 + 32 * (g / 2);
            const gguf_scale_and_minimum group(block + 4, g);
            const float scale = d * static_cast<float>(group.scale);
            const float minimum = d_min * static_cast<float>(group.minimum);
            for (std::size_t l = 0; l < 32; ++l) {
                const int q = gguf_bits(low[l], 4 * (g % 2), 4) | gguf_bits(high[l], g, 1) << 4;
                out[32 * g + l] = scale * static_cast<float>(q) - minimum;
            }
        }
    }
};

/// w = (d·s)·(q − 32): 128 bytes with the low four bits of q, 64 with the high two, 16 signed
/// scales s for 16 weights each, fp16 d.
///
/// In half h, row k has its low bits in bytes 64·h + 32·(k mod 2) + l, in their low half for k < 2,
/// and its high bits in bytes 32·h + l at bit 2·k. The products are exact: 11 + 7 + 5 bits.
template <>
struct gguf_codec<gguf::type::q6_k> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block + 208);
        for (std::size_t g = 0; g < 16; ++g) {
            const std::size_t row = g % 8 / 2;
            const std::byte* const low = block + 64 * (g / 8) + 32 * (row % 2) + 16 * (g % 2);
            const std::byte* const high = block + 128 + 32 * (g / 8) + 16 * (g % 2);
            const float scale = d * static_cast<float>(load_le<std::int8_t>(block + 192 + g));
            for (std::size_t l = 0; l < 16; ++l) {
                const int q = gguf_bits(low[l], 4 * (row / 2), 4) | gguf_bits(high[l], 2 * row, 2)
                                                                        << 4;
                out[16 * g + l] = scale * static_cast<float>(q - 32);
            }
        }
    }
};

/// w = d·q: float d, then 256 bytes of signed q; the product is rounded. The 16-bit sums of q that
/// follow are for products; weights do not need them.
template <>
struct gguf_codec<gguf::type::q8_k> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = load_le<float>(block);
        for (std::size_t j = 0; j < 256; ++j) {
            out[j] = d * static_cast<float>(load_le<std::int8_t>(block + 4 + j));
        }
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
