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

/// Eight codes of coordinates, negative where the bit of `signs` is set.
template <quantization_scheme S>
void gguf_put_signed(std::uint64_t coordinates, unsigned signs, std::uint8_t* codes) noexcept {
    constexpr unsigned values = (S::max_code + 1) / 2;
    // No byte exceeds max_code, so that neither sum nor difference reaches its neighbour.
    const std::uint64_t positive = coordinates + values * gguf_each;
    const std::uint64_t negative = unsigned{S::max_code} * gguf_each - positive;
    const std::uint64_t is_negative = gguf_spread_bits(signs & 255u) * 255;
    gguf_put_eight(codes, positive ^ ((positive ^ negative) & is_negative));
}

/// Eight coordinates: a vector of eight, or two of four.
template <std::size_t N>
[[nodiscard]] std::uint64_t gguf_vector(const std::array<std::uint8_t, N>& grid,
                                        std::size_t vector) noexcept {
    return load_le<std::uint64_t>(reinterpret_cast<const std::byte*>(grid.data()) + 8 * vector);
}
template <std::size_t N>
[[nodiscard]] std::uint64_t gguf_vectors(const std::array<std::uint8_t, N>& grid, std::size_t first,
                                         std::size_t second) noexcept {
    const auto* const from = reinterpret_cast<const std::byte*>(grid.data());
    return load_le<std::uint32_t>(from + 4 * first) |
           std::uint64_t{load_le<std::uint32_t>(from + 4 * second)} << 32;
}

/// Eight codes of levels 8·coordinate ± 1: −9, −7, −1, 1, 7, 9.
inline void gguf_put_shifted(std::uint64_t coordinates, bool down, std::uint8_t* codes) noexcept {
    gguf_put_eight(codes, 2 * coordinates + (down ? 0 : gguf_each));
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
                gguf_put_signed<scheme>(gguf_vector(gguf_iq2_xxs_grid, vector),
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
            gguf_put_signed<scheme>(gguf_vector(gguf_iq2_xs_grid, word & 511u),
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
            gguf_put_signed<scheme>(gguf_vector(gguf_iq2_s_grid, static_cast<std::size_t>(vector)),
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
            for (std::size_t v = 0; v < 4; ++v) {
                const std::byte* const two = block + 2 + 8 * g + 2 * v;
                gguf_put_signed<scheme>(
                    gguf_vectors(gguf_iq3_xxs_grid, std::to_integer<std::size_t>(two[0]),
                                 std::to_integer<std::size_t>(two[1])),
                    gguf_even_signs((word >> (7 * v)) & 127u), codes + 32 * g + 8 * v);
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
        for (std::size_t v = 0; v < 32; ++v) {
            const auto vector = [&](std::size_t i) {
                return static_cast<std::size_t>(std::to_integer<int>(block[2 + i]) |
                                                gguf_bits(block[66 + i / 8], i % 8, 1) << 8);
            };
            gguf_put_signed<scheme>(gguf_vectors(gguf_iq3_s_grid, vector(2 * v), vector(2 * v + 1)),
                                    std::to_integer<unsigned>(block[74 + v]), codes + 8 * v);
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
                gguf_put_shifted(gguf_vector(gguf_iq1_grid, vector), (word & 0x8000u) != 0,
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
            gguf_put_shifted(gguf_vector(gguf_iq1_grid, static_cast<std::size_t>(vector)),
                             (high & 8) != 0, codes + 8 * v);
        }
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
