// GGUF's blocks of vectors from a codebook: IQ1, IQ2 and IQ3, 256 weights per block.
//
// A weight is scale · coordinate, with a sign of its own (IQ2, IQ3) or a shift of the whole vector
// by an eighth (IQ1). There are few different coordinates, so that each has a code of its own,
// whose level is the signed coordinate or, shifted, eight times it (policy/presets.hpp); fractions
// of the scale go into the super-scale, which is a float then. Every product is exact: fp16 scale
// times group scale times level has at most 11 + 5 + 6 bits.
#pragma once

#include <quant/io/gguf/codecs/codec.hpp>
#include <quant/io/gguf/codecs/iq_grids.hpp>

#include <array>
#include <bit>

namespace quant::inline QUANT_ABI {
namespace detail {

/// The coordinates of a codebook's vectors, one after the other, as their numbers in the table of
/// values: Length each, Bits per coordinate in a packed vector.
template <std::size_t Length, unsigned Bits, std::size_t Vectors>
[[nodiscard]] consteval auto gguf_grid(const std::uint16_t (&vectors)[Vectors]) {
    std::array<std::uint8_t, Length * Vectors> made{};
    std::size_t at = 0;
    for (const unsigned vector : vectors) {
        for (unsigned j = 0; j < Length; ++j) {
            made[at++] = static_cast<std::uint8_t>((vector >> (Bits * j)) & ((1u << Bits) - 1u));
        }
    }
    return made;
}

alignas(64) inline constexpr auto gguf_iq1_grid = gguf_grid<8, 2>(gguf_iq1_vectors);
alignas(64) inline constexpr auto gguf_iq2_xxs_grid = gguf_grid<8, 2>(gguf_iq2_xxs_vectors);
alignas(64) inline constexpr auto gguf_iq2_xs_grid = gguf_grid<8, 2>(gguf_iq2_xs_vectors);
alignas(64) inline constexpr auto gguf_iq2_s_grid = gguf_grid<8, 2>(gguf_iq2_s_vectors);
alignas(64) inline constexpr auto gguf_iq3_xxs_grid = gguf_grid<4, 3>(gguf_iq3_xxs_vectors);
alignas(64) inline constexpr auto gguf_iq3_s_grid = gguf_grid<4, 3>(gguf_iq3_s_vectors);

/// Whether S has the values and their negatives as levels: value i is the level of code Values + i,
/// its negative that of Values − 1 − i.
template <quantization_scheme S, std::size_t Values>
[[nodiscard]] consteval bool gguf_has_signed(const std::int8_t (&values)[Values]) {
    bool has = S::max_code == 2 * Values - 1;
    for (int i = 0; i < static_cast<int>(Values); ++i) {
        const auto value = static_cast<float>(values[i]);
        const int code = static_cast<int>(Values) + i;
        has = has && S::step(code) == value && S::step(S::max_code - code) == -value;
    }
    return has;
}
static_assert(gguf_has_signed<presets::iq2_xxs>(gguf_iq2_xxs_values));
static_assert(gguf_has_signed<presets::iq2_s>(gguf_iq2_xs_values));
static_assert(gguf_has_signed<presets::iq2_s>(gguf_iq2_s_values));
static_assert(gguf_has_signed<presets::iq3_xxs>(gguf_iq3_xxs_values));
static_assert(gguf_has_signed<presets::iq3_s>(gguf_iq3_s_values));

/// The eight signs that seven bits stand for: the eighth makes the number of minuses even.
[[nodiscard]] inline unsigned gguf_even_signs(unsigned seven) noexcept {
    return seven | (static_cast<unsigned>(std::popcount(seven)) & 1u) << 7;
}

/// Count codes of coordinates, negative where the bit of `signs` is set.
template <quantization_scheme S, std::size_t Count>
void gguf_put_signed(const std::uint8_t* coordinates, unsigned signs,
                     std::uint8_t* codes) noexcept {
    constexpr unsigned values = (S::max_code + 1) / 2;
    for (std::size_t j = 0; j < Count; ++j) {
        const unsigned positive = values + coordinates[j];
        codes[j] = static_cast<std::uint8_t>(
            (signs >> j & 1u) != 0 ? unsigned{S::max_code} - positive : positive);
    }
}

/// Eight codes of levels 8·coordinate ± 1: −9, −7, −1, 1, 7, 9.
inline void gguf_put_shifted(const std::uint8_t* coordinates, bool down,
                             std::uint8_t* codes) noexcept {
    for (std::size_t j = 0; j < 8; ++j) {
        codes[j] = static_cast<std::uint8_t>(2 * coordinates[j] + (down ? 0 : 1));
    }
}
static_assert([] {
    bool right = presets::iq1_s::max_code == 5;
    for (int u = 0; u <= 5; ++u) {
        right = right && presets::iq1_s::step(u) ==
                             static_cast<float>(8 * gguf_iq1_values[u / 2] + (u % 2 == 0 ? -1 : 1));
    }
    return right;
}());

/// 2·s + 1.
[[nodiscard]] inline std::uint8_t gguf_odd(unsigned s) noexcept {
    return static_cast<std::uint8_t>(2 * s + 1);
}

/// w = d·(s + ½)/4·(±coordinate): fp16 d, then for each 32 weights 4 bytes of vector numbers and a
/// 32-bit word: four times seven bits of signs, then 4 bits of s.
template <>
struct gguf_codec<gguf::type::iq2_xxs> : gguf_composition<presets::iq2_xxs> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.supers[0] = 0.125f * static_cast<float>(gguf_fp16_at(block));
        for (std::size_t g = 0; g < 8; ++g) {
            const std::byte* const vectors = block + 2 + 8 * g;
            const auto word = load_le<std::uint32_t>(vectors + 4);
            to.scales[g] = gguf_odd(word >> 28);
            for (std::size_t v = 0; v < 4; ++v) {
                const auto vector = std::to_integer<std::size_t>(vectors[v]);
                gguf_put_signed<scheme, 8>(&gguf_iq2_xxs_grid[8 * vector],
                                           gguf_even_signs((word >> (7 * v)) & 127u),
                                           codes + 32 * g + 8 * v);
            }
        }
    }
};

/// w = d·(s + ½)/4·(±coordinate): fp16 d; 32 words of 16 bits, 9 for the vector and 7 for its
/// signs; 16 scales s of 4 bits for 16 weights each.
template <>
struct gguf_codec<gguf::type::iq2_xs> : gguf_composition<presets::iq2_s> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.supers[0] = 0.125f * static_cast<float>(gguf_fp16_at(block));
        for (std::size_t g = 0; g < 16; ++g) {
            to.scales[g] = gguf_odd(static_cast<unsigned>(gguf_nibble(block + 66, g)));
        }
        for (std::size_t v = 0; v < 32; ++v) {
            const auto word = load_le<std::uint16_t>(block + 2 + 2 * v);
            gguf_put_signed<scheme, 8>(&gguf_iq2_xs_grid[8 * std::size_t{word & 511u}],
                                       gguf_even_signs(word >> 9), codes + 8 * v);
        }
    }
};

/// w = d·(s + ½)/4·(±coordinate): fp16 d; 32 bytes of vector numbers; 32 of signs; 8 with the two
/// high bits of four vector numbers each; 16 scales s of 4 bits for 16 weights each.
template <>
struct gguf_codec<gguf::type::iq2_s> : gguf_composition<presets::iq2_s> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.supers[0] = 0.125f * static_cast<float>(gguf_fp16_at(block));
        for (std::size_t g = 0; g < 16; ++g) {
            to.scales[g] = gguf_odd(static_cast<unsigned>(gguf_nibble(block + 74, g)));
        }
        for (std::size_t v = 0; v < 32; ++v) {
            const int vector = std::to_integer<int>(block[2 + v]) |
                               gguf_bits(block[66 + v / 4], 2 * (v % 4), 2) << 8;
            gguf_put_signed<scheme, 8>(&gguf_iq2_s_grid[8 * static_cast<std::size_t>(vector)],
                                       std::to_integer<unsigned>(block[34 + v]), codes + 8 * v);
        }
    }
};

/// w = d·(s + ½)/2·(±coordinate): fp16 d; 64 bytes of vector numbers; for each 32 weights a 32-bit
/// word as in iq2_xxs. A vector has four coordinates, so that two share seven bits of signs.
template <>
struct gguf_codec<gguf::type::iq3_xxs> : gguf_composition<presets::iq3_xxs> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.supers[0] = 0.25f * static_cast<float>(gguf_fp16_at(block));
        for (std::size_t g = 0; g < 8; ++g) {
            const auto word = load_le<std::uint32_t>(block + 66 + 4 * g);
            to.scales[g] = gguf_odd(word >> 28);
            for (std::size_t v = 0; v < 8; ++v) {
                const unsigned signs = gguf_even_signs((word >> (7 * (v / 2))) & 127u);
                const auto vector = std::to_integer<std::size_t>(block[2 + 8 * g + v]);
                gguf_put_signed<scheme, 4>(&gguf_iq3_xxs_grid[4 * vector], signs >> (4 * (v % 2)),
                                           codes + 32 * g + 4 * v);
            }
        }
    }
};

/// w = d·(2·s + 1)·(±coordinate): fp16 d; 64 bytes of vector numbers; 8 with their ninth bits; 32
/// of signs; 8 scales s of 4 bits for 32 weights each.
template <>
struct gguf_codec<gguf::type::iq3_s> : gguf_composition<presets::iq3_s> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.supers[0] = gguf_fp16_at(block);
        for (std::size_t g = 0; g < 8; ++g) {
            to.scales[g] = gguf_odd(static_cast<unsigned>(gguf_nibble(block + 106, g)));
        }
        for (std::size_t v = 0; v < 64; ++v) {
            const int vector =
                std::to_integer<int>(block[2 + v]) | gguf_bits(block[66 + v / 8], v % 8, 1) << 8;
            gguf_put_signed<scheme, 4>(
                &gguf_iq3_s_grid[4 * static_cast<std::size_t>(vector)],
                std::to_integer<unsigned>(block[74 + v / 2]) >> (4 * (v % 2)), codes + 4 * v);
        }
    }
};

/// w = d·(2·s + 1)·(coordinate ± ⅛): fp16 d; 32 bytes of vector numbers; for each 32 weights a word
/// of 16 bits: four times the high three bits of a vector number, 3 bits of s, then a bit that is
/// set for − ⅛.
template <>
struct gguf_codec<gguf::type::iq1_s> : gguf_composition<presets::iq1_s> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.supers[0] = 0.125f * static_cast<float>(gguf_fp16_at(block));
        for (std::size_t g = 0; g < 8; ++g) {
            const unsigned word = load_le<std::uint16_t>(block + 34 + 2 * g);
            to.scales[g] = gguf_odd((word >> 12) & 7u);
            for (std::size_t v = 0; v < 4; ++v) {
                const unsigned vector =
                    std::to_integer<unsigned>(block[2 + 4 * g + v]) | ((word >> (3 * v)) & 7u) << 8;
                gguf_put_shifted(&gguf_iq1_grid[8 * std::size_t{vector}], (word & 0x8000u) != 0,
                                 codes + 32 * g + 8 * v);
            }
        }
    }
};

/// w = d·(2·s + 1)·(coordinate ± ⅛): 32 bytes of vector numbers; for each of them 4 bits, its high
/// three and one that is set for − ⅛; four words of 16 bits: 3 bits of s for each of four times 16
/// weights, then 4 bits of d. The first word has d's lowest bits.
template <>
struct gguf_codec<gguf::type::iq1_m> : gguf_composition<presets::iq1_m> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        unsigned d_bits = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            const unsigned word = load_le<std::uint16_t>(block + 48 + 2 * i);
            d_bits |= (word >> 12) << (4 * i);
            for (std::size_t g = 0; g < 4; ++g) {
                to.scales[4 * i + g] = gguf_odd((word >> (3 * g)) & 7u);
            }
        }
        const auto d = static_cast<float>(fp16::from_bits(static_cast<std::uint16_t>(d_bits)));
        to.supers[0] = 0.125f * d;
        for (std::size_t v = 0; v < 32; ++v) {
            const int high = gguf_nibble(block + 32, v);
            const int vector = std::to_integer<int>(block[v]) | (high & 7) << 8;
            gguf_put_shifted(&gguf_iq1_grid[8 * static_cast<std::size_t>(vector)], (high & 8) != 0,
                             codes + 8 * v);
        }
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
