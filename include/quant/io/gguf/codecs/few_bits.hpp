// GGUF's blocks of one or two bits, or of base-3 digits: TQ1_0, TQ2_0, Q1_0, Q2_0.
#pragma once

#include <quant/io/gguf/codecs/codec.hpp>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Digits `first` … `first + Digits − 1` of each of `Bytes` bytes, one digit after the other:
/// w = d·(digit − 1).
///
/// A byte is ⌈n·256 / 243⌉ of a number n of five base-3 digits. Digit i, from the highest, is what
/// 3^i times the byte leaves of 256, times three, over 256.
template <std::size_t Bytes, std::size_t Digits>
float* gguf_decode_base_3(float d, const std::byte* from, float* out) noexcept {
    unsigned power = 1;
    for (std::size_t i = 0; i < Digits; ++i, power *= 3) {
        for (std::size_t j = 0; j < Bytes; ++j) {
            const unsigned rest = (std::to_integer<unsigned>(from[j]) * power) & 255u;
            *out++ = d * static_cast<float>(static_cast<int>(rest * 3 >> 8) - 1);
        }
    }
    return out;
}

/// w = d·(q − 1): 32 and 16 bytes of five digits, 4 bytes of four digits, fp16 d.
template <>
struct gguf_codec<gguf::type::tq1_0> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block + 52);
        out = gguf_decode_base_3<32, 5>(d, block, out);
        out = gguf_decode_base_3<16, 5>(d, block + 32, out);
        gguf_decode_base_3<4, 4>(d, block + 48, out);
    }
};

/// w = d·(q − 1): 64 bytes of q, weight 128·h + 32·k + l at bit 2·k of byte 32·h + l; fp16 d. q = 3
/// stands for 2·d.
template <>
struct gguf_codec<gguf::type::tq2_0> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block + 64);
        for (std::size_t row = 0; row < 8; ++row) {
            const std::byte* const codes = block + 32 * (row / 4);
            for (std::size_t l = 0; l < 32; ++l) {
                const int q = gguf_bits(codes[l], 2 * (row % 4), 2);
                out[32 * row + l] = d * static_cast<float>(q - 1);
            }
        }
    }
};

/// w = d where the bit is set, else −d: fp16 d, then 16 bytes, weight j at bit j mod 8 of byte j
/// / 8.
template <>
struct gguf_codec<gguf::type::q1_0> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        for (std::size_t j = 0; j < 128; ++j) {
            out[j] = d * static_cast<float>(2 * gguf_bits(block[2 + j / 8], j % 8, 1) - 1);
        }
    }
};

/// w = d·(q − 1): fp16 d, then 16 bytes of q, weight j at bit 2·(j mod 4) of byte j / 4.
template <>
struct gguf_codec<gguf::type::q2_0> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        for (std::size_t j = 0; j < 64; ++j) {
            out[j] = d * static_cast<float>(gguf_bits(block[2 + j / 4], 2 * (j % 4), 2) - 1);
        }
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
