// Rows of quads (four bytes each) side by side: quad q of row t at to[q·T + t], as the tokens of a
// tile of activations lie.
#pragma once

#include <quant/core/unroll.hpp>
#include <quant/simd/intrinsics.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace quant::inline QUANT_ABI {
namespace simd {

inline constexpr std::size_t quad_bytes = 4;

/// Copies the quads of one of T rows to their places; `to` is that of the first.
QUANT_DETAIL_INLINE void spread_row(const std::byte* row, std::size_t quads, std::size_t T,
                                    std::byte* to) noexcept {
    for (std::size_t q = 0; q < quads; ++q) {
        std::memcpy(to + q * T * quad_bytes, row + q * quad_bytes, quad_bytes);
    }
}

#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
namespace interleaving {

/// Sixteen quads of T rows side by side are T registers. `from[j]` tells where lanes of register j
/// come from: q for quad q of an even row, 16 + q for that of an odd row; `rows[j][p]` has the bits
/// of those lanes that rows 2p and 2p + 1 fill. T = 3, j = 0: lanes are quads 0 0 0 1 1 1 … of rows
/// 0 1 2 0 1 2 …, so from 0 16 0 1 17 1 …; lanes 0, 1, 3, 4 … are those of rows 0 and 1.
template <std::size_t T>
struct pattern {
    alignas(64) std::int32_t from[T][16];
    std::uint16_t rows[T][(T + 1) / 2];
};
template <std::size_t T>
inline constexpr pattern<T> pattern_of = [] {
    pattern<T> made{};
    for (std::size_t at = 0; at < 16 * T; ++at) {
        const std::size_t q = at / T, t = at % T, j = at / 16, lane = at % 16;
        made.from[j][lane] = static_cast<std::int32_t>(q + t % 2 * 16);
        auto& mask = made.rows[j][t / 2];
        mask = static_cast<std::uint16_t>(mask | 1u << lane);
    }
    return made;
}();

} // namespace interleaving
#endif

/// Copies `quads` quads of each of T rows.
template <std::size_t T>
void interleave_rows(const std::byte* const (&rows)[T], std::size_t quads, std::byte* to) noexcept {
    std::size_t q = 0;
#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
    constexpr auto& pattern = interleaving::pattern_of<T>;
    for (; q + 16 <= quads; q += 16) {
        __m512i row[T + T % 2];
        QUANT_DETAIL_UNROLLED
        for (std::size_t t = 0; t < T; ++t) row[t] = _mm512_loadu_si512(rows[t] + q * quad_bytes);
        if constexpr (T % 2 == 1) row[T] = row[T - 1];
        QUANT_DETAIL_UNROLLED
        for (std::size_t j = 0; j < T; ++j) {
            const __m512i from = _mm512_load_si512(pattern.from[j]);
            __m512i made = _mm512_permutex2var_epi32(row[0], from, row[1]);
            QUANT_DETAIL_UNROLLED
            for (std::size_t t = 2; t < T; t += 2) {
                made = _mm512_mask_mov_epi32(made, pattern.rows[j][t / 2],
                                             _mm512_permutex2var_epi32(row[t], from, row[t + 1]));
            }
            _mm512_storeu_si512(to + (q * T + 16 * j) * quad_bytes, made);
        }
    }
#endif
    for (std::size_t t = 0; t < T; ++t) {
        spread_row(rows[t] + q * quad_bytes, quads - q, T, to + (q * T + t) * quad_bytes);
    }
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
