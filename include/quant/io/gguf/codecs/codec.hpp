// What the readers and writers of all of GGUF's block types have in common.
//
// A type is plain numbers, or a composition of the library's policies: codes, and numbers of
// groups. The bytes of a composition are read in one place, for products (io/gguf/load.hpp) and for
// decoding alike. Decoding reproduces what is stored, NaN and infinity included. Results are
// bit-identical everywhere, also where the compiler fuses products into adds: a product that feeds
// an add is always exact in float, so that fusing changes nothing. Source: the ggml project's
// definitions.
#pragma once

#include <quant/core/half.hpp>
#include <quant/core/little_endian.hpp>
#include <quant/io/gguf/types.hpp>
#include <quant/policy/presets.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace quant::inline QUANT_ABI {
namespace detail {

/// How a type's block is read and written. A specialization for plain numbers has
/// `static void decode(const std::byte* block, float* out)`; one for a composition derives from
/// gguf_composition and has
/// `static void read(const std::byte* block, std::uint8_t* codes, const numbers& to)`, which writes
/// a code for each weight that gguf_blocks says, and the numbers of all groups. A composition for
/// which not every block has codes has `static bool fits(const std::byte* block)`, too. Types that
/// tensors are encoded as also have
/// `static void write(const std::uint8_t* codes, const given_numbers& from, std::byte* block)`, the
/// inverse of read, which writes all bytes of the block.
template <gguf::type T>
struct gguf_codec;

/// Where the numbers of a block's groups go, or come from; null for what the scheme has not.
template <quantization_scheme S, bool Writable = true>
struct gguf_numbers {
    template <class T>
    using part = std::conditional_t<Writable, T, const T>;

    part<typename S::scale_type>* scales = nullptr;
    part<typename S::offset_type>* offsets = nullptr;
    part<typename S::super_type>* supers = nullptr;
    part<typename S::super_type>* super_minimums = nullptr;

    /// Goes on by so many groups and super-groups.
    void advance(std::size_t groups, std::size_t super_groups) noexcept {
        scales += groups;
        if constexpr (S::has_offset) offsets += groups;
        if constexpr (S::is_two_level) supers += super_groups;
        if constexpr (S::is_two_level && S::has_minimum) super_minimums += super_groups;
    }
};

/// A type whose weights are those of scheme S.
template <quantization_scheme S>
struct gguf_composition {
    using scheme = S;
    using numbers = gguf_numbers<S>;
    using given_numbers = gguf_numbers<S, false>;

    /// What a code stands for, before the scale; 0 for codes that no block is read as.
    [[nodiscard]] static constexpr float level(int code) noexcept {
        return S::is_level(code) ? S::unit * S::step(code) : 0.0f;
    }
};

template <gguf::type T>
concept gguf_is_composition = requires { typename gguf_codec<T>::scheme; };

/// How many groups, and super-groups, a block of a type has.
template <gguf::type T>
inline constexpr std::size_t gguf_groups =
    gguf_find_block(T)->weights / gguf_codec<T>::scheme::group_cols;
template <gguf::type T>
inline constexpr std::size_t gguf_supers = gguf_groups<T> / gguf_codec<T>::scheme::super_groups;

/// Levels of all bytes that codes can be.
template <gguf::type T>
inline constexpr auto gguf_levels = [] {
    constexpr std::size_t codes = std::size_t{1} << gguf_codec<T>::scheme::bits;
    std::array<float, codes> levels{};
    for (std::size_t u = 0; u < codes; ++u) levels[u] = gguf_codec<T>::level(static_cast<int>(u));
    return levels;
}();

/// Whether each level is one more than the one before: of integers, and of tables like ternary's.
template <gguf::type T>
inline constexpr bool gguf_counts = [] {
    using S = typename gguf_codec<T>::scheme;
    bool counts = true;
    for (std::size_t u = 1; u <= std::size_t{S::max_code}; ++u) {
        counts = counts && gguf_levels<T>[u] == gguf_levels<T>[u - 1] + 1.0f;
    }
    return counts;
}();

/// Decodes a block of a composition: scale times level, plus the minimum where there is one.
template <gguf::type T>
void gguf_decode_composition(const std::byte* block, float* out) noexcept {
    using codec = gguf_codec<T>;
    using S = typename codec::scheme;
    constexpr std::size_t group = S::group_cols;
    static_assert(gguf_supers<T> * S::super_groups * group == gguf_find_block(T)->weights);
    std::uint8_t codes[gguf_groups<T> * group];
    typename S::scale_type scales[gguf_groups<T>];
    typename S::offset_type offsets[gguf_groups<T>];
    typename S::super_type supers[gguf_supers<T>], super_minimums[gguf_supers<T>];
    codec::read(block, codes, {scales, offsets, supers, super_minimums});
    for (std::size_t g = 0; g < gguf_groups<T>; ++g) {
        float scale = 0, minimum = 0;
        if constexpr (S::is_two_level) {
            const std::size_t s = g / S::super_groups;
            scale = static_cast<float>(supers[s]) * static_cast<float>(S::scale_value(scales[g]));
            if constexpr (S::has_minimum) {
                minimum = static_cast<float>(super_minimums[s]) * static_cast<float>(offsets[g]);
            }
        } else {
            scale = static_cast<float>(scales[g]);
            if constexpr (S::has_minimum) minimum = static_cast<float>(offsets[g]);
        }
        for (std::size_t i = g * group; i < (g + 1) * group; ++i) {
            float level = 0;
            if constexpr (gguf_counts<T>) {
                level = static_cast<float>(codes[i] + static_cast<int>(gguf_levels<T>[0]));
            } else if constexpr (S::is_linear) {
                level = S::step(codes[i]);
            } else {
                level = gguf_levels<T>[codes[i]];
            }
            out[i] = scale * level;
            if constexpr (S::has_minimum) out[i] += minimum;
        }
    }
}

[[nodiscard]] inline fp16 gguf_fp16_at(const std::byte* at) noexcept {
    return fp16::from_bits(load_le<std::uint16_t>(at));
}

inline void gguf_put_fp16(std::byte* at, fp16 number) noexcept { store_le(at, number.bits); }

[[nodiscard]] inline fp16 gguf_negated(fp16 number) noexcept {
    return fp16::from_bits(static_cast<std::uint16_t>(number.bits ^ 0x8000u));
}

/// `count` bits of a byte, from bit `first` on.
[[nodiscard]] inline int gguf_bits(std::byte from, std::size_t first, int count) noexcept {
    return (std::to_integer<int>(from) >> first) & ((1 << count) - 1);
}

/// Code i of 4 bits each, two to a byte, the low half first.
[[nodiscard]] inline int gguf_nibble(const std::byte* from, std::size_t i) noexcept {
    return gguf_bits(from[i / 2], 4 * (i % 2), 4);
}

/// 2·Half codes of 4 bits: code j in the low half of byte j, code j + Half in the high half.
template <std::size_t Half>
void gguf_read_halves(const std::byte* from, std::uint8_t* codes) noexcept {
    std::byte pairs[Half]; // a copy, which no write to the codes can change
    std::memcpy(pairs, from, Half);
    for (std::size_t j = 0; j < Half; ++j) {
        codes[j] = std::to_integer<std::uint8_t>(pairs[j] & std::byte{15});
        codes[j + Half] = std::to_integer<std::uint8_t>(pairs[j] >> 4);
    }
}

/// The inverse of gguf_read_halves, of the low four bits of each code.
template <std::size_t Half>
void gguf_write_halves(const std::uint8_t* codes, std::byte* to) noexcept {
    for (std::size_t j = 0; j < Half; ++j) {
        to[j] = static_cast<std::byte>((codes[j] & 15) | (codes[j + Half] & 15) << 4);
    }
}

/// Writes `Count` bits of each of 32 neighbouring codes, from bit `from` of the code on, to bit
/// `first` of a byte each, whose bits there are zero.
template <int Count>
void gguf_write_row(const std::uint8_t* codes, int from, std::byte* to,
                    std::size_t first) noexcept {
    for (std::size_t l = 0; l < 32; ++l) {
        const int bits = (codes[l] >> from) & ((1 << Count) - 1);
        to[l] |= static_cast<std::byte>(bits << first);
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
