// GGUF's blocks of 32 weights: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, and Q8_1 of activations.
//
// Bytes of 4-bit codes hold weight j in the low half of byte j, weight j + 16 in the high half.
#pragma once

#include <quant/io/gguf/codecs/codec.hpp>

namespace quant::inline QUANT_ABI {
namespace detail {

/// w = d·(q − 8): fp16 d, then 16 bytes of q. The product is exact.
template <>
struct gguf_codec<gguf::type::q4_0> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        for (std::size_t j = 0; j < 16; ++j) {
            const int pair = std::to_integer<int>(block[2 + j]);
            out[j] = d * static_cast<float>((pair & 15) - 8);
            out[j + 16] = d * static_cast<float>((pair >> 4) - 8);
        }
    }
};

/// w = d·q + m: fp16 d, fp16 m, then 16 bytes of q. The product has 15 bits, so is exact; the sum
/// is rounded once, fused or not.
template <>
struct gguf_codec<gguf::type::q4_1> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        const float m = gguf_fp16_at(block + 2);
        for (std::size_t j = 0; j < 16; ++j) {
            const int pair = std::to_integer<int>(block[4 + j]);
            out[j] = d * static_cast<float>(pair & 15) + m;
            out[j + 16] = d * static_cast<float>(pair >> 4) + m;
        }
    }
};

/// The 5-bit codes of q5_0 and q5_1: 4 bytes of fifth bits, weight j's at bit j, then 16 bytes of
/// the lower four. Calls put(j, q) for each.
template <class Put>
void gguf_decode_5_bits(const std::byte* from, const Put& put) noexcept {
    const auto fifth = load_le<std::uint32_t>(from);
    for (std::size_t j = 0; j < 16; ++j) {
        const int pair = std::to_integer<int>(from[4 + j]);
        put(j, (pair & 15) | static_cast<int>((fifth >> j) << 4 & 16));
        put(j + 16, (pair >> 4) | static_cast<int>((fifth >> (j + 16)) << 4 & 16));
    }
}

/// w = d·(q − 16): fp16 d, then 20 bytes of q. The product is exact.
template <>
struct gguf_codec<gguf::type::q5_0> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        gguf_decode_5_bits(block + 2,
                           [&](std::size_t j, int q) { out[j] = d * static_cast<float>(q - 16); });
    }
};

/// w = d·q + m: fp16 d, fp16 m, then 20 bytes of q. The product is exact, the sum rounded once.
template <>
struct gguf_codec<gguf::type::q5_1> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        const float m = gguf_fp16_at(block + 2);
        gguf_decode_5_bits(block + 4,
                           [&](std::size_t j, int q) { out[j] = d * static_cast<float>(q) + m; });
    }
};

/// w = d·q: fp16 d, then 32 bytes of signed q, from byte `Codes` on. The product is exact: 11 bits
/// times 8.
template <std::size_t Codes>
struct gguf_q8_codec {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        for (std::size_t j = 0; j < 32; ++j) {
            out[j] = d * static_cast<float>(load_le<std::int8_t>(block + Codes + j));
        }
    }
};

template <>
struct gguf_codec<gguf::type::q8_0> : gguf_q8_codec<2> {};

/// The fp16 in between is d·Σq, for products; weights do not need it.
template <>
struct gguf_codec<gguf::type::q8_1> : gguf_q8_codec<4> {};

} // namespace detail
} // namespace quant::inline QUANT_ABI
