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
#include <quant/simd/convert.hpp>
#include <quant/simd/lookup.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
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

/// Levels of a table before the unit, 128 more so that they are bytes without sign.
template <gguf::type T>
inline constexpr auto gguf_steps = [] {
    std::array<std::uint8_t, 128> steps{};
    for (std::size_t u = 0; u < gguf_levels<T>.size(); ++u) {
        const float step = gguf_levels<T>[u] / gguf_codec<T>::scheme::unit;
        steps[u] = static_cast<std::uint8_t>(static_cast<int>(step) + 128);
    }
    return steps;
}();

/// Levels of sixteen codes.
template <gguf::type T>
[[nodiscard]] QUANT_DETAIL_INLINE simd::f32x16
gguf_load_levels(const std::uint8_t* codes) noexcept {
    using S = typename gguf_codec<T>::scheme;
    const auto same = [](int value) { return simd::broadcast<std::int32_t>(value); };
    const simd::i32x16 code = simd::load_u8(codes);
    if constexpr (gguf_counts<T>) {
        return simd::to_float(code + same(static_cast<int>(gguf_levels<T>[0])));
    } else if constexpr (S::is_linear) {
        static_assert(S::multiplier == 2);
        return simd::to_float(code + code - same(S::offset));
    } else {
        static_assert(S::has_integer_steps);
        const auto found = simd::lookup_bytes<gguf_levels<T>.size()>(gguf_steps<T>, code);
        const auto step = simd::to_float((found & same(255)) - same(128));
        return S::unit == 1 ? step : step * simd::broadcast(S::unit);
    }
}

/// Weights of a group: scale times level, plus the minimum where there is one.
template <gguf::type T>
void gguf_decode_group(const std::uint8_t* codes, float scale, float minimum, float* out) noexcept {
    using S = typename gguf_codec<T>::scheme;
    constexpr std::size_t group = S::group_cols;
    if constexpr (!gguf_counts<T> && !S::is_linear && !simd::has_byte_lookup) {
        // There are no more levels than weights, so that these products are the fewest.
        float weights[gguf_levels<T>.size()];
        static_assert(std::size(weights) <= group && !S::has_minimum);
        for (std::size_t u = 0; u < std::size(weights); ++u) weights[u] = scale * gguf_levels<T>[u];
        for (std::size_t i = 0; i < group; ++i) out[i] = weights[codes[i]];
    } else {
        static_assert(group % 16 == 0);
        for (std::size_t i = 0; i < group; i += 16) {
            auto weight = simd::broadcast(scale) * gguf_load_levels<T>(codes + i);
            if constexpr (S::has_minimum) weight = weight + simd::broadcast(minimum);
            simd::store(out + i, weight);
        }
    }
}

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
        gguf_decode_group<T>(codes + g * group, scale, minimum, out + g * group);
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

// Eight bytes are handled as one number, whose lowest byte is the first: codes of a row have the
// same bits of neighbouring bytes, so that a shift and a mask take eight of them at once.

inline constexpr std::uint64_t gguf_each = 0x0101010101010101; ///< times b: b in all bytes

/// Of each of eight bytes the bits of `mask`, from bit `first` on.
[[nodiscard]] inline std::uint64_t gguf_eight(const std::byte* from, std::size_t first,
                                              unsigned mask) noexcept {
    return load_le<std::uint64_t>(from) >> first & mask * gguf_each;
}

/// Eight bits as eight bytes of 0 or 1.
[[nodiscard]] inline std::uint64_t gguf_spread_bits(unsigned bits) noexcept {
    // Byte j keeps bit j; adding 127 makes its highest bit tell whether there was one.
    const std::uint64_t kept = bits * gguf_each & 0x8040201008040201;
    return (kept + 127 * gguf_each) >> 7 & gguf_each;
}

/// Eight codes, the first lowest.
inline void gguf_put_eight(std::uint8_t* codes, std::uint64_t eight) noexcept {
    if constexpr (std::endian::native == std::endian::little) {
        std::memcpy(codes, &eight, sizeof eight);
    } else {
        for (int j = 0; j < 8; ++j) codes[j] = static_cast<std::uint8_t>(eight >> 8 * j);
    }
}

/// 2·Half codes of 4 bits: code j in the low half of byte j, code j + Half in the high half.
template <std::size_t Half>
void gguf_read_halves(const std::byte* from, std::uint8_t* codes) noexcept {
    for (std::size_t j = 0; j < Half; j += 8) {
        gguf_put_eight(codes + j, gguf_eight(from + j, 0, 15));
        gguf_put_eight(codes + j + Half, gguf_eight(from + j, 4, 15));
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
