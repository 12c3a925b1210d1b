// GGUF's blocks of vectors from a codebook: IQ1, IQ2 and IQ3, 256 weights per block.
//
// A weight is scale · coordinate, with a sign of its own (IQ2, IQ3) or a shift of the whole vector
// by an eighth (IQ1). Every product is exact: fp16 scale times group scale times coordinate has at
// most 11 + 5 + 6 bits.
#pragma once

#include <quant/io/gguf/codecs/codec.hpp>
#include <quant/io/gguf/codecs/iq_grids.hpp>

#include <array>
#include <bit>
#include <iterator>

namespace quant::inline QUANT_ABI {
namespace detail {

/// The coordinates of a codebook's vectors, one after the other: Length each, Bits per coordinate
/// in a packed vector.
template <std::size_t Length, unsigned Bits, std::size_t Vectors, std::size_t Values>
[[nodiscard]] consteval auto gguf_grid(const std::uint16_t (&vectors)[Vectors],
                                       const std::int8_t (&values)[Values]) {
    std::array<std::int8_t, Length * Vectors> made{};
    std::size_t at = 0;
    for (const unsigned vector : vectors) {
        for (unsigned j = 0; j < Length; ++j) {
            made[at++] = values[(vector >> (Bits * j)) & ((1u << Bits) - 1u)];
        }
    }
    return made;
}

alignas(64) inline constexpr auto gguf_iq1_grid = gguf_grid<8, 2>(gguf_iq1_vectors,
                                                                  gguf_iq1_values);
alignas(64) inline constexpr auto gguf_iq2_xxs_grid = gguf_grid<8, 2>(gguf_iq2_xxs_vectors,
                                                                      gguf_iq2_xxs_values);
alignas(64) inline constexpr auto gguf_iq2_xs_grid = gguf_grid<8, 2>(gguf_iq2_xs_vectors,
                                                                     gguf_iq2_xs_values);
alignas(64) inline constexpr auto gguf_iq2_s_grid = gguf_grid<8, 2>(gguf_iq2_s_vectors,
                                                                    gguf_iq2_s_values);
alignas(64) inline constexpr auto gguf_iq3_xxs_grid = gguf_grid<4, 3>(gguf_iq3_xxs_vectors,
                                                                      gguf_iq3_xxs_values);
alignas(64) inline constexpr auto gguf_iq3_s_grid = gguf_grid<4, 3>(gguf_iq3_s_vectors,
                                                                    gguf_iq3_s_values);

/// The eight signs that seven bits stand for: the eighth makes the number of minuses even.
[[nodiscard]] inline unsigned gguf_even_signs(unsigned seven) noexcept {
    return seven | (static_cast<unsigned>(std::popcount(seven)) & 1u) << 7;
}

/// Count weights: scale · coordinate, negative where the bit of `signs` is set.
template <std::size_t Count>
void gguf_put_signed(float scale, const std::int8_t* coordinates, unsigned signs,
                     float* out) noexcept {
    for (std::size_t j = 0; j < Count; ++j) {
        const int minus = static_cast<int>((signs >> j) & 1u);
        out[j] = scale * static_cast<float>((coordinates[j] ^ -minus) + minus);
    }
}

/// Eight weights: scale · (coordinate ± 1/8).
inline void gguf_put_shifted(float scale, const std::int8_t* coordinates, bool down,
                             float* out) noexcept {
    const float shift = down ? -0.125f : 0.125f;
    for (std::size_t j = 0; j < 8; ++j) {
        out[j] = scale * (static_cast<float>(coordinates[j]) + shift);
    }
}

/// w = d·(s + ½)/4·(±coordinate): fp16 d, then for each 32 weights 4 bytes of vector numbers and a
/// 32-bit word: four times seven bits of signs, then 4 bits of s.
template <>
struct gguf_codec<gguf::type::iq2_xxs> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        for (std::size_t g = 0; g < 8; ++g) {
            const std::byte* const vectors = block + 2 + 8 * g;
            const auto word = load_le<std::uint32_t>(vectors + 4);
            const float scale = d * (0.125f * static_cast<float>(2 * (word >> 28) + 1));
            for (std::size_t v = 0; v < 4; ++v) {
                gguf_put_signed<8>(scale,
                                   &gguf_iq2_xxs_grid[8 * std::to_integer<std::size_t>(vectors[v])],
                                   gguf_even_signs((word >> (7 * v)) & 127u), out + 32 * g + 8 * v);
            }
        }
    }
};

/// w = d·(s + ½)/4·(±coordinate): fp16 d; 32 words of 16 bits, 9 for the vector and 7 for its
/// signs; 16 scales s of 4 bits for 16 weights each.
template <>
struct gguf_codec<gguf::type::iq2_xs> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        for (std::size_t v = 0; v < 32; ++v) {
            const auto word = load_le<std::uint16_t>(block + 2 + 2 * v);
            const int s = gguf_nibble(block + 66, v / 2);
            const float scale = d * (0.125f * static_cast<float>(2 * s + 1));
            gguf_put_signed<8>(scale, &gguf_iq2_xs_grid[8 * std::size_t{word & 511u}],
                               gguf_even_signs(word >> 9), out + 8 * v);
        }
    }
};

/// w = d·(s + ½)/4·(±coordinate): fp16 d; 32 bytes of vector numbers; 32 of signs; 8 with the two
/// high bits of four vector numbers each; 16 scales s of 4 bits for 16 weights each.
template <>
struct gguf_codec<gguf::type::iq2_s> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        for (std::size_t v = 0; v < 32; ++v) {
            const int vector = std::to_integer<int>(block[2 + v]) |
                               gguf_bits(block[66 + v / 4], 2 * (v % 4), 2) << 8;
            const int s = gguf_nibble(block + 74, v / 2);
            const float scale = d * (0.125f * static_cast<float>(2 * s + 1));
            gguf_put_signed<8>(scale, &gguf_iq2_s_grid[8 * static_cast<std::size_t>(vector)],
                               std::to_integer<unsigned>(block[34 + v]), out + 8 * v);
        }
    }
};

/// w = d·(s + ½)/2·(±coordinate): fp16 d; 64 bytes of vector numbers; for each 32 weights a 32-bit
/// word as in iq2_xxs. A vector has four coordinates, so that two share seven bits of signs.
template <>
struct gguf_codec<gguf::type::iq3_xxs> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        for (std::size_t v = 0; v < 64; ++v) {
            const auto word = load_le<std::uint32_t>(block + 66 + 4 * (v / 8));
            const float scale = d * (0.25f * static_cast<float>(2 * (word >> 28) + 1));
            const unsigned signs = gguf_even_signs((word >> (7 * (v / 2 % 4))) & 127u);
            gguf_put_signed<4>(scale,
                               &gguf_iq3_xxs_grid[4 * std::to_integer<std::size_t>(block[2 + v])],
                               signs >> (4 * (v % 2)), out + 4 * v);
        }
    }
};

/// w = d·(2·s + 1)·(±coordinate): fp16 d; 64 bytes of vector numbers; 8 with their ninth bits; 32
/// of signs; 8 scales s of 4 bits for 32 weights each.
template <>
struct gguf_codec<gguf::type::iq3_s> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        for (std::size_t v = 0; v < 64; ++v) {
            const int vector =
                std::to_integer<int>(block[2 + v]) | gguf_bits(block[66 + v / 8], v % 8, 1) << 8;
            const int s = gguf_nibble(block + 106, v / 8);
            gguf_put_signed<4>(d * static_cast<float>(2 * s + 1),
                               &gguf_iq3_s_grid[4 * static_cast<std::size_t>(vector)],
                               std::to_integer<unsigned>(block[74 + v / 2]) >> (4 * (v % 2)),
                               out + 4 * v);
        }
    }
};

/// w = d·(2·s + 1)·(coordinate ± ⅛): fp16 d; 32 bytes of vector numbers; for each 32 weights a word
/// of 16 bits: four times the high three bits of a vector number, 3 bits of s, then a bit that is
/// set for − ⅛.
template <>
struct gguf_codec<gguf::type::iq1_s> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        for (std::size_t v = 0; v < 32; ++v) {
            const unsigned word = load_le<std::uint16_t>(block + 34 + 2 * (v / 4));
            const unsigned vector =
                std::to_integer<unsigned>(block[2 + v]) | ((word >> (3 * (v % 4))) & 7u) << 8;
            gguf_put_shifted(d * static_cast<float>(2 * ((word >> 12) & 7u) + 1),
                             &gguf_iq1_grid[8 * std::size_t{vector}], (word & 0x8000u) != 0,
                             out + 8 * v);
        }
    }
};

/// w = d·(2·s + 1)·(coordinate ± ⅛): 32 bytes of vector numbers; for each of them 4 bits, its high
/// three and one that is set for − ⅛; four words of 16 bits: 3 bits of s for each of four times 16
/// weights, then 4 bits of d. The first word has d's lowest bits.
template <>
struct gguf_codec<gguf::type::iq1_m> {
    static void decode(const std::byte* block, float* out) noexcept {
        unsigned words[4];
        unsigned d_bits = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            words[i] = load_le<std::uint16_t>(block + 48 + 2 * i);
            d_bits |= (words[i] >> 12) << (4 * i);
        }
        const auto d = static_cast<float>(fp16::from_bits(static_cast<std::uint16_t>(d_bits)));
        for (std::size_t v = 0; v < 32; ++v) {
            const int high = gguf_nibble(block + 32, v);
            const int vector = std::to_integer<int>(block[v]) | (high & 7) << 8;
            const unsigned s = (words[v / 8] >> (3 * (v / 2 % 4))) & 7u;
            gguf_put_shifted(d * static_cast<float>(2 * s + 1),
                             &gguf_iq1_grid[8 * static_cast<std::size_t>(vector)], (high & 8) != 0,
                             out + 8 * v);
        }
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
