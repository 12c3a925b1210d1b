// dot8: eight products per sum for two tokens at once, where the instruction set has such tiles.
//
//   first[lane]  += Σ j = 0 … 3  u8(even[lane], byte j) · s8(x of the first token, byte j)
//                 + Σ j = 0 … 3  u8(odd[lane], byte j) · s8(x of the first token, byte 4 + j) exact
//   second[lane] += the same for the second token
//
//   NEON + i8mm   usmmla: two rows × eight columns times eight columns × two tokens
//
// Between interleave_tokens and deinterleave_tokens the sums lie as usmmla leaves them: a register
// holds two rows, and of each row both tokens.
#pragma once

#include <quant/core/unroll.hpp>
#include <quant/simd/intrinsics.hpp>
#include <quant/simd/lanes.hpp>

#include <cstddef>
#include <cstdint>

#if !QUANT_DETAIL_SCALAR && defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD) && \
    defined(__ARM_FEATURE_MATMUL_INT8)
#define QUANT_DETAIL_TOKEN_PAIRS 1
#else
#define QUANT_DETAIL_TOKEN_PAIRS 0
#endif

namespace quant::inline QUANT_ABI {
namespace simd {

/// Whether there is a dot8.
inline constexpr bool multiplies_token_pairs = QUANT_DETAIL_TOKEN_PAIRS != 0;

#if QUANT_DETAIL_TOKEN_PAIRS

/// Sums of two tokens, one lane per row, to sums as dot8 takes them; deinterleave_tokens undoes it.
QUANT_DETAIL_INLINE void interleave_tokens(i32x16& first, i32x16& second) noexcept {
    const i32x16 a = first, b = second;
    detail::unroll<2>([&](auto i) QUANT_DETAIL_LAMBDA {
        first.r[2 * i].data = vzip1q_s32(a.r[i].data, b.r[i].data);
        first.r[2 * i + 1].data = vzip2q_s32(a.r[i].data, b.r[i].data);
        second.r[2 * i].data = vzip1q_s32(a.r[2 + i].data, b.r[2 + i].data);
        second.r[2 * i + 1].data = vzip2q_s32(a.r[2 + i].data, b.r[2 + i].data);
    });
}
/// @copydoc interleave_tokens
QUANT_DETAIL_INLINE void deinterleave_tokens(i32x16& first, i32x16& second) noexcept {
    const i32x16 a = first, b = second;
    detail::unroll<2>([&](auto i) QUANT_DETAIL_LAMBDA {
        first.r[i].data = vuzp1q_s32(a.r[2 * i].data, a.r[2 * i + 1].data);
        second.r[i].data = vuzp2q_s32(a.r[2 * i].data, a.r[2 * i + 1].data);
        first.r[2 + i].data = vuzp1q_s32(b.r[2 * i].data, b.r[2 * i + 1].data);
        second.r[2 + i].data = vuzp2q_s32(b.r[2 * i].data, b.r[2 * i + 1].data);
    });
}

/// See the top of this file, for `Pairs` pairs of tokens. `even_x`, `odd_x`: four bytes per token.
template <std::size_t Pairs>
QUANT_DETAIL_INLINE void dot8(i32x16* sums, const i32x16& even, const i32x16& odd,
                              const std::int8_t* even_x, const std::int8_t* odd_x) noexcept {
    int8x16_t x[Pairs];
    detail::unroll<Pairs>([&](auto pair) QUANT_DETAIL_LAMBDA {
        const int32x2_t a = vreinterpret_s32_s8(vld1_s8(even_x + 8 * pair));
        const int32x2_t b = vreinterpret_s32_s8(vld1_s8(odd_x + 8 * pair));
        x[pair] = vreinterpretq_s8_s32(vcombine_s32(vzip1_s32(a, b), vzip2_s32(a, b)));
    });
    // Register by register: there are few for rows of eight bytes beside the sums.
    detail::unroll<4>([&](auto i) QUANT_DETAIL_LAMBDA {
        const auto add = [&](auto half, int32x4_t rows) QUANT_DETAIL_LAMBDA {
            detail::unroll<Pairs>([&](auto pair) QUANT_DETAIL_LAMBDA {
                auto& sum = sums[2 * pair + i / 2].r[i % 2 * 2 + half].data;
                sum = vusmmlaq_s32(sum, vreinterpretq_u8_s32(rows), x[pair]);
            });
        };
        add(detail::index_constant<0>{}, vzip1q_s32(even.r[i].data, odd.r[i].data));
        add(detail::index_constant<1>{}, vzip2q_s32(even.r[i].data, odd.r[i].data));
    });
}

#else // never called

QUANT_DETAIL_INLINE void interleave_tokens(i32x16&, i32x16&) noexcept {}
QUANT_DETAIL_INLINE void deinterleave_tokens(i32x16&, i32x16&) noexcept {}
template <std::size_t>
QUANT_DETAIL_INLINE void dot8(i32x16*, const i32x16&, const i32x16&, const std::int8_t*,
                              const std::int8_t*) noexcept {}

#endif

#undef QUANT_DETAIL_TOKEN_PAIRS

} // namespace simd
} // namespace quant::inline QUANT_ABI
