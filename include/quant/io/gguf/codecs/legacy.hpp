// GGUF's blocks of 32 weights: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, and Q8_1 of activations.
//
// Products of scale and code have at most 11 + 8 bits, so are exact. Bytes of 4-bit codes hold
// weight j in the low half of byte j, weight j + 16 in the high half.
#pragma once

#include <quant/io/gguf/codecs/codec.hpp>

namespace quant::inline QUANT_ABI {
namespace detail {

/// w = d·(q − 8): fp16 d, then 16 bytes of q.
template <>
struct gguf_codec<gguf::type::q4_0> : gguf_composition<presets::q4_0> {
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

/// w = d·q + m: fp16 d, fp16 m, then 16 bytes of q. The sum is rounded once.
template <>
struct gguf_codec<gguf::type::q4_1> : gguf_composition<presets::q4_1> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.scales[0] = gguf_fp16_at(block);
        to.offsets[0] = gguf_fp16_at(block + 2);
        gguf_read_halves<16>(block + 4, codes);
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        gguf_put_fp16(block, from.scales[0]);
        gguf_put_fp16(block + 2, from.offsets[0]);
        gguf_write_halves<16>(codes, block + 4);
    }
};

/// The 5-bit codes of q5_0 and q5_1: 4 bytes of fifth bits, weight j's at bit j, then 16 bytes of
/// the lower four.
inline void gguf_read_5_bits(const std::byte* from, std::uint8_t* codes) noexcept {
    for (std::size_t j = 0; j < 32; j += 8) {
        const std::uint64_t fifth = gguf_spread_bits(std::to_integer<unsigned>(from[j / 8]));
        gguf_put_eight(codes + j, gguf_eight(from + 4 + j % 16, 4 * (j / 16), 15) | fifth << 4);
    }
}

/// The inverse of gguf_read_5_bits.
inline void gguf_write_5_bits(const std::uint8_t* codes, std::byte* to) noexcept {
    std::uint32_t fifth = 0;
    for (std::size_t j = 0; j < 32; ++j) fifth |= std::uint32_t{codes[j]} >> 4 << j;
    store_le(to, fifth);
    gguf_write_halves<16>(codes, to + 4);
}

/// w = d·(q − 16): fp16 d, then 20 bytes of q.
template <>
struct gguf_codec<gguf::type::q5_0> : gguf_composition<presets::q5_0> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.scales[0] = gguf_fp16_at(block);
        gguf_read_5_bits(block + 2, codes);
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        gguf_put_fp16(block, from.scales[0]);
        gguf_write_5_bits(codes, block + 2);
    }
};

/// w = d·q + m: fp16 d, fp16 m, then 20 bytes of q. The sum is rounded once.
template <>
struct gguf_codec<gguf::type::q5_1> : gguf_composition<presets::q5_1> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.scales[0] = gguf_fp16_at(block);
        to.offsets[0] = gguf_fp16_at(block + 2);
        gguf_read_5_bits(block + 4, codes);
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        gguf_put_fp16(block, from.scales[0]);
        gguf_put_fp16(block + 2, from.offsets[0]);
        gguf_write_5_bits(codes, block + 4);
    }
};

/// Count signed bytes as codes: 128 more.
template <std::size_t Count>
void gguf_read_signed(const std::byte* from, std::uint8_t* codes) noexcept {
    for (std::size_t j = 0; j < Count; ++j) {
        codes[j] = std::to_integer<std::uint8_t>(from[j] ^ std::byte{128});
    }
}

/// w = d·q: fp16 d, then 32 bytes of signed q, from byte `Codes` on.
template <std::size_t Codes>
struct gguf_q8_codec : gguf_composition<presets::q8_0> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.scales[0] = gguf_fp16_at(block);
        gguf_read_signed<32>(block + Codes, codes);
    }
};

template <>
struct gguf_codec<gguf::type::q8_0> : gguf_q8_codec<2> {
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        gguf_put_fp16(block, from.scales[0]);
        for (std::size_t j = 0; j < 32; ++j) block[2 + j] = std::byte{codes[j]} ^ std::byte{128};
    }
};

/// The fp16 in between is d·Σq, for products; weights do not need it.
template <>
struct gguf_codec<gguf::type::q8_1> : gguf_q8_codec<4> {};

} // namespace detail
} // namespace quant::inline QUANT_ABI
