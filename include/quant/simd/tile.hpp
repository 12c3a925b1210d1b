// Tiles of 16 rows × 32 bytes: rows in memory, quads (four bytes of each row) in lanes.
//
// A superblock's line holds four consecutive columns of all rows. Tiles are taken block by block,
// four registers at a time: of their quarters of 16 bytes, even ones hold quads 0 … 3 of four rows,
// odd ones quads 4 … 7 of the same rows (registers of one quarter take these two in turn), so that
// whole rows are loaded and stored and only 4×4 quads within quarters are transposed.
//
// What is done lane by lane serves two quads at once. Towards lines, deal() then takes the quads of
// two blocks apart: they are two pieces of lines, as many lanes as a register has. From lines,
// loads bring them together.
#pragma once

#include <quant/simd/shuffle.hpp>

namespace quant::inline QUANT_ABI {
namespace simd {

/// Quads s and s + 4 of some rows.
struct tile_block {
    native<std::int32_t> quads[4];
};

/// Blocks of a tile; two neighbours make the pieces of a line that lie at their number's half.
inline constexpr std::size_t tile_blocks = 32 / native_size<std::int32_t>;

/// A register's lanes of two lines.
struct line_pieces {
    native<std::int32_t> low;  ///< of quads 0 … 3
    native<std::int32_t> high; ///< of quads 4 … 7
};

#if QUANT_DETAIL_SCALAR

/// Row and first byte of lane i of register s of a block.
struct tile_place {
    std::size_t row, byte;
};
template <std::size_t Block>
QUANT_DETAIL_INLINE constexpr tile_place place_in_tile(std::size_t s, std::size_t i) noexcept {
    return {8 * Block + i / 8 * 4 + i % 4, 4 * (s + i / 4 % 2 * 4)};
}

/// Four bytes, the first one lowest.
QUANT_DETAIL_INLINE std::int32_t load_quad_bytes(const std::byte* from) noexcept {
    std::uint32_t value = 0;
    for (std::size_t j = 0; j < 4; ++j) {
        value |= std::to_integer<std::uint32_t>(from[j]) << (8 * j);
    }
    return static_cast<std::int32_t>(value);
}
QUANT_DETAIL_INLINE void store_quad_bytes(std::byte* to, std::int32_t quad) noexcept {
    for (std::size_t j = 0; j < 4; ++j) {
        to[j] = static_cast<std::byte>(static_cast<std::uint32_t>(quad) >> (8 * j) & 0xFFu);
    }
}

/// A block of rows of 32 bytes, `stride` apart; `from` is row 0.
template <std::size_t Block>
QUANT_DETAIL_INLINE tile_block load_block(const std::byte* from, std::size_t stride) noexcept {
    tile_block made;
    for (std::size_t s = 0; s < 4; ++s) {
        for (std::size_t i = 0; i < 16; ++i) {
            const tile_place at = place_in_tile<Block>(s, i);
            made.quads[s].v[i] = load_quad_bytes(from + at.row * stride + at.byte);
        }
    }
    return made;
}
/// The inverse, of N tiles side by side.
template <std::size_t Block, std::size_t N>
QUANT_DETAIL_INLINE void store_blocks(std::byte* to, std::size_t stride,
                                      const tile_block (&blocks)[N]) noexcept {
    for (std::size_t n = 0; n < N; ++n) {
        for (std::size_t s = 0; s < 4; ++s) {
            for (std::size_t i = 0; i < 16; ++i) {
                const tile_place at = place_in_tile<Block>(s, i);
                store_quad_bytes(to + at.row * stride + n * 32 + at.byte, blocks[n].quads[s].v[i]);
            }
        }
    }
}

/// Pieces of lines from one register each of two neighbouring blocks.
QUANT_DETAIL_INLINE line_pieces deal(native<std::int32_t> first,
                                     native<std::int32_t> second) noexcept {
    line_pieces made;
    for (std::size_t i = 0; i < 16; ++i) {
        const tile_place at = place_in_tile<0>(0, i);
        auto& piece = at.byte == 0 ? made.low : made.high;
        piece.v[at.row] = first.v[i];
        piece.v[8 + at.row] = second.v[i];
    }
    return made;
}

/// A block's lanes of two lines, that of quads 0 … 3 and that of quads 4 … 7.
template <std::size_t Block>
QUANT_DETAIL_INLINE native<std::int32_t> load_lines(const std::byte* low,
                                                    const std::byte* high) noexcept {
    native<std::int32_t> made;
    for (std::size_t i = 0; i < 16; ++i) {
        const tile_place at = place_in_tile<Block>(0, i);
        made.v[i] = load_quad_bytes((at.byte == 0 ? low : high) + 4 * at.row);
    }
    return made;
}
/// The same of one line, whose bytes hold quads 4 … 7 in their upper halves.
template <std::size_t Block>
QUANT_DETAIL_INLINE native<std::int32_t> load_nibbles(const std::byte* line) noexcept {
    native<std::int32_t> made = load_lines<Block>(line, line);
    for (std::size_t i = 0; i < 16; ++i) {
        if (place_in_tile<Block>(0, i).byte == 0) continue;
        made.v[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(made.v[i]) >> 4);
    }
    return made;
}

#else

/// Transposes the 4×4 quads of each quarter.
QUANT_DETAIL_INLINE tile_block transposed(const tile_block& block) noexcept {
    const auto a = native_bits_to_float(block.quads[0]), b = native_bits_to_float(block.quads[1]);
    const auto c = native_bits_to_float(block.quads[2]), d = native_bits_to_float(block.quads[3]);
    const auto ab01 = interleave_low(a, b), ab23 = interleave_high(a, b);
    const auto cd01 = interleave_low(c, d), cd23 = interleave_high(c, d);
    return {{native_float_to_bits(low_pairs(ab01, cd01)),
             native_float_to_bits(high_pairs(ab01, cd01)),
             native_float_to_bits(low_pairs(ab23, cd23)),
             native_float_to_bits(high_pairs(ab23, cd23))}};
}

#if defined(__AVX512BW__)
/// 32 bytes from each of two places.
QUANT_DETAIL_INLINE __m512i load_pair(const std::byte* a, const std::byte* b) noexcept {
    return _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(a))),
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b)), 1);
}
#endif

/// A block of rows of 32 bytes, `stride` apart; `from` is row 0.
template <std::size_t Block>
QUANT_DETAIL_INLINE tile_block load_block(const std::byte* from, std::size_t stride) noexcept {
    tile_block rows;
    detail::unroll<4>([&](auto r) QUANT_DETAIL_LAMBDA {
#if defined(__AVX512BW__)
        const std::byte* row = from + (8 * Block + r) * stride;
        rows.quads[r] = load_pair(row, row + 4 * stride);
#elif defined(__AVX__)
        rows.quads[r] = native_load<std::int32_t>(from + (4 * Block + r) * stride);
#else
        rows.quads[r] =
            native_load<std::int32_t>(from + (Block / 2 * 4 + r) * stride + Block % 2 * 16);
#endif
    });
    return transposed(rows);
}
/// The inverse, of N tiles side by side.
template <std::size_t Block, std::size_t N>
QUANT_DETAIL_INLINE void store_blocks(std::byte* to, std::size_t stride,
                                      const tile_block (&blocks)[N]) noexcept {
    tile_block rows[N];
    detail::unroll<N>([&](auto n) QUANT_DETAIL_LAMBDA { rows[n] = transposed(blocks[n]); });
    detail::unroll<4 * N>([&](auto i) QUANT_DETAIL_LAMBDA {
        constexpr std::size_t r = i / N, n = i % N;
        const auto quads = rows[n].quads[r];
#if defined(__AVX512BW__)
        std::byte* row = to + (8 * Block + r) * stride + n * 32;
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(row), _mm512_castsi512_si256(quads));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + 4 * stride),
                            _mm512_extracti64x4_epi64(quads, 1));
#elif defined(__AVX__)
        native_store<std::int32_t>(to + (4 * Block + r) * stride + n * 32, quads);
#else
        native_store<std::int32_t>(
            to + (Block / 2 * 4 + r) * stride + n * 32 + Block % 2 * 16, quads);
#endif
    });
}

/// Pieces of lines from one register each of two neighbouring blocks.
QUANT_DETAIL_INLINE line_pieces deal(native<std::int32_t> first,
                                     native<std::int32_t> second) noexcept {
#if defined(__AVX__)
    const auto a = native_bits_to_float(first), b = native_bits_to_float(second);
    return {native_float_to_bits(even_quarters(a, b)), native_float_to_bits(odd_quarters(a, b))};
#else
    return {first, second};
#endif
}

/// A block's lanes of two lines, that of quads 0 … 3 and that of quads 4 … 7.
template <std::size_t Block>
QUANT_DETAIL_INLINE native<std::int32_t> load_lines(const std::byte* low,
                                                    const std::byte* high) noexcept {
#if defined(__AVX512BW__)
    // Of quarters 2·Block and 2·Block + 1, those of either line in turn.
    constexpr long long at = 4 * Block;
    const __m512i from = _mm512_set_epi64(at + 11, at + 10, at + 3, at + 2, //
                                          at + 9, at + 8, at + 1, at);
    return _mm512_permutex2var_epi64(_mm512_loadu_si512(low), from, _mm512_loadu_si512(high));
#elif defined(__AVX__)
    const auto* first = reinterpret_cast<const __m128i*>(low) + Block;
    const auto* second = reinterpret_cast<const __m128i*>(high) + Block;
    const __m256i even = _mm256_castsi128_si256(_mm_loadu_si128(first));
#if defined(__AVX2__)
    // Loads and blends take no port that shuffles need, as insertions do.
    if constexpr (Block % 2 == 0) {
        const native<std::int32_t> odd = _mm256_broadcastsi128_si256(_mm_loadu_si128(second));
        return _mm256_blend_epi32(even, native_opaque(odd), 0xF0);
    } else {
        const auto* pair = reinterpret_cast<const __m256i*>(second - 1);
        return _mm256_blend_epi32(even, _mm256_loadu_si256(pair), 0xF0);
    }
#else
    return _mm256_insertf128_si256(even, _mm_loadu_si128(second), 1);
#endif
#else
    return native_load<std::int32_t>((Block % 2 == 0 ? low : high) + Block / 2 * 16);
#endif
}
#if defined(__AVX512BW__)
/// The upper halves of bytes in odd quarters moved to where the lower ones are.
QUANT_DETAIL_INLINE __m512i upper_halves_in_odd_quarters(__m512i bytes) noexcept {
    return _mm512_srlv_epi32(bytes,
                             _mm512_set_epi32(4, 4, 4, 4, 0, 0, 0, 0, 4, 4, 4, 4, 0, 0, 0, 0));
}
#endif
/// The same of one line, whose bytes hold quads 4 … 7 in their upper halves.
template <std::size_t Block>
QUANT_DETAIL_INLINE native<std::int32_t> load_nibbles(const std::byte* line) noexcept {
#if defined(__AVX512BW__)
    return upper_halves_in_odd_quarters(load_lines<Block>(line, line));
#elif defined(__AVX2__)
    const auto* quarter = reinterpret_cast<const __m128i*>(line) + Block;
    return _mm256_srlv_epi32(_mm256_broadcastsi128_si256(_mm_loadu_si128(quarter)),
                             _mm256_set_epi32(4, 4, 4, 4, 0, 0, 0, 0));
#elif defined(__AVX__)
    const native<std::int32_t> both = load_lines<Block>(line, line);
    const native<float> shifted = native_bits_to_float(native_shift_right<4>(both));
    return native_float_to_bits(
        native<float>(_mm256_blend_ps(native_bits_to_float(both), shifted, 0xF0)));
#else
    const native<std::int32_t> both = load_lines<Block>(line, line);
    if constexpr (Block % 2 == 0) return both;
    return native_shift_right<4>(both);
#endif
}

#endif

#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)

// Two tiles side by side as one of 16 rows × 64 bytes: registers hold whole rows of it, each a
// cache line, and none is cut into halves to be stored. Its four blocks have four rows each; of
// their quarters, the first two are those of the first tile.

template <std::size_t Quarter>
QUANT_DETAIL_INLINE __m128i load_quarter(const std::byte* line) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(line) + Quarter);
}

/// A block's lanes of two lines of either tile.
template <std::size_t Block>
QUANT_DETAIL_INLINE native<std::int32_t>
load_wide_lines(const std::byte* low, const std::byte* high, const std::byte* second_low,
                const std::byte* second_high) noexcept {
    // Loads that leave other lanes as they are take no port that shuffles need.
    __m512i made = _mm512_castsi128_si512(load_quarter<Block>(low));
    made = _mm512_mask_broadcast_i32x4(made, 0x00F0, load_quarter<Block>(high));
    made = _mm512_mask_broadcast_i32x4(made, 0x0F00, load_quarter<Block>(second_low));
    return _mm512_mask_broadcast_i32x4(made, 0xF000, load_quarter<Block>(second_high));
}
/// The same of one line of either tile, whose bytes hold quads 4 … 7 in their upper halves.
template <std::size_t Block>
QUANT_DETAIL_INLINE native<std::int32_t> load_wide_nibbles(const std::byte* line,
                                                           const std::byte* second) noexcept {
    return upper_halves_in_odd_quarters(
        _mm512_mask_broadcast_i32x4(_mm512_broadcast_i32x4(load_quarter<Block>(line)), 0xFF00,
                                    load_quarter<Block>(second)));
}
/// The block's rows of 64 bytes, `stride` apart; `to` is row 0.
template <std::size_t Block>
QUANT_DETAIL_INLINE void store_wide_block(std::byte* to, std::size_t stride,
                                          const tile_block& block) noexcept {
    const tile_block rows = transposed(block);
    detail::unroll<4>([&](auto r) QUANT_DETAIL_LAMBDA {
        native_store<std::int32_t>(to + (4 * Block + r) * stride, rows.quads[r]);
    });
}

#endif

/// The quads of sixteen rows of 32 bytes, a row per lane.
struct tile_quads {
    i32x16 quads[8];
};

/// `Rows`, 8 or 16, rows of 32 bytes, `stride` apart; lanes without a row get zeros.
template <std::size_t Rows = 16>
QUANT_DETAIL_INLINE tile_quads load_quads(const std::byte* from, std::size_t stride) noexcept {
    static_assert(Rows == 8 || Rows == 16);
    const auto block = [=](auto b) QUANT_DETAIL_LAMBDA {
        tile_block made;
        if constexpr (b < tile_blocks * Rows / 16) {
            made = load_block<b>(from, stride);
        } else {
            for (auto& quad : made.quads) quad = native_broadcast<std::int32_t>(0);
        }
        return made;
    };
    tile_quads made;
    detail::unroll<tile_blocks / 2>([&](auto i) QUANT_DETAIL_LAMBDA {
        const tile_block first = block(detail::index_constant<2 * i>{});
        const tile_block second = block(detail::index_constant<2 * i + 1>{});
        detail::unroll<4>([&](auto s) QUANT_DETAIL_LAMBDA {
            const line_pieces pieces = deal(first.quads[s], second.quads[s]);
            made.quads[s].r[i] = pieces.low;
            made.quads[s + 4].r[i] = pieces.high;
        });
    });
    return made;
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
