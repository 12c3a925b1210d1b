// A line: 64 signed bytes in an i32x16, four consecutive ones in each lane, the first one lowest.
//
//   to_signed_bytes    clamp(lane, −128, 127) of 64 lanes, in their order
//   without_least      −127 for bytes of −128
//   sum_quads          lane i: Σ of its bytes
//
//   AVX-512 VNNI    packs, vpermd; vpdpbusd with ones
//   AVX-512BW       packs, vpermd; vpmaddubsw, vpmaddwd with ones
//   AVX2            packs, vpermd of 256 bits; the same
//   SSE2            packs; halves of 16-bit words, pmaddwd with ones
//   NEON            narrowing moves; pairwise sums
//   WebAssembly     narrowing; pairwise sums
//   generic         scalar
#pragma once

#include <quant/simd/convert.hpp>
#include <quant/simd/intrinsics.hpp>
#include <quant/simd/reduce.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace simd {

#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)

QUANT_DETAIL_INLINE i32x16 to_signed_bytes(const i32x16 (&value)[4]) noexcept {
    const __m512i low = _mm512_packs_epi32(value[0].r[0], value[1].r[0]);
    const __m512i high = _mm512_packs_epi32(value[2].r[0], value[3].r[0]);
    return {in_order_of_packs(_mm512_packs_epi16(low, high))};
}
QUANT_DETAIL_INLINE i32x16 without_least(const i32x16& line) noexcept {
    return {_mm512_max_epi8(line.r[0], _mm512_set1_epi8(-127))};
}
QUANT_DETAIL_INLINE i32x16 sum_quads(const i32x16& line) noexcept {
    const __m512i ones = _mm512_set1_epi8(1);
#if defined(__AVX512VNNI__)
    return {_mm512_dpbusd_epi32(_mm512_setzero_si512(), ones, line.r[0])};
#else
    return {_mm512_madd_epi16(_mm512_maddubs_epi16(ones, line.r[0]), _mm512_set1_epi16(1))};
#endif
}

#elif !QUANT_DETAIL_SCALAR && defined(__AVX2__)

QUANT_DETAIL_INLINE i32x16 to_signed_bytes(const i32x16 (&value)[4]) noexcept {
    const __m256i order = _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0);
    i32x16 line;
    detail::unroll<2>([&](auto i) QUANT_DETAIL_LAMBDA {
        const i32x16 &v = value[2 * i], &w = value[2 * i + 1];
        const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(v.r[0], v.r[1]),
                                                 _mm256_packs_epi32(w.r[0], w.r[1]));
        line.r[i] = _mm256_permutevar8x32_epi32(bytes, order);
    });
    return line;
}
QUANT_DETAIL_INLINE i32x16 without_least(const i32x16& line) noexcept {
    const __m256i least = _mm256_set1_epi8(-127);
    return {_mm256_max_epi8(line.r[0], least), _mm256_max_epi8(line.r[1], least)};
}
QUANT_DETAIL_INLINE i32x16 sum_quads(const i32x16& line) noexcept {
    const __m256i ones = _mm256_set1_epi8(1), ones16 = _mm256_set1_epi16(1);
    return {_mm256_madd_epi16(_mm256_maddubs_epi16(ones, line.r[0]), ones16),
            _mm256_madd_epi16(_mm256_maddubs_epi16(ones, line.r[1]), ones16)};
}

#elif !QUANT_DETAIL_SCALAR && (defined(__SSE2__) || defined(_M_X64)) && !defined(__AVX__)

QUANT_DETAIL_INLINE i32x16 to_signed_bytes(const i32x16 (&value)[4]) noexcept {
    i32x16 line;
    detail::unroll<4>([&](auto i) QUANT_DETAIL_LAMBDA {
        const i32x16& v = value[i];
        line.r[i] =
            _mm_packs_epi16(_mm_packs_epi32(v.r[0], v.r[1]), _mm_packs_epi32(v.r[2], v.r[3]));
    });
    return line;
}
QUANT_DETAIL_INLINE i32x16 without_least(const i32x16& line) noexcept {
    return per_register<std::int32_t>(
        [](auto bytes) QUANT_DETAIL_LAMBDA -> native<std::int32_t> {
            return _mm_sub_epi8(bytes, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(-128)));
        },
        line);
}
QUANT_DETAIL_INLINE i32x16 sum_quads(const i32x16& line) noexcept {
    return per_register<std::int32_t>(
        [](auto bytes) QUANT_DETAIL_LAMBDA -> native<std::int32_t> {
            const __m128i even = _mm_srai_epi16(_mm_slli_epi16(bytes, 8), 8);
            const __m128i pairs = _mm_add_epi16(even, _mm_srai_epi16(bytes, 8));
            return _mm_madd_epi16(pairs, _mm_set1_epi16(1));
        },
        line);
}

#elif !QUANT_DETAIL_SCALAR && defined(__aarch64__)

QUANT_DETAIL_INLINE i32x16 to_signed_bytes(const i32x16 (&value)[4]) noexcept {
    i32x16 line;
    detail::unroll<4>([&](auto i) QUANT_DETAIL_LAMBDA {
        const i32x16& v = value[i];
        const int16x8_t low = vcombine_s16(vqmovn_s32(v.r[0]), vqmovn_s32(v.r[1]));
        const int16x8_t high = vcombine_s16(vqmovn_s32(v.r[2]), vqmovn_s32(v.r[3]));
        line.r[i] = vreinterpretq_s32_s8(vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)));
    });
    return line;
}
QUANT_DETAIL_INLINE i32x16 without_least(const i32x16& line) noexcept {
    return per_register<std::int32_t>(
        [](auto bytes) QUANT_DETAIL_LAMBDA -> native<std::int32_t> {
            return vreinterpretq_s32_s8(vmaxq_s8(vreinterpretq_s8_s32(bytes), vdupq_n_s8(-127)));
        },
        line);
}
QUANT_DETAIL_INLINE i32x16 sum_quads(const i32x16& line) noexcept {
    return per_register<std::int32_t>(
        [](auto bytes) QUANT_DETAIL_LAMBDA -> native<std::int32_t> {
            return vpaddlq_s16(vpaddlq_s8(vreinterpretq_s8_s32(bytes)));
        },
        line);
}

#elif !QUANT_DETAIL_SCALAR && defined(__wasm_simd128__)

QUANT_DETAIL_INLINE i32x16 to_signed_bytes(const i32x16 (&value)[4]) noexcept {
    i32x16 line;
    detail::unroll<4>([&](auto i) QUANT_DETAIL_LAMBDA {
        const i32x16& v = value[i];
        line.r[i] = wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(v.r[0], v.r[1]),
                                            wasm_i16x8_narrow_i32x4(v.r[2], v.r[3]));
    });
    return line;
}
QUANT_DETAIL_INLINE i32x16 without_least(const i32x16& line) noexcept {
    return per_register<std::int32_t>(
        [](auto bytes) QUANT_DETAIL_LAMBDA -> native<std::int32_t> {
            return wasm_i8x16_max(bytes, wasm_i8x16_splat(-127));
        },
        line);
}
QUANT_DETAIL_INLINE i32x16 sum_quads(const i32x16& line) noexcept {
    return per_register<std::int32_t>(
        [](auto bytes) QUANT_DETAIL_LAMBDA -> native<std::int32_t> {
            return wasm_i32x4_extadd_pairwise_i16x8(wasm_i16x8_extadd_pairwise_i8x16(bytes));
        },
        line);
}

#else

/// f of each lane.
template <class F>
QUANT_DETAIL_INLINE i32x16 each_lane(const i32x16& line, F f) noexcept {
    std::int32_t lane[16];
    store(lane, line);
    for (auto& l : lane) l = static_cast<std::int32_t>(f(static_cast<std::uint32_t>(l)));
    return load<std::int32_t>(lane);
}
QUANT_DETAIL_INLINE i32x16 to_signed_bytes(const i32x16 (&value)[4]) noexcept {
    std::int32_t from[64], made[16];
    for (std::size_t i = 0; i < 4; ++i) store(from + 16 * i, value[i]);
    const auto byte = [&](std::size_t i) {
        return static_cast<std::uint32_t>(std::clamp(from[i], -128, 127)) & 0xFFu;
    };
    for (std::size_t i = 0; i < 16; ++i) {
        made[i] = static_cast<std::int32_t>(byte(4 * i) | byte(4 * i + 1) << 8 |
                                            byte(4 * i + 2) << 16 | byte(4 * i + 3) << 24);
    }
    return load<std::int32_t>(made);
}
QUANT_DETAIL_INLINE i32x16 without_least(const i32x16& line) noexcept {
    return each_lane(line, [](std::uint32_t bytes) {
        constexpr std::uint32_t lower = 0x7F7F7F7F; // bits of each byte
        const std::uint32_t others = ((bytes & lower) + lower) | ~bytes;
        return bytes + (~(others | lower) >> 7);
    });
}
QUANT_DETAIL_INLINE i32x16 sum_quads(const i32x16& line) noexcept {
    return each_lane(line, [](std::uint32_t bytes) {
        const std::uint32_t from_least = bytes ^ 0x80808080; // byte + 128
        const std::uint32_t pairs = (from_least & 0xFF00FF) + (from_least >> 8 & 0xFF00FF);
        return (pairs & 0xFFFF) + (pairs >> 16) - 4 * 128;
    });
}

#endif

/// Quarters whose lanes add up to the first and second quarter of a, its third and fourth, and
/// likewise of b.
QUANT_DETAIL_INLINE i32x16 pair_quarters(const i32x16& a, const i32x16& b) noexcept {
    i32x16 made;
#if QUANT_DETAIL_SCALAR
    made.r[0] = native_each<std::int32_t>([&](std::size_t i) {
        const auto& from = i < 8 ? a : b;
        const std::size_t first = i / 4 % 2 * 8 + i % 4;
        return from.r[0].v[first] + from.r[0].v[first + 4];
    });
#elif defined(__AVX__)
    const auto add = [](auto x, auto y) QUANT_DETAIL_LAMBDA { return x + y; };
#if defined(__AVX512BW__)
    made.r[0] = folding::fold_quarters<std::int32_t>(a.r[0], b.r[0], add);
#else
    made.r[0] = folding::fold_quarters<std::int32_t>(a.r[0], a.r[1], add);
    made.r[1] = folding::fold_quarters<std::int32_t>(b.r[0], b.r[1], add);
#endif
#else
    made.r[0] = a.r[0] + a.r[1];
    made.r[1] = a.r[2] + a.r[3];
    made.r[2] = b.r[0] + b.r[1];
    made.r[3] = b.r[2] + b.r[3];
#endif
    return made;
}

/// Lane 4q + j: Σ of quarter q of v[j].
QUANT_DETAIL_INLINE i32x16 sum_quarters(const i32x16 (&v)[4]) noexcept {
    i32x16 made;
#if QUANT_DETAIL_SCALAR
    made.r[0] = native_each<std::int32_t>([&](std::size_t i) {
        const auto* quarter = v[i % 4].r[0].v + i / 4 * 4;
        return quarter[0] + quarter[1] + quarter[2] + quarter[3];
    });
#else
    const auto add = [](auto x, auto y) QUANT_DETAIL_LAMBDA { return x + y; };
    detail::unroll<i32x16::count>([&](auto k) QUANT_DETAIL_LAMBDA {
        made.r[k] = folding::fold_lanes<std::int32_t>(
            folding::fold_pairs<std::int32_t>(v[0].r[k], v[1].r[k], add),
            folding::fold_pairs<std::int32_t>(v[2].r[k], v[3].r[k], add), add);
    });
#endif
    return made;
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
