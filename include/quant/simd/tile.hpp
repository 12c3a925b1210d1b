// Tiles of 16 rows × 32 bytes: rows in memory, quads (four bytes of each row) in lanes.
//
// A superblock's line holds four consecutive columns of all rows. Rows come as two groups of eight,
// and within each group, columns 0 … 15 and 16 … 31 of four rows lie in neighbouring quarters, so
// that whole 32-byte rows are loaded and only 4×4 blocks are transposed:
//
//   part.quads[s], quarter    0             1                 2             3
//     upper part              rows 0 … 3    rows 0 … 3        rows 4 … 7    rows 4 … 7
//     lower part              rows 8 … 11   rows 8 … 11       rows 12 … 15  rows 12 … 15
//     quad                    s             s + 4             s             s + 4
//
// What is done lane by lane serves two quads at once; deal() then makes lines of all rows.
#pragma once

#include <quant/simd/shuffle.hpp>

namespace quant::inline QUANT_ABI {
namespace simd {

/// Eight rows of a tile.
struct tile_part {
    i32x16 quads[4];
};

/// Two lines of all rows.
struct two_lines {
    i32x16 low;  ///< of quads 0 … 3
    i32x16 high; ///< of quads 4 … 7
};

#if QUANT_DETAIL_SCALAR

/// Element i of a part's vectors: its row among eight, and whether its quad is one of the last
/// four.
QUANT_DETAIL_INLINE constexpr std::size_t tile_row(std::size_t i) noexcept {
    return i / 8 * 4 + i % 4;
}
QUANT_DETAIL_INLINE constexpr std::size_t tile_is_high(std::size_t i) noexcept { return i / 4 % 2; }

/// Eight rows of 32 bytes, `stride` apart.
QUANT_DETAIL_INLINE tile_part load_tile(const std::byte* from, std::size_t stride) noexcept {
    tile_part part;
    for (std::size_t s = 0; s < 4; ++s) {
        for (std::size_t i = 0; i < 16; ++i) {
            const std::byte* quad = from + tile_row(i) * stride + 4 * (s + 4 * tile_is_high(i));
            std::uint32_t value = 0;
            for (std::size_t j = 0; j < 4; ++j) {
                value |= std::to_integer<std::uint32_t>(quad[j]) << (8 * j);
            }
            part.quads[s].r[0].v[i] = static_cast<std::int32_t>(value);
        }
    }
    return part;
}
QUANT_DETAIL_INLINE void store_tile(std::byte* to, std::size_t stride,
                                    const tile_part& part) noexcept {
    for (std::size_t s = 0; s < 4; ++s) {
        for (std::size_t i = 0; i < 16; ++i) {
            std::byte* quad = to + tile_row(i) * stride + 4 * (s + 4 * tile_is_high(i));
            const auto value = static_cast<std::uint32_t>(part.quads[s].r[0].v[i]);
            for (std::size_t j = 0; j < 4; ++j) {
                quad[j] = static_cast<std::byte>(value >> (8 * j) & 0xFFu);
            }
        }
    }
}

/// Lines of all rows from one vector of each part.
QUANT_DETAIL_INLINE two_lines deal(const i32x16& upper, const i32x16& lower) noexcept {
    two_lines made;
    for (std::size_t i = 0; i < 16; ++i) {
        const std::size_t row = tile_row(i);
        i32x16& line = tile_is_high(i) != 0 ? made.high : made.low;
        line.r[0].v[row] = upper.r[0].v[i];
        line.r[0].v[8 + row] = lower.r[0].v[i];
    }
    return made;
}
/// The inverse of deal.
QUANT_DETAIL_INLINE void gather(const two_lines& lines, i32x16& upper, i32x16& lower) noexcept {
    for (std::size_t i = 0; i < 16; ++i) {
        const std::size_t row = tile_row(i);
        const i32x16& line = tile_is_high(i) != 0 ? lines.high : lines.low;
        upper.r[0].v[i] = line.r[0].v[row];
        lower.r[0].v[i] = line.r[0].v[8 + row];
    }
}

#else

/// Transposes the 4×4 blocks of each quarter.
QUANT_DETAIL_INLINE void transpose_blocks(i32x16 (&v)[4]) noexcept {
    detail::unroll<i32x16::count>([&](auto k) QUANT_DETAIL_LAMBDA {
        const auto a = native_bits_to_float(v[0].r[k]), b = native_bits_to_float(v[1].r[k]);
        const auto c = native_bits_to_float(v[2].r[k]), d = native_bits_to_float(v[3].r[k]);
        const auto ab01 = interleave_low(a, b), ab23 = interleave_high(a, b);
        const auto cd01 = interleave_low(c, d), cd23 = interleave_high(c, d);
        v[0].r[k] = native_float_to_bits(low_pairs(ab01, cd01));
        v[1].r[k] = native_float_to_bits(high_pairs(ab01, cd01));
        v[2].r[k] = native_float_to_bits(low_pairs(ab23, cd23));
        v[3].r[k] = native_float_to_bits(high_pairs(ab23, cd23));
    });
}

/// 32 bytes of row r in the first two quarters, of row r + 4 in the others.
QUANT_DETAIL_INLINE i32x16 load_row_pair(const std::byte* from, const std::byte* other) noexcept {
    i32x16 pair;
#if defined(__AVX512BW__)
    pair.r[0] = _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))),
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(other)), 1);
#else
    constexpr std::size_t half = i32x16::count / 2;
    detail::unroll<half>([&](auto k) QUANT_DETAIL_LAMBDA {
        pair.r[k] = native_load<std::int32_t>(from + k * (32 / half));
        pair.r[half + k] = native_load<std::int32_t>(other + k * (32 / half));
    });
#endif
    return pair;
}
QUANT_DETAIL_INLINE void store_row_pair(std::byte* to, std::byte* other,
                                        const i32x16& pair) noexcept {
#if defined(__AVX512BW__)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(pair.r[0]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(other), _mm512_extracti64x4_epi64(pair.r[0], 1));
#else
    constexpr std::size_t half = i32x16::count / 2;
    detail::unroll<half>([&](auto k) QUANT_DETAIL_LAMBDA {
        native_store<std::int32_t>(to + k * (32 / half), pair.r[k]);
        native_store<std::int32_t>(other + k * (32 / half), pair.r[half + k]);
    });
#endif
}

/// Eight rows of 32 bytes, `stride` apart.
QUANT_DETAIL_INLINE tile_part load_tile(const std::byte* from, std::size_t stride) noexcept {
    tile_part part;
    detail::unroll<4>([&](auto r) QUANT_DETAIL_LAMBDA {
        part.quads[r] = load_row_pair(from + r * stride, from + (r + 4) * stride);
    });
    transpose_blocks(part.quads);
    return part;
}
QUANT_DETAIL_INLINE void store_tile(std::byte* to, std::size_t stride,
                                    const tile_part& part) noexcept {
    tile_part rows = part;
    transpose_blocks(rows.quads);
    detail::unroll<4>([&](auto r) QUANT_DETAIL_LAMBDA {
        store_row_pair(to + r * stride, to + (r + 4) * stride, rows.quads[r]);
    });
}

/// Lines of all rows from one vector of each part.
QUANT_DETAIL_INLINE two_lines deal(const i32x16& upper, const i32x16& lower) noexcept {
    two_lines made;
#if defined(__AVX512BW__)
    const auto a = native_bits_to_float(upper.r[0]), b = native_bits_to_float(lower.r[0]);
    made.low.r[0] = native_float_to_bits(even_quarters(a, b));
    made.high.r[0] = native_float_to_bits(odd_quarters(a, b));
#elif defined(__AVX__)
    const auto part = [](const i32x16& from, i32x16& low, i32x16& high,
                         std::size_t k) QUANT_DETAIL_LAMBDA {
        const auto a = native_bits_to_float(from.r[0]), b = native_bits_to_float(from.r[1]);
        low.r[k] = native_float_to_bits(even_quarters(a, b));
        high.r[k] = native_float_to_bits(odd_quarters(a, b));
    };
    part(upper, made.low, made.high, 0);
    part(lower, made.low, made.high, 1);
#else
    detail::unroll<2>([&](auto k) QUANT_DETAIL_LAMBDA {
        made.low.r[k] = upper.r[2 * k];
        made.high.r[k] = upper.r[2 * k + 1];
        made.low.r[2 + k] = lower.r[2 * k];
        made.high.r[2 + k] = lower.r[2 * k + 1];
    });
#endif
    return made;
}

/// The inverse of deal.
QUANT_DETAIL_INLINE void gather(const two_lines& lines, i32x16& upper, i32x16& lower) noexcept {
#if defined(__AVX512BW__)
    const __m512i low = lines.low.r[0], high = lines.high.r[0];
    upper.r[0] = _mm512_permutex2var_epi64(low, _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0), high);
    lower.r[0] = _mm512_permutex2var_epi64(low, _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4), high);
#elif defined(__AVX__)
    const auto part = [&](i32x16& to, std::size_t k) QUANT_DETAIL_LAMBDA {
        const auto a = native_bits_to_float(lines.low.r[k]);
        const auto b = native_bits_to_float(lines.high.r[k]);
        to.r[0] = native_float_to_bits(even_quarters(a, b));
        to.r[1] = native_float_to_bits(odd_quarters(a, b));
    };
    part(upper, 0);
    part(lower, 1);
#else
    detail::unroll<2>([&](auto k) QUANT_DETAIL_LAMBDA {
        upper.r[2 * k] = lines.low.r[k];
        upper.r[2 * k + 1] = lines.high.r[k];
        lower.r[2 * k] = lines.low.r[2 + k];
        lower.r[2 * k + 1] = lines.high.r[2 + k];
    });
#endif
}

#endif

/// Bit by bit: a where the mask has ones, else b.
template <std::int32_t Mask>
QUANT_DETAIL_INLINE i32x16 select_bits(const i32x16& a, const i32x16& b) noexcept {
#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
    i32x16 made;
    made.r[0] = _mm512_ternarylogic_epi32(_mm512_set1_epi32(Mask), a.r[0], b.r[0], 0xCA);
    return made;
#else
    return (a & broadcast<std::int32_t>(Mask)) | (b & broadcast<std::int32_t>(~Mask));
#endif
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
