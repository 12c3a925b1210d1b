// dot4: four products of an unsigned code byte with a signed activation byte, summed into int32.
//
//   acc[lane] += Σ j = 0 … 3  u8(codes[lane], byte j) · s8(quad, byte j)          exact
//
//   AVX-512 VNNI, AVX-VNNI   vpdpbusd
//   AVX-512BW, AVX2          codes up to 7 bits: vpmaddubsw, vpmaddwd (no pair can saturate:
//                            2·127·128 < 2^15); 8 bits: widened to 16 bits, two vpmaddwd
//   SSE2                     widened to 16 bits, two pmaddwd
//   NEON + i8mm              sdot; 8-bit codes usdot (for tokens by twos see dot8.hpp)
//   NEON + dotprod           sdot; 8-bit codes as (u − 128) plus 128 times the quad's own sum
//   NEON                     widening multiplies, pairwise sums
//   WebAssembly              widened to 16 bits, two i32x4.dot_i16x8
//   generic                  scalar
#pragma once

#include <quant/core/bit_cast.hpp>
#include <quant/simd/intrinsics.hpp>
#include <quant/simd/lanes.hpp>

#include <algorithm>
#include <bit>

namespace quant::inline QUANT_ABI {
namespace simd {

/// Four signed activation bytes, the first one lowest.
QUANT_DETAIL_INLINE std::int32_t load_quad(const std::int8_t* from) noexcept {
    std::uint32_t quad;
    std::memcpy(&quad, from, 4);
    if constexpr (std::endian::native == std::endian::big) {
        quad = (quad >> 24) | ((quad >> 8) & 0xFF00u) | ((quad << 8) & 0xFF0000u) | (quad << 24);
    }
    return static_cast<std::int32_t>(quad);
}

// g++ reorders sums of integers to sum products pairwise first, and runs out of registers for them.
#if defined(__GNUC__) && defined(__AVX512F__)
#define QUANT_DETAIL_IN_ORDER(sum) __asm__("" : "+v"(sum))
#elif defined(__GNUC__)
#define QUANT_DETAIL_IN_ORDER(sum) __asm__("" : "+x"(sum))
#else
#define QUANT_DETAIL_IN_ORDER(sum) static_cast<void>(sum)
#endif

#if !QUANT_DETAIL_SCALAR && !defined(__AVX512VNNI__) && !defined(__AVXVNNI__) && \
    (defined(__AVX512BW__) || defined(__AVX2__))
#define QUANT_DETAIL_PAIR_SUMS 1
#else
#define QUANT_DETAIL_PAIR_SUMS 0
#endif

// AVX2 has registers to widen activations of 8-bit codes, see widened_quads.hpp.
#if defined(__AVX512BW__)
#define QUANT_DETAIL_SPLITS_CODES 1
#else
#define QUANT_DETAIL_SPLITS_CODES 0
#endif

/// How many quads' sums of two products, of Bits-bit codes and bytes −128 … 127, fit a 16-bit
/// lane; for 8 bits, of their halves of 4 bits. 0 where dot4 is the better way.
template <int Bits>
inline constexpr std::size_t quads_per_pair_sum = [] {
    if (!QUANT_DETAIL_PAIR_SUMS || (Bits == 8 && !QUANT_DETAIL_SPLITS_CODES)) return std::size_t{0};
    constexpr int bits = Bits == 8 ? 4 : Bits;
    return 32767 / (2 * 128 * ((std::size_t{1} << bits) - 1));
}();

#if QUANT_DETAIL_PAIR_SUMS && defined(__AVX512BW__)

QUANT_DETAIL_INLINE native<std::int32_t> native_add_pairs(native<std::int32_t> sums,
                                                          native<std::int32_t> codes,
                                                          std::int32_t quad) noexcept {
    __m512i next = _mm512_add_epi16(sums, _mm512_maddubs_epi16(codes, _mm512_set1_epi32(quad)));
    QUANT_DETAIL_IN_ORDER(next);
    return next;
}
template <int Weight>
QUANT_DETAIL_INLINE native<std::int32_t> native_fold_pairs(native<std::int32_t> acc,
                                                           native<std::int32_t> sums) noexcept {
    return _mm512_add_epi32(acc, _mm512_madd_epi16(sums, _mm512_set1_epi16(Weight)));
}

#elif QUANT_DETAIL_PAIR_SUMS

QUANT_DETAIL_INLINE native<std::int32_t> native_add_pairs(native<std::int32_t> sums,
                                                          native<std::int32_t> codes,
                                                          std::int32_t quad) noexcept {
    __m256i next = _mm256_add_epi16(sums, _mm256_maddubs_epi16(codes, _mm256_set1_epi32(quad)));
    QUANT_DETAIL_IN_ORDER(next);
    return next;
}
template <int Weight>
QUANT_DETAIL_INLINE native<std::int32_t> native_fold_pairs(native<std::int32_t> acc,
                                                           native<std::int32_t> sums) noexcept {
    return _mm256_add_epi32(acc, _mm256_madd_epi16(sums, _mm256_set1_epi16(Weight)));
}

#else // never called: quads_per_pair_sum is 0

QUANT_DETAIL_INLINE native<std::int32_t>
native_add_pairs(native<std::int32_t> sums, native<std::int32_t>, std::int32_t) noexcept {
    return sums;
}
template <int Weight>
QUANT_DETAIL_INLINE native<std::int32_t> native_fold_pairs(native<std::int32_t> acc,
                                                           native<std::int32_t>) noexcept {
    return acc;
}

#endif

#if QUANT_DETAIL_SCALAR

template <int Bits>
QUANT_DETAIL_INLINE native<std::int32_t>
native_dot4(native<std::int32_t> acc, native<std::int32_t> codes, std::int32_t quad) noexcept {
    const auto activation = [&](int j) {
        return static_cast<std::int32_t>(
            static_cast<std::int8_t>(static_cast<std::uint32_t>(quad) >> (8 * j)));
    };
    const std::int32_t x[4] = {activation(0), activation(1), activation(2), activation(3)};
    for (std::size_t i = 0; i < 16; ++i) {
        const auto u = static_cast<std::uint32_t>(codes.v[i]);
        std::int32_t sum = 0;
        for (int j = 0; j < 4; ++j) sum += static_cast<std::int32_t>((u >> (8 * j)) & 0xFFu) * x[j];
        acc.v[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(acc.v[i]) +
                                             static_cast<std::uint32_t>(sum));
    }
    return acc;
}

#elif defined(__AVX512BW__)

template <int Bits>
QUANT_DETAIL_INLINE native<std::int32_t>
native_dot4(native<std::int32_t> acc, native<std::int32_t> codes, std::int32_t quad) noexcept {
    const __m512i x = _mm512_set1_epi32(quad);
#if defined(__AVX512VNNI__)
#if defined(__GNUC__) && !defined(__clang__)
    // g++ keeps sums of the intrinsic twice in loops: as the integers of 64 bits that __m512i
    // holds, and as those of 32 bits that the instruction takes.
    __m512i sum = acc;
    const __m512i operand = codes;
    __asm__("{vpdpbusd %2, %1, %0|vpdpbusd %0, %1, %2}" : "+v"(sum) : "v"(operand), "v"(x));
    return sum;
#else
    return _mm512_dpbusd_epi32(acc, codes, x);
#endif
#else
    if constexpr (Bits <= 7) {
        const __m512i pairs = _mm512_maddubs_epi16(codes, x);
        return _mm512_add_epi32(acc, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
    } else {
        const __m512i even = _mm512_madd_epi16(_mm512_and_si512(codes, _mm512_set1_epi16(0xFF)),
                                               _mm512_srai_epi16(_mm512_slli_epi16(x, 8), 8));
        const __m512i odd = _mm512_madd_epi16(_mm512_srli_epi16(codes, 8), _mm512_srai_epi16(x, 8));
        __m512i sum = _mm512_add_epi32(acc, even);
        QUANT_DETAIL_IN_ORDER(sum);
        sum = _mm512_add_epi32(sum, odd);
        QUANT_DETAIL_IN_ORDER(sum);
        return sum;
    }
#endif
}

#elif defined(__AVX2__)

template <int Bits>
QUANT_DETAIL_INLINE native<std::int32_t>
native_dot4(native<std::int32_t> acc, native<std::int32_t> codes, std::int32_t quad) noexcept {
    const __m256i x = _mm256_set1_epi32(quad);
#if defined(__AVXVNNI__)
    return _mm256_dpbusd_avx_epi32(acc, codes, x);
#else
    if constexpr (Bits <= 7) {
        const __m256i pairs = _mm256_maddubs_epi16(codes, x);
        return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    } else {
        const __m256i even = _mm256_madd_epi16(_mm256_and_si256(codes, _mm256_set1_epi16(0xFF)),
                                               _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8));
        const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(codes, 8), _mm256_srai_epi16(x, 8));
        __m256i sum = _mm256_add_epi32(acc, even);
        QUANT_DETAIL_IN_ORDER(sum);
        sum = _mm256_add_epi32(sum, odd);
        QUANT_DETAIL_IN_ORDER(sum);
        return sum;
    }
#endif
}

#elif defined(__SSE2__) || defined(_M_X64)

/// With AVX alone xsimd's registers have 256 bits but integer instructions only 128.
template <int Bits>
QUANT_DETAIL_INLINE __m128i dot4_128(__m128i acc, __m128i codes, std::int32_t quad) noexcept {
    const __m128i x = _mm_set1_epi32(quad);
    const __m128i even = _mm_madd_epi16(_mm_and_si128(codes, _mm_set1_epi16(0xFF)),
                                        _mm_srai_epi16(_mm_slli_epi16(x, 8), 8));
    const __m128i odd = _mm_madd_epi16(_mm_srli_epi16(codes, 8), _mm_srai_epi16(x, 8));
    return _mm_add_epi32(acc, _mm_add_epi32(even, odd));
}

template <int Bits>
QUANT_DETAIL_INLINE native<std::int32_t>
native_dot4(native<std::int32_t> acc, native<std::int32_t> codes, std::int32_t quad) noexcept {
#if defined(__AVX__)
    const __m256i a = acc, c = codes;
    const __m128i low = dot4_128<Bits>(_mm256_castsi256_si128(a), _mm256_castsi256_si128(c), quad);
    const __m128i high =
        dot4_128<Bits>(_mm256_extractf128_si256(a, 1), _mm256_extractf128_si256(c, 1), quad);
    return _mm256_insertf128_si256(_mm256_castsi128_si256(low), high, 1);
#else
    return dot4_128<Bits>(acc, codes, quad);
#endif
}

#elif defined(__wasm_simd128__)

template <int Bits>
QUANT_DETAIL_INLINE native<std::int32_t>
native_dot4(native<std::int32_t> acc, native<std::int32_t> codes, std::int32_t quad) noexcept {
    const v128_t x = native_broadcast<std::int32_t>(quad);
    const v128_t even = wasm_i32x4_dot_i16x8(wasm_v128_and(codes, wasm_i16x8_splat(0xFF)),
                                             wasm_i16x8_shr(wasm_i16x8_shl(x, 8), 8));
    const v128_t odd = wasm_i32x4_dot_i16x8(wasm_u16x8_shr(codes, 8), wasm_i16x8_shr(x, 8));
    return wasm_i32x4_add(acc, wasm_i32x4_add(even, odd));
}

#else // AArch64

template <int Bits>
QUANT_DETAIL_INLINE native<std::int32_t>
native_dot4(native<std::int32_t> acc, native<std::int32_t> codes, std::int32_t quad) noexcept {
    const int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(quad));
    if constexpr (Bits <= 7) {
        const int8x16_t u = vreinterpretq_s8_s32(codes.data);
#if defined(__ARM_FEATURE_DOTPROD)
        return vdotq_s32(acc.data, u, x);
#else
        const int16x8_t low = vmull_s8(vget_low_s8(u), vget_low_s8(x));
        const int16x8_t high = vmull_high_s8(u, x);
        return vaddq_s32(acc.data, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
#endif
    } else {
#if defined(__ARM_FEATURE_DOTPROD) && defined(__ARM_FEATURE_MATMUL_INT8)
        return vusdotq_s32(acc.data, vreinterpretq_u8_s32(codes.data), x);
#else
        const int8x16_t u =
            vreinterpretq_s8_u8(veorq_u8(vreinterpretq_u8_s32(codes.data), vdupq_n_u8(0x80)));
#if defined(__ARM_FEATURE_DOTPROD)
        // The same for all registers: compilers compute it once.
        const int32x4_t sum = vdotq_s32(vdupq_n_s32(0), vdupq_n_s8(64), x);
        return vdotq_s32(vaddq_s32(acc.data, vaddq_s32(sum, sum)), u, x);
#else
        const std::int32_t sum =
            static_cast<std::int8_t>(quad) + static_cast<std::int8_t>(quad >> 8) +
            static_cast<std::int8_t>(quad >> 16) + static_cast<std::int8_t>(quad >> 24);
        const int32x4_t base = vaddq_s32(acc.data, vdupq_n_s32(128 * sum));
        const int16x8_t low = vmull_s8(vget_low_s8(u), vget_low_s8(x));
        const int16x8_t high = vmull_high_s8(u, x);
        return vaddq_s32(base, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
#endif
#endif
    }
}

#endif

/// acc + codes · quad, see the top of this file. Codes have at most `Bits` bits per byte; sums
/// wrap modulo 2^32.
template <int Bits>
QUANT_DETAIL_INLINE i32x16 dot4(const i32x16& acc, const i32x16& codes,
                                std::int32_t quad) noexcept {
    return per_register<std::int32_t>(
        [quad](auto a, auto c) QUANT_DETAIL_LAMBDA { return native_dot4<Bits>(a, c, quad); }, acc,
        codes);
}

/// Adds two sums of two products per lane, of 16 bits each; see quads_per_pair_sum.
QUANT_DETAIL_INLINE i32x16 add_pairs(const i32x16& sums, const i32x16& codes,
                                     std::int32_t quad) noexcept {
    return per_register<std::int32_t>(
        [quad](auto s, auto c) QUANT_DETAIL_LAMBDA { return native_add_pairs(s, c, quad); }, sums,
        codes);
}
/// acc + Weight · (both 16-bit sums of each lane).
template <int Weight>
QUANT_DETAIL_INLINE i32x16 fold_pairs(const i32x16& acc, const i32x16& sums) noexcept {
    return per_register<std::int32_t>(
        [](auto a, auto s) QUANT_DETAIL_LAMBDA { return native_fold_pairs<Weight>(a, s); }, acc,
        sums);
}

/// acc + a₁·b₁ + a₀·b₀ per lane for pairs of bf16, as the instruction set's dot product rounds.
/// Only where isa::current::bf16_dot_product.
QUANT_DETAIL_INLINE f32x16 dot2_bf16(const f32x16& acc, const i32x16& a, const i32x16& b) noexcept {
    f32x16 sum = acc;
#if !QUANT_DETAIL_SCALAR && defined(__AVX512BF16__)
    const __m512i left = a.r[0], right = b.r[0];
    sum.r[0] = _mm512_dpbf16_ps(acc.r[0], core_detail::bit_cast<__m512bh>(left),
                                core_detail::bit_cast<__m512bh>(right));
#elif !QUANT_DETAIL_SCALAR && defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
    detail::unroll<f32x16::count>([&](auto i) QUANT_DETAIL_LAMBDA {
        sum.r[i] = vbfdotq_f32(acc.r[i].data, vreinterpretq_bf16_s32(a.r[i].data),
                               vreinterpretq_bf16_s32(b.r[i].data));
    });
#else
    static_cast<void>(a);
    static_cast<void>(b);
#endif
    return sum;
}

/// a·b where a is 0 … 2^15 − 1 and b −2^15 … 2^15 − 1: cheaper than a 32-bit product where the
/// instruction set has a 16-bit one.
QUANT_DETAIL_INLINE i32x16 multiply_low_halves(const i32x16& a, const i32x16& b) noexcept {
#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
    i32x16 product;
    product.r[0] = _mm512_madd_epi16(a.r[0], b.r[0]); // the upper halves of a are 0
    return product;
#elif !QUANT_DETAIL_SCALAR && defined(__AVX2__)
    return per_register<std::int32_t>(
        [](auto x, auto y)
            QUANT_DETAIL_LAMBDA { return native<std::int32_t>(_mm256_madd_epi16(x, y)); },
        a, b);
#else
    return a * b;
#endif
}

#undef QUANT_DETAIL_IN_ORDER
#undef QUANT_DETAIL_PAIR_SUMS
#undef QUANT_DETAIL_SPLITS_CODES

/// dot4 with the quad at `quad`, to be read for this one product. g++ 12 does not let vpdpbusd read
/// it as it goes, and has twice as many instructions for that.
template <int Bits>
QUANT_DETAIL_INLINE i32x16 dot4_at(const i32x16& acc, const i32x16& codes,
                                   const std::int8_t* quad) noexcept {
#if !QUANT_DETAIL_SCALAR && defined(__AVX512VNNI__) && defined(__AVX512BW__) && \
    defined(__GNUC__) && !defined(__clang__)
    __m512i sum = acc.r[0];
    const __m512i operand = codes.r[0];
    __asm__("{vpdpbusd %2%{1to16%}, %1, %0|vpdpbusd %0, %1, %2%{1to16%}}"
            : "+v"(sum)
            : "v"(operand), "m"(*reinterpret_cast<const std::int8_t(*)[4]>(quad)));
    return {{sum}};
#else
    return dot4<Bits>(acc, codes, load_quad(quad));
#endif
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
