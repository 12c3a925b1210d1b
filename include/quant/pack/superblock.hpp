// Superblocks from rows of codes and back: 16 rows × 32 columns, one byte per code.
//
// A plane's line holds the bits of 8 / bits quads; those of quads s and of quads s + 4 lie alike in
// two lines (or, of 1 bit, in two halves of the bytes of one). Vectors hold both (simd/tile.hpp),
// so bits are moved for two quads at once, before they are told apart.
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
    /// The plane's bits in each byte of codes, moved to the left by `up`.
    [[nodiscard]] static constexpr std::int32_t mask_at(int up) noexcept {
        const auto ones = ((1u << bits) - 1u) << (before + up);
        return static_cast<std::int32_t>((ones & 0xFFu) * 0x01010101u);
    }
    /// How far to the left of these field number `field` of a line lies.
    [[nodiscard]] static constexpr int up(std::size_t field) noexcept {
        return bits * static_cast<int>(field) - before;
    }
    /// Where the first field of what collect_fields gives begins: a plane of 1 bit is not shifted
    /// further than it must be, since the two halves of a line are shifted anyway.
    static constexpr int first_bit = bits > 1 ? 0 : before <= 4 ? before : 3;
};

using lane_codes = simd::native<std::int32_t>;

/// Shift by a signed compile-time amount, to the left if positive.
template <int N>
QUANT_DETAIL_INLINE lane_codes shift_up(lane_codes codes) noexcept {
    if constexpr (N > 0) return simd::native_shift_left<N>(codes);
    if constexpr (N < 0) return simd::native_shift_right<-N>(codes);
    return codes;
}

/// line | the plane's bits of codes, moved to the left by `Up`.
template <class Plane, int Up>
QUANT_DETAIL_INLINE lane_codes join_field(lane_codes line, lane_codes codes) noexcept {
    if constexpr (isa::current::vector_bytes == 64) { // mask and union are one instruction
        return simd::native_merge_bits(shift_up<Up>(codes),
                                       simd::native_broadcast(Plane::mask_at(Up)), line);
    } else { // one mask for all fields
        return line | shift_up<Up>(codes & simd::native_broadcast(Plane::mask_at(0)));
    }
}

/// The plane's fields of as many vectors of codes as share a line, from bit Plane::first_bit on.
template <class Plane>
QUANT_DETAIL_INLINE lane_codes collect_fields(const lane_codes* codes) noexcept {
    constexpr bool one_by_one = Plane::bits == 1 && Plane::first_bit == Plane::before;
    constexpr std::size_t start = one_by_one ? Plane::quads - 1 : 0;
    constexpr int first_up = one_by_one ? 0 : Plane::up(0) + Plane::first_bit;
    lane_codes line = codes[start];
    if constexpr (Plane::bits < 8) {
        line = shift_up<first_up>(line & simd::native_broadcast(Plane::mask_at(0)));
    }
    unroll<Plane::quads - 1>([&](auto i) QUANT_DETAIL_LAMBDA {
        if constexpr (one_by_one) { // unlike shifts, sums take no port that shuffles need
            line = join_field<Plane, 0>(line + line, codes[start - 1 - i]);
        } else {
            line = join_field<Plane, Plane::up(i + 1) + Plane::first_bit>(line, codes[i + 1]);
        }
    });
    return line;
}

/// Adds the plane's fields to vectors of codes; the first plane also clears all other bits.
template <class Plane>
QUANT_DETAIL_INLINE void spread_fields(lane_codes line, lane_codes* codes) noexcept {
    lane_codes moved = line;
    unroll<Plane::quads>([&](auto i) QUANT_DETAIL_LAMBDA {
        constexpr std::size_t field = Plane::quads - 1 - i;
        constexpr int up = -Plane::up(field);
        if constexpr (Plane::bits == 1 && i > 0 && up > 0) { // the last one's, one bit further
            moved = moved + moved;
        } else {
            moved = shift_up<up>(line);
        }
        if constexpr (Plane::bits == 8) {
            codes[field] = moved;
        } else if constexpr (Plane::before == 0) {
            codes[field] = moved & simd::native_broadcast(Plane::mask_at(0));
        } else {
            codes[field] = simd::native_merge_bits(moved, simd::native_broadcast(Plane::mask_at(0)),
                                                   codes[field]);
        }
    });
}

/// The planes of a block of codes, vector by vector.
template <int B>
struct block_fields {
    lane_codes of[planes<B>::count][4];
};
template <int B>
QUANT_DETAIL_INLINE block_fields<B> collect_block(const simd::tile_block& block) noexcept {
    block_fields<B> made;
    unroll<planes<B>::count>([&](auto i) QUANT_DETAIL_LAMBDA {
        using plane = tile_plane<B, i>;
        unroll<plane::vectors>([&](auto v) QUANT_DETAIL_LAMBDA {
            made.of[i][v] = collect_fields<plane>(block.quads + v * plane::quads);
        });
    });
    return made;
}

/// Writes some lanes of a line.
QUANT_DETAIL_INLINE void store_piece(std::byte* to, lane_codes fields) noexcept {
    simd::native_store<std::int32_t>(to, simd::native_little_endian(fields));
}

/// Writes a superblock: all its bytes, from 16 rows of 32 codes, `stride` apart.
template <int B>
QUANT_DETAIL_INLINE void encode_superblock(const std::byte* codes, std::size_t stride,
                                           std::byte* superblock) noexcept {
    unroll<simd::tile_blocks / 2>([&](auto p) QUANT_DETAIL_LAMBDA {
        const auto first = collect_block<B>(simd::load_block<2 * p>(codes, stride));
        const auto second = collect_block<B>(simd::load_block<2 * p + 1>(codes, stride));
        unroll<planes<B>::count>([&](auto i) QUANT_DETAIL_LAMBDA {
            using plane = tile_plane<B, i>;
            unroll<plane::vectors>([&](auto v) QUANT_DETAIL_LAMBDA {
                const auto pieces = simd::deal(first.of[i][v], second.of[i][v]);
                std::byte* to =
                    superblock + (plane::first_line + v) * line_bytes + p * sizeof(lane_codes);
                if constexpr (plane::bits == 1) {
                    store_piece(to, shift_up<-plane::first_bit>(pieces.low) |
                                        shift_up<4 - plane::first_bit>(pieces.high));
                } else {
                    store_piece(to, pieces.low);
                    store_piece(to + plane::vectors * line_bytes, pieces.high);
                }
            });
        });
    });
}

/// A block of codes: lines(low, high) loads its lanes of two lines, given by their places in the
/// superblock; nibbles(line) those of one whose bytes hold the second ones in their upper halves.
template <int B, class Lines, class Nibbles>
QUANT_DETAIL_INLINE simd::tile_block decode_block_of(const Lines& lines,
                                                     const Nibbles& nibbles) noexcept {
    simd::tile_block block;
    unroll<planes<B>::count>([&](auto i) QUANT_DETAIL_LAMBDA {
        using plane = tile_plane<B, i>;
        unroll<plane::vectors>([&](auto v) QUANT_DETAIL_LAMBDA {
            constexpr std::size_t line = (plane::first_line + v) * line_bytes;
            lane_codes fields;
            if constexpr (plane::bits == 1) {
                fields = nibbles(line);
            } else {
                fields = lines(line, line + plane::vectors * line_bytes);
            }
            spread_fields<plane>(fields, block.quads + v * plane::quads);
        });
    });
    return block;
}

/// Block b of a superblock's codes.
template <int B, std::size_t Block>
QUANT_DETAIL_INLINE simd::tile_block decode_block(const std::byte* superblock) noexcept {
    return decode_block_of<B>(
        [=](std::size_t low, std::size_t high) QUANT_DETAIL_LAMBDA {
            return simd::load_lines<Block>(superblock + low, superblock + high);
        },
        [=](std::size_t line)
            QUANT_DETAIL_LAMBDA { return simd::load_nibbles<Block>(superblock + line); });
}

/// Reads the codes of superblocks at N places of a panel to 16 rows of N · 32 bytes, `stride`
/// apart. Two fill a cache line of each row: where rows lie apart by a power of two, sixteen such
/// lines do not stay in the cache until the next superblock.
template <int B, std::size_t N>
QUANT_DETAIL_INLINE void decode_side_by_side(const std::byte* panel, const std::size_t (&places)[N],
                                             std::size_t stride, std::byte* codes) noexcept {
    unroll<simd::tile_blocks>([&](auto b) QUANT_DETAIL_LAMBDA {
        simd::tile_block blocks[N];
        unroll<N>([&](auto n) QUANT_DETAIL_LAMBDA {
            blocks[n] = decode_block<B, b>(panel + places[n]);
        });
        simd::store_blocks<b>(codes, stride, blocks);
    });
}
#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
/// The same of two, as one wide tile.
template <int B>
QUANT_DETAIL_INLINE void decode_side_by_side(const std::byte* panel, const std::size_t (&places)[2],
                                             std::size_t stride, std::byte* codes) noexcept {
    const std::byte *first = panel + places[0], *second = panel + places[1];
    unroll<4>([&](auto b) QUANT_DETAIL_LAMBDA {
        const auto block = decode_block_of<B>(
            [=](std::size_t low, std::size_t high) QUANT_DETAIL_LAMBDA {
                return simd::load_wide_lines<b>(first + low, first + high, second + low,
                                                second + high);
            },
            [=](std::size_t line) QUANT_DETAIL_LAMBDA {
                return simd::load_wide_nibbles<b>(first + line, second + line);
            });
        simd::store_wide_block<b>(codes, stride, block);
    });
}
#endif

/// Superblocks first … last − 1 of a panel, which lie in chunks with a header before each.
struct superblock_run {
    std::size_t first = 0, last = 1;
    std::size_t per_chunk = 1;
    std::size_t header_bytes = 0;

    /// f(column after the first one, place in the panel) for each superblock of `Bytes` bytes.
    template <std::size_t Bytes, class F>
    QUANT_DETAIL_INLINE void for_each(F&& f) const noexcept {
        std::size_t within = first % per_chunk;
        std::size_t chunk = first / per_chunk * (header_bytes + per_chunk * Bytes);
        for (std::size_t b = first; b < last; within = 0) {
            const std::size_t end = b + std::min(per_chunk - within, last - b);
            std::size_t place = chunk + header_bytes + within * Bytes;
            for (; b < end; ++b, place += Bytes) f((b - first) * superblock_cols, place);
            chunk += header_bytes + per_chunk * Bytes;
        }
    }

    /// f(column after the first one, places) with the places of two superblocks, of the last one
    /// if their number is odd.
    template <std::size_t Bytes, class F>
    QUANT_DETAIL_INLINE void for_each_pair(F&& f) const noexcept {
        std::size_t pair[2] = {};
        for_each<Bytes>([&](std::size_t col, std::size_t place) QUANT_DETAIL_LAMBDA {
            if (col % (2 * superblock_cols) == 0) {
                pair[0] = place;
            } else {
                pair[1] = place;
                f(col - superblock_cols, pair);
            }
        });
        if (const std::size_t n = last - first; n % 2 == 1) {
            const std::size_t single[1] = {pair[0]};
            f((n - 1) * superblock_cols, single);
        }
    }
};

/// Writes superblocks from 16 rows of codes, `stride` apart. Not inlined: one copy per bit width
/// serves all schemes.
template <int B>
QUANT_DETAIL_OUTLINE void encode_superblocks(const std::uint8_t* codes, std::size_t stride,
                                             const superblock_run& run, std::byte* panel) noexcept {
    const auto* from = reinterpret_cast<const std::byte*>(codes);
    run.for_each<B * line_bytes>([=](std::size_t col, std::size_t place) QUANT_DETAIL_LAMBDA {
        encode_superblock<B>(from + col, stride, panel + place);
    });
}

/// The inverse; not inlined either.
template <int B>
QUANT_DETAIL_OUTLINE void decode_superblocks(const std::byte* panel, const superblock_run& run,
                                             std::size_t stride, std::uint8_t* codes) noexcept {
    auto* to = reinterpret_cast<std::byte*>(codes);
    run.for_each_pair<B * line_bytes>([=](std::size_t col, auto& places) QUANT_DETAIL_LAMBDA {
        decode_side_by_side<B>(panel, places, stride, to + col);
    });
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
