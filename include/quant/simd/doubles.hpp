// f64x8: eight doubles, for sums over floats that must not lose what floats would.
//
// Differences aside, what is summed is exact: the product of two floats has 48 bits, and its
// exponent is far from a double's limits. Fused or not, such sums have the same bits.
#pragma once

#include <quant/core/unroll.hpp>
#include <quant/simd/lanes.hpp>

#include <cstddef>
#include <cstring>

namespace quant::inline QUANT_ABI {
namespace simd {

#if !QUANT_DETAIL_SCALAR && !defined(__aarch64__) && !defined(__wasm__)
#define QUANT_DETAIL_F64_BY_XSIMD 1
using f64_register = xsimd::batch<double>;
inline constexpr std::size_t f64_register_size = f64_register::size;
#else
#define QUANT_DETAIL_F64_BY_XSIMD 0
using f64_register = double;
inline constexpr std::size_t f64_register_size = 1;
#endif

/// Eight lanes of double.
struct f64x8 {
    static constexpr std::size_t size = 8;
    static constexpr std::size_t count = size / f64_register_size;
    f64_register r[count];
};

template <class F, class... From>
QUANT_DETAIL_INLINE f64x8 per_f64_register(F f, const From&... from) noexcept {
    f64x8 made;
    detail::unroll<f64x8::count>([&](auto i) QUANT_DETAIL_LAMBDA { made.r[i] = f(from.r[i]...); });
    return made;
}

QUANT_DETAIL_INLINE f64x8 broadcast_f64(double value) noexcept {
    f64x8 made;
    detail::unroll<f64x8::count>([&](auto i)
                                     QUANT_DETAIL_LAMBDA { made.r[i] = f64_register(value); });
    return made;
}

QUANT_DETAIL_INLINE f64x8 operator+(const f64x8& a, const f64x8& b) noexcept {
    return per_f64_register([](auto x, auto y) QUANT_DETAIL_LAMBDA { return x + y; }, a, b);
}
QUANT_DETAIL_INLINE f64x8 operator-(const f64x8& a, const f64x8& b) noexcept {
    return per_f64_register([](auto x, auto y) QUANT_DETAIL_LAMBDA { return x - y; }, a, b);
}
QUANT_DETAIL_INLINE f64x8 operator*(const f64x8& a, const f64x8& b) noexcept {
    return per_f64_register([](auto x, auto y) QUANT_DETAIL_LAMBDA { return x * y; }, a, b);
}

/// Hides where the value came from, so that a product in it cannot be fused with an addition.
QUANT_DETAIL_INLINE f64_register opaque(f64_register value) noexcept {
#if QUANT_DETAIL_F64_BY_XSIMD && defined(__GNUC__) && defined(__AVX512F__)
    __asm__("" : "+v"(value.data));
#elif QUANT_DETAIL_F64_BY_XSIMD && defined(__GNUC__)
    __asm__("" : "+x"(value.data));
#elif defined(__aarch64__) && defined(__GNUC__)
    __asm__("" : "+w"(value));
#elif defined(__GNUC__) && !defined(__wasm__)
    __asm__("" : "+m"(value));
#endif
    return value;
}

/// a·b, rounded before anything is added to it, whatever the compiler may fuse.
QUANT_DETAIL_INLINE f64x8 rounded_product(const f64x8& a, const f64x8& b) noexcept {
    return per_f64_register([](auto x, auto y) QUANT_DETAIL_LAMBDA { return opaque(x * y); }, a, b);
}

/// The same of single numbers.
QUANT_DETAIL_INLINE double rounded_product(double a, double b) noexcept {
#if QUANT_DETAIL_F64_BY_XSIMD && defined(__GNUC__)
    double product = a * b;
    __asm__("" : "+x"(product));
    return product;
#elif QUANT_DETAIL_F64_BY_XSIMD
    return a * b;
#else
    return opaque(a * b);
#endif
}

/// The greater of |a| and b, lane by lane.
QUANT_DETAIL_INLINE f64x8 max_magnitude(const f64x8& a, const f64x8& b) noexcept {
    return per_f64_register(
        [](auto x, auto y) QUANT_DETAIL_LAMBDA {
#if QUANT_DETAIL_F64_BY_XSIMD
            return xsimd::max(xsimd::abs(x), y);
#else
            const double magnitude = x < 0 ? -x : x;
            return magnitude > y ? magnitude : y;
#endif
        },
        a, b);
}

/// The smaller and the greater of two numbers, lane by lane; of equal ones either.
QUANT_DETAIL_INLINE f64x8 min(const f64x8& a, const f64x8& b) noexcept {
    return per_f64_register(
        [](auto x, auto y) QUANT_DETAIL_LAMBDA {
#if QUANT_DETAIL_F64_BY_XSIMD
            return xsimd::min(x, y);
#else
            return x < y ? x : y;
#endif
        },
        a, b);
}
QUANT_DETAIL_INLINE f64x8 max(const f64x8& a, const f64x8& b) noexcept {
    return per_f64_register(
        [](auto x, auto y) QUANT_DETAIL_LAMBDA {
#if QUANT_DETAIL_F64_BY_XSIMD
            return xsimd::max(x, y);
#else
            return x > y ? x : y;
#endif
        },
        a, b);
}

QUANT_DETAIL_INLINE f64x8 load_f64(const double* from) noexcept {
    f64x8 made;
    std::memcpy(made.r, from, sizeof made.r);
    return made;
}

/// Lanes 0 … 7, or 8 … 15, exactly.
template <bool Upper>
QUANT_DETAIL_INLINE f64x8 widen_half(const f32x16& a) noexcept {
    f64x8 made;
#if QUANT_DETAIL_F64_BY_XSIMD && defined(__AVX512BW__)
    if constexpr (Upper) {
        made.r[0] = _mm512_cvtps_pd(_mm512_extractf32x8_ps(a.r[0], 1));
    } else {
        made.r[0] = _mm512_cvtps_pd(_mm512_castps512_ps256(a.r[0]));
    }
#elif QUANT_DETAIL_F64_BY_XSIMD && defined(__AVX__)
    made.r[0] = _mm256_cvtps_pd(_mm256_castps256_ps128(a.r[Upper]));
    made.r[1] = _mm256_cvtps_pd(_mm256_extractf128_ps(a.r[Upper], 1));
#elif QUANT_DETAIL_F64_BY_XSIMD
    constexpr std::size_t first = Upper ? 2 : 0;
    detail::unroll<2>([&](auto i) QUANT_DETAIL_LAMBDA {
        made.r[2 * i] = _mm_cvtps_pd(a.r[first + i]);
        made.r[2 * i + 1] = _mm_cvtps_pd(_mm_movehl_ps(a.r[first + i], a.r[first + i]));
    });
#else
    float narrow[16];
    store(narrow, a);
    for (std::size_t i = 0; i < 8; ++i)
        made.r[i] = static_cast<double>(narrow[i + (Upper ? 8 : 0)]);
#endif
    return made;
}

QUANT_DETAIL_INLINE void store(double (&to)[8], const f64x8& a) noexcept {
    std::memcpy(to, a.r, sizeof to);
}

/// ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)), by lanes.
QUANT_DETAIL_INLINE double sum_of_lanes(const f64x8& a) noexcept {
    double v[8];
    store(v, a);
    return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

QUANT_DETAIL_INLINE double greatest_lane(const f64x8& a) noexcept {
    double v[8];
    store(v, a);
    double greatest = v[0];
    for (const double one : v) greatest = one > greatest ? one : greatest;
    return greatest;
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
