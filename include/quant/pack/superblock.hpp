// Superblocks from rows of codes and back: 16 rows × 32 columns, one byte per code.
//
// Codes are loaded as tiles (simd/tile.hpp), in which a vector holds quads s and s + 4 of eight
// rows. A plane's line holds the bits of 8 / bits quads; those of quads s and of quads s + 4 lie
// alike in two lines (or, of 1 bit, in two halves of the bytes of one), so bits are moved before
// the quads are told apart.
#pragma once

#include <quant/pack/planes.hpp>
#include <quant/simd/tile.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Plane i of codes of B bits, as it lies in a tile.
template <int B, std::size_t I>
struct tile_plane {
    static constexpr int bits = planes<B>::bits(I);
    static constexpr int before = planes<B>::before(I);
    /// Quads of a vector of fields; a plane of 1 bit has as many again in the next four bits.
    static constexpr std::size_t quads = bits == 8 ? 1 : bits == 4 ? 2 : 4;
    static constexpr std::size_t vectors = 4 / quads;
    static constexpr std::size_t first_line = static_cast<std::size_t>(before);

    /// Ones for field number `field` in each byte.
    [[nodiscard]] static constexpr std::int32_t mask(std::size_t field) noexcept {
        const auto ones = ((1u << bits) - 1u) << (bits * static_cast<int>(field));
        return static_cast<std::int32_t>((ones & 0xFFu) * 0x01010101u);
    }
};

/// The plane's fields of as many vectors of codes as share a line.
template <class Plane>
QUANT_DETAIL_INLINE simd::i32x16 collect_fields(const simd::i32x16* codes) noexcept {
    auto line = shift_by<Plane::before>(codes[0]);
    unroll<Plane::quads - 1>([&](auto i) QUANT_DETAIL_LAMBDA {
        constexpr std::size_t field = i + 1;
        constexpr int up = Plane::bits * static_cast<int>(field) - Plane::before;
        line = simd::select_bits<Plane::mask(field)>(shift_by<-up>(codes[field]), line);
    });
    return line;
}

/// Adds the plane's fields to vectors of codes; the first plane also clears all other bits.
template <class Plane>
QUANT_DETAIL_INLINE void spread_fields(const simd::i32x16& line, simd::i32x16* codes) noexcept {
    unroll<Plane::quads>([&](auto field) QUANT_DETAIL_LAMBDA {
        constexpr int up = Plane::bits * static_cast<int>(field) - Plane::before;
        constexpr auto mask = static_cast<std::int32_t>(
            (((1u << Plane::bits) - 1u) << Plane::before & 0xFFu) * 0x01010101u);
        const auto bits = shift_by<up>(line);
        if constexpr (Plane::before != 0) {
            codes[field] = codes[field] | (bits & simd::broadcast<std::int32_t>(mask));
        } else if constexpr (Plane::bits == 8) {
            codes[field] = bits;
        } else {
            codes[field] = bits & simd::broadcast<std::int32_t>(mask);
        }
    });
}

/// Writes a superblock: all its bytes, from 16 rows of 32 codes, `stride` apart. Not inlined: one
/// copy per bit width serves all schemes.
template <int B>
QUANT_DETAIL_OUTLINE void encode_superblock(const std::uint8_t* codes, std::size_t stride,
                                            std::byte* superblock) noexcept {
    const auto* from = reinterpret_cast<const std::byte*>(codes);
    const simd::tile_part upper = simd::load_tile(from, stride);
    const simd::tile_part lower = simd::load_tile(from + 8 * stride, stride);
    unroll<planes<B>::count>([&](auto i) QUANT_DETAIL_LAMBDA {
        using plane = tile_plane<B, i>;
        unroll<plane::vectors>([&](auto v) QUANT_DETAIL_LAMBDA {
            const auto lines = simd::deal(collect_fields<plane>(upper.quads + v * plane::quads),
                                          collect_fields<plane>(lower.quads + v * plane::quads));
            std::byte* line = superblock + (plane::first_line + v) * line_bytes;
            if constexpr (plane::bits == 1) {
                constexpr auto lower_half = static_cast<std::int32_t>(0x0F0F0F0F);
                simd::store(line, simd::little_endian(simd::select_bits<lower_half>(
                                      lines.low, simd::shift_left<4>(lines.high))));
            } else {
                simd::store_line(line, lines.low);
                simd::store_line(line + plane::vectors * line_bytes, lines.high);
            }
        });
    });
}

/// Reads a superblock's codes to 16 rows of 32 bytes, `stride` apart; not inlined either.
template <int B>
QUANT_DETAIL_OUTLINE void decode_superblock(const std::byte* superblock, std::size_t stride,
                                            std::uint8_t* codes) noexcept {
    simd::tile_part upper, lower;
    unroll<planes<B>::count>([&](auto i) QUANT_DETAIL_LAMBDA {
        using plane = tile_plane<B, i>;
        unroll<plane::vectors>([&](auto v) QUANT_DETAIL_LAMBDA {
            const std::byte* line = superblock + (plane::first_line + v) * line_bytes;
            simd::two_lines lines;
            lines.low = simd::load_line(line);
            if constexpr (plane::bits == 1) {
                lines.high = simd::shift_right<4>(lines.low);
            } else {
                lines.high = simd::load_line(line + plane::vectors * line_bytes);
            }
            simd::i32x16 of_upper, of_lower;
            simd::gather(lines, of_upper, of_lower);
            spread_fields<plane>(of_upper, upper.quads + v * plane::quads);
            spread_fields<plane>(of_lower, lower.quads + v * plane::quads);
        });
    });
    auto* to = reinterpret_cast<std::byte*>(codes);
    simd::store_tile(to, stride, upper);
    simd::store_tile(to + 8 * stride, stride, lower);
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
