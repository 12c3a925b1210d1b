// Shuffles of two vector registers, each 128-bit quarter (or half, or whole) for itself, and of
// whole quarters: what transpositions and reductions are made of.
//
// Written on floats, whose shuffles plain AVX has too. With a and b one quarter of the operands:
//
//   interleave_low    a0 b0 a1 b1        even_lanes   a0 a2 b0 b2        low_pairs    a0 a1 b0 b1
//   interleave_high   a2 b2 a3 b3        odd_lanes    a1 a3 b1 b3        high_pairs   a2 a3 b2 b3
#pragma once

#include <quant/simd/intrinsics.hpp>
#include <quant/simd/lanes.hpp>

#if !QUANT_DETAIL_SCALAR

namespace quant::inline QUANT_ABI {
namespace simd {

#if defined(__AVX512BW__)
#define QUANT_DETAIL_SHUFFLE(name, operation) \
    QUANT_DETAIL_INLINE native<float> name(native<float> a, native<float> b) noexcept { \
        return _mm512_##operation; \
    }
#elif defined(__AVX__)
#define QUANT_DETAIL_SHUFFLE(name, operation) \
    QUANT_DETAIL_INLINE native<float> name(native<float> a, native<float> b) noexcept { \
        return _mm256_##operation; \
    }
#elif defined(__SSE2__) || defined(_M_X64)
#define QUANT_DETAIL_SHUFFLE(name, operation) \
    QUANT_DETAIL_INLINE native<float> name(native<float> a, native<float> b) noexcept { \
        return _mm_##operation; \
    }
#endif

#if defined(QUANT_DETAIL_SHUFFLE)
QUANT_DETAIL_SHUFFLE(interleave_low, unpacklo_ps(a, b))
QUANT_DETAIL_SHUFFLE(interleave_high, unpackhi_ps(a, b))
QUANT_DETAIL_SHUFFLE(low_pairs, shuffle_ps(a, b, 0x44))
QUANT_DETAIL_SHUFFLE(high_pairs, shuffle_ps(a, b, 0xEE))
QUANT_DETAIL_SHUFFLE(even_lanes, shuffle_ps(a, b, 0x88))
QUANT_DETAIL_SHUFFLE(odd_lanes, shuffle_ps(a, b, 0xDD))
#if defined(__AVX512BW__)
/// Quarters a0 a2 b0 b2, a1 a3 b1 b3; a0 a1 b0 b1, a2 a3 b2 b3.
QUANT_DETAIL_SHUFFLE(even_quarters, shuffle_f32x4(a, b, 0x88))
QUANT_DETAIL_SHUFFLE(odd_quarters, shuffle_f32x4(a, b, 0xDD))
QUANT_DETAIL_SHUFFLE(low_halves, shuffle_f32x4(a, b, 0x44))
QUANT_DETAIL_SHUFFLE(high_halves, shuffle_f32x4(a, b, 0xEE))
#elif defined(__AVX__)
/// Quarters of a lanes<T> are halves of a register: a0 b0, a1 b1.
QUANT_DETAIL_SHUFFLE(even_quarters, permute2f128_ps(a, b, 0x20))
QUANT_DETAIL_SHUFFLE(odd_quarters, permute2f128_ps(a, b, 0x31))
#endif
#undef QUANT_DETAIL_SHUFFLE

#elif defined(__wasm_simd128__)

#define QUANT_DETAIL_SHUFFLE(name, ...) \
    QUANT_DETAIL_INLINE native<float> name(native<float> a, native<float> b) noexcept { \
        return wasm_i32x4_shuffle(a, b, __VA_ARGS__); \
    }
QUANT_DETAIL_SHUFFLE(interleave_low, 0, 4, 1, 5)
QUANT_DETAIL_SHUFFLE(interleave_high, 2, 6, 3, 7)
QUANT_DETAIL_SHUFFLE(low_pairs, 0, 1, 4, 5)
QUANT_DETAIL_SHUFFLE(high_pairs, 2, 3, 6, 7)
QUANT_DETAIL_SHUFFLE(even_lanes, 0, 2, 4, 6)
QUANT_DETAIL_SHUFFLE(odd_lanes, 1, 3, 5, 7)
#undef QUANT_DETAIL_SHUFFLE

#else // AArch64

QUANT_DETAIL_INLINE native<float> interleave_low(native<float> a, native<float> b) noexcept {
    return vzip1q_f32(a, b);
}
QUANT_DETAIL_INLINE native<float> interleave_high(native<float> a, native<float> b) noexcept {
    return vzip2q_f32(a, b);
}
QUANT_DETAIL_INLINE native<float> low_pairs(native<float> a, native<float> b) noexcept {
    return vreinterpretq_f32_f64(vzip1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
}
QUANT_DETAIL_INLINE native<float> high_pairs(native<float> a, native<float> b) noexcept {
    return vreinterpretq_f32_f64(vzip2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
}
QUANT_DETAIL_INLINE native<float> even_lanes(native<float> a, native<float> b) noexcept {
    return vuzp1q_f32(a, b);
}
QUANT_DETAIL_INLINE native<float> odd_lanes(native<float> a, native<float> b) noexcept {
    return vuzp2q_f32(a, b);
}

#endif

QUANT_DETAIL_INLINE native<float> as_float_bits(native<float> a) noexcept { return a; }
QUANT_DETAIL_INLINE native<float> as_float_bits(native<std::int32_t> a) noexcept {
    return native_bits_to_float(a);
}
template <class T>
QUANT_DETAIL_INLINE native<T> from_float_bits(native<float> a) noexcept {
    if constexpr (std::is_same_v<T, float>) {
        return a;
    } else {
        return native_float_to_bits(a);
    }
}

} // namespace simd
} // namespace quant::inline QUANT_ABI

#endif
