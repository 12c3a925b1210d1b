// Lanes of i32x16 as pairs of 16-bit integers, the lower half the first: twice as many numbers in a
// register as of floats, and sums of products in one instruction.
//
//                 (a·b + 2^14) >> 15      acc + a₀·b₀ + a₁·b₁
//   AVX-512BW     vpmulhrsw               vpmaddwd and vpaddd; vpdpwssd with VNNI
//   AVX2, SSSE3   vpmulhrsw               vpmaddwd and vpaddd; vpdpwssd with AVX-VNNI
//   SSE2          pmulhw, pmullw          pmaddwd and paddd
//   AArch64       sqrdmulh                smull, smull2, addp
//   WebAssembly   i16x8.q15mulr_sat       i32x4.dot_i16x8 and i32x4.add
//   elsewhere     half by half
#pragma once

#include <quant/simd/intrinsics.hpp>
#include <quant/simd/lanes.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace simd {

// f(a, b) of 16-bit integers.
#define QUANT_DETAIL_BY_HALVES(name, f) \
    QUANT_DETAIL_INLINE native<std::int32_t> name(native<std::int32_t> a, \
                                                  native<std::int32_t> b) noexcept { \
        return of_halves(f(halves_of(a), halves_of(b))); \
    }

#if QUANT_DETAIL_SCALAR

/// f(lower halves), f(upper halves) of each element, as 16-bit integers.
template <class F, class... From>
QUANT_DETAIL_INLINE native<std::int32_t> native_halves(F f, const From&... from) noexcept {
    return native_each<std::int32_t>([&](std::size_t i) {
        const auto half = [&](int down) {
            return static_cast<std::uint32_t>(
                       f(static_cast<std::int16_t>(native_unsigned(from.v[i]) >> down)...)) &
                   0xFFFFu;
        };
        return static_cast<std::int32_t>(half(0) | half(16) << 16);
    });
}
QUANT_DETAIL_INLINE native<std::int32_t> native_high_product(native<std::int32_t> a,
                                                             native<std::int32_t> b) noexcept {
    return native_halves([](int x, int y) { return (x * y + 0x4000) >> 15; }, a, b);
}
QUANT_DETAIL_INLINE native<std::int32_t> native_add_halves(native<std::int32_t> a,
                                                           native<std::int32_t> b) noexcept {
    return native_halves([](int x, int y) { return x + y; }, a, b);
}
QUANT_DETAIL_INLINE native<std::int32_t>
native_subtract_halves_saturating(native<std::int32_t> a, native<std::int32_t> b) noexcept {
    return native_halves([](int x, int y) { return std::clamp(x - y, -32768, 32767); }, a, b);
}
QUANT_DETAIL_INLINE native<std::int32_t> native_min_halves(native<std::int32_t> a,
                                                           native<std::int32_t> b) noexcept {
    return native_halves([](int x, int y) { return std::min(x, y); }, a, b);
}
QUANT_DETAIL_INLINE native<std::int32_t> native_max_halves(native<std::int32_t> a,
                                                           native<std::int32_t> b) noexcept {
    return native_halves([](int x, int y) { return std::max(x, y); }, a, b);
}
template <int N>
QUANT_DETAIL_INLINE native<std::int32_t> native_shift_halves(native<std::int32_t> a) noexcept {
    return native_halves([](int x) { return x >> N; }, a);
}
QUANT_DETAIL_INLINE native<std::int32_t>
native_add_where_greater(native<std::int32_t> sum, native<std::int32_t> a, native<std::int32_t> b,
                         native<std::int32_t> value) noexcept {
    return native_halves([](int s, int x, int y, int v) { return x > y ? s + v : s; }, sum, a, b,
                         value);
}
QUANT_DETAIL_INLINE native<std::int32_t>
native_dot2(native<std::int32_t> acc, native<std::int32_t> a, native<std::int32_t> b) noexcept {
    const auto half = [](std::int32_t pair, int down) {
        return static_cast<std::int32_t>(static_cast<std::int16_t>(native_unsigned(pair) >> down));
    };
    return native_wrapping([&](std::size_t i) {
        return native_unsigned(acc.v[i]) + native_unsigned(half(a.v[i], 0) * half(b.v[i], 0)) +
               native_unsigned(half(a.v[i], 16) * half(b.v[i], 16));
    });
}

#elif defined(__aarch64__)

QUANT_DETAIL_INLINE int16x8_t halves_of(native<std::int32_t> a) noexcept {
    return vreinterpretq_s16_s32(a.data);
}
QUANT_DETAIL_INLINE native<std::int32_t> of_halves(int16x8_t a) noexcept {
    return vreinterpretq_s32_s16(a);
}
QUANT_DETAIL_BY_HALVES(native_high_product, vqrdmulhq_s16)
QUANT_DETAIL_BY_HALVES(native_add_halves, vaddq_s16)
QUANT_DETAIL_BY_HALVES(native_subtract_halves_saturating, vqsubq_s16)
QUANT_DETAIL_BY_HALVES(native_min_halves, vminq_s16)
QUANT_DETAIL_BY_HALVES(native_max_halves, vmaxq_s16)
template <int N>
QUANT_DETAIL_INLINE native<std::int32_t> native_shift_halves(native<std::int32_t> a) noexcept {
    return of_halves(vshrq_n_s16(halves_of(a), N));
}
QUANT_DETAIL_INLINE native<std::int32_t>
native_add_where_greater(native<std::int32_t> sum, native<std::int32_t> a, native<std::int32_t> b,
                         native<std::int32_t> value) noexcept {
    const int16x8_t mask = vreinterpretq_s16_u16(vcgtq_s16(halves_of(a), halves_of(b)));
    return of_halves(vaddq_s16(halves_of(sum), vandq_s16(mask, halves_of(value))));
}
QUANT_DETAIL_INLINE native<std::int32_t>
native_dot2(native<std::int32_t> acc, native<std::int32_t> a, native<std::int32_t> b) noexcept {
    const int16x8_t x = halves_of(a), y = halves_of(b);
    const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y));
    const int32x4_t high = vmull_high_s16(x, y);
    return vaddq_s32(acc.data, vpaddq_s32(low, high));
}

#elif defined(__wasm_simd128__)

QUANT_DETAIL_INLINE v128_t halves_of(native<std::int32_t> a) noexcept { return a.data; }
QUANT_DETAIL_INLINE native<std::int32_t> of_halves(v128_t a) noexcept { return a; }
QUANT_DETAIL_BY_HALVES(native_high_product, wasm_i16x8_q15mulr_sat)
QUANT_DETAIL_BY_HALVES(native_add_halves, wasm_i16x8_add)
QUANT_DETAIL_BY_HALVES(native_subtract_halves_saturating, wasm_i16x8_sub_sat)
QUANT_DETAIL_BY_HALVES(native_min_halves, wasm_i16x8_min)
QUANT_DETAIL_BY_HALVES(native_max_halves, wasm_i16x8_max)
template <int N>
QUANT_DETAIL_INLINE native<std::int32_t> native_shift_halves(native<std::int32_t> a) noexcept {
    return wasm_i16x8_shr(a, N);
}
QUANT_DETAIL_INLINE native<std::int32_t>
native_add_where_greater(native<std::int32_t> sum, native<std::int32_t> a, native<std::int32_t> b,
                         native<std::int32_t> value) noexcept {
    return wasm_i16x8_add(sum, wasm_v128_and(wasm_i16x8_gt(a, b), value));
}
QUANT_DETAIL_INLINE native<std::int32_t>
native_dot2(native<std::int32_t> acc, native<std::int32_t> a, native<std::int32_t> b) noexcept {
    return wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(a, b));
}

#else // x86

using halves = xsimd::batch<std::int16_t>;
QUANT_DETAIL_INLINE halves halves_of(native<std::int32_t> a) noexcept {
    return xsimd::bitwise_cast<std::int16_t>(a);
}
QUANT_DETAIL_INLINE native<std::int32_t> of_halves(halves a) noexcept {
    return xsimd::bitwise_cast<std::int32_t>(a);
}

QUANT_DETAIL_INLINE __m128i high_product_128(__m128i a, __m128i b) noexcept {
#if defined(__SSSE3__) || defined(__AVX__)
    return _mm_mulhrs_epi16(a, b);
#else
    // The product's lower half adds 0, 1 or 2: ((low >> 14) + 1) >> 1.
    const __m128i high = _mm_mulhi_epi16(a, b), low = _mm_mullo_epi16(a, b);
    const __m128i rest = _mm_add_epi16(_mm_srli_epi16(low, 14), _mm_set1_epi16(1));
    return _mm_add_epi16(_mm_add_epi16(high, high), _mm_srli_epi16(rest, 1));
#endif
}
QUANT_DETAIL_INLINE __m128i dot2_128(__m128i acc, __m128i a, __m128i b) noexcept {
    return _mm_add_epi32(acc, _mm_madd_epi16(a, b));
}
#if defined(__AVX__) && !defined(__AVX2__)
/// With AVX alone xsimd's registers have 256 bits but integer instructions only 128.
template <class F, class... From>
QUANT_DETAIL_INLINE native<std::int32_t> native_by_128(F f, const From&... from) noexcept {
    const __m128i low = f(_mm256_castsi256_si128(static_cast<__m256i>(from))...);
    const __m128i high = f(_mm256_extractf128_si256(static_cast<__m256i>(from), 1)...);
    return _mm256_insertf128_si256(_mm256_castsi128_si256(low), high, 1);
}
#endif

QUANT_DETAIL_INLINE native<std::int32_t> native_high_product(native<std::int32_t> a,
                                                             native<std::int32_t> b) noexcept {
#if defined(__AVX512BW__)
    return _mm512_mulhrs_epi16(a, b);
#elif defined(__AVX2__)
    return _mm256_mulhrs_epi16(a, b);
#elif defined(__AVX__)
    return native_by_128(high_product_128, a, b);
#else
    return high_product_128(a, b);
#endif
}
QUANT_DETAIL_BY_HALVES(native_add_halves, xsimd::add)
QUANT_DETAIL_BY_HALVES(native_subtract_halves_saturating, xsimd::ssub)
QUANT_DETAIL_BY_HALVES(native_min_halves, xsimd::min)
QUANT_DETAIL_BY_HALVES(native_max_halves, xsimd::max)
template <int N>
QUANT_DETAIL_INLINE native<std::int32_t> native_shift_halves(native<std::int32_t> a) noexcept {
#if defined(__AVX512BW__)
    return _mm512_srai_epi16(a, N);
#elif defined(__AVX2__)
    return _mm256_srai_epi16(a, N);
#else
    return of_halves(halves_of(a) >> N);
#endif
}
QUANT_DETAIL_INLINE native<std::int32_t>
native_add_where_greater(native<std::int32_t> sum, native<std::int32_t> a, native<std::int32_t> b,
                         native<std::int32_t> value) noexcept {
#if defined(__AVX512BW__)
    return _mm512_mask_add_epi16(sum, _mm512_cmpgt_epi16_mask(a, b), sum, value);
#elif defined(__AVX2__)
    return _mm256_add_epi16(sum, _mm256_and_si256(_mm256_cmpgt_epi16(a, b), value));
#else
    const auto added = xsimd::select(halves_of(a) > halves_of(b), halves_of(value), halves(0));
    return of_halves(halves_of(sum) + added);
#endif
}
QUANT_DETAIL_INLINE native<std::int32_t>
native_dot2(native<std::int32_t> acc, native<std::int32_t> a, native<std::int32_t> b) noexcept {
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
    return _mm512_dpwssd_epi32(acc, a, b);
#elif defined(__AVX512BW__)
    return _mm512_add_epi32(acc, _mm512_madd_epi16(a, b));
#elif defined(__AVXVNNI__)
    return _mm256_dpwssd_avx_epi32(acc, a, b);
#elif defined(__AVX2__)
    return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
#elif defined(__AVX__)
    return native_by_128(dot2_128, acc, a, b);
#else
    return dot2_128(acc, a, b);
#endif
}

#endif

#undef QUANT_DETAIL_BY_HALVES

/// Both halves of each lane from the lower 16 bits of two.
QUANT_DETAIL_INLINE i32x16 pair_up(const i32x16& lower, const i32x16& upper) noexcept {
    return merge_bits(lower, broadcast<std::int32_t>(0xFFFF), shift_left<16>(upper));
}
/// The lower 16 bits of each lane in both its halves.
QUANT_DETAIL_INLINE i32x16 in_both_halves(const i32x16& lower) noexcept {
    return pair_up(lower, lower);
}
/// An integer in all halves.
QUANT_DETAIL_INLINE i32x16 broadcast_halves(std::int16_t value) noexcept {
    return in_both_halves(broadcast<std::int32_t>(value));
}

/// (a·b + 2^14) >> 15 by halves, not both of which are −2^15: a·b / 2^15 to the nearest.
QUANT_DETAIL_INLINE i32x16 high_product(const i32x16& a, const i32x16& b) noexcept {
    return per_register<std::int32_t>(
        [](auto x, auto y) QUANT_DETAIL_LAMBDA { return native_high_product(x, y); }, a, b);
}
/// a + b by halves, wrapping.
QUANT_DETAIL_INLINE i32x16 add_halves(const i32x16& a, const i32x16& b) noexcept {
    return per_register<std::int32_t>(
        [](auto x, auto y) QUANT_DETAIL_LAMBDA { return native_add_halves(x, y); }, a, b);
}
/// a − b by halves, saturating.
QUANT_DETAIL_INLINE i32x16 subtract_halves_saturating(const i32x16& a, const i32x16& b) noexcept {
    return per_register<std::int32_t>(
        [](auto x, auto y) QUANT_DETAIL_LAMBDA { return native_subtract_halves_saturating(x, y); },
        a, b);
}
QUANT_DETAIL_INLINE i32x16 clamp_halves(const i32x16& a, const i32x16& least,
                                        const i32x16& greatest) noexcept {
    return per_register<std::int32_t>(
        [](auto x, auto low, auto high)
            QUANT_DETAIL_LAMBDA { return native_min_halves(native_max_halves(x, low), high); },
        a, least, greatest);
}
/// Halves divided by 2^N, rounded down; N is 1 … 15.
template <int N>
QUANT_DETAIL_INLINE i32x16 shift_halves(const i32x16& a) noexcept {
    return per_register<std::int32_t>(
        [](auto x) QUANT_DETAIL_LAMBDA { return native_shift_halves<N>(x); }, a);
}
/// By halves: a > b ? sum + value : sum.
QUANT_DETAIL_INLINE i32x16 add_where_greater(const i32x16& sum, const i32x16& a, const i32x16& b,
                                             const i32x16& value) noexcept {
    return per_register<std::int32_t>(
        [](auto s, auto x, auto y, auto v)
            QUANT_DETAIL_LAMBDA { return native_add_where_greater(s, x, y, v); },
        sum, a, b, value);
}
/// acc + a₀·b₀ + a₁·b₁ of each lane's halves, modulo 2^32.
QUANT_DETAIL_INLINE i32x16 dot2(const i32x16& acc, const i32x16& a, const i32x16& b) noexcept {
    return per_register<std::int32_t>(
        [](auto s, auto x, auto y) QUANT_DETAIL_LAMBDA { return native_dot2(s, x, y); }, acc, a, b);
}

/// Whether lookup_halves is to be used: without an instruction for it, comparing is faster.
#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
inline constexpr bool has_half_lookup = true;
#else
inline constexpr bool has_half_lookup = false;
#endif

/// table[half], halves being 0 … N − 1, N ≤ 128.
template <std::size_t N>
QUANT_DETAIL_INLINE i32x16 lookup_halves(
    [[maybe_unused]] const std::array<std::int16_t, 128>& table, const i32x16& index) noexcept {
    static_assert(N <= 128);
#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
    const auto entries = [&](std::size_t from) QUANT_DETAIL_LAMBDA {
        return _mm512_loadu_si512(table.data() + from);
    };
    i32x16 found;
    if constexpr (N <= 32) {
        found.r[0] = _mm512_permutexvar_epi16(index.r[0], entries(0));
    } else {
        found.r[0] = _mm512_permutex2var_epi16(entries(0), index.r[0], entries(32));
        if constexpr (N > 64) {
            const __m512i upper = _mm512_permutex2var_epi16(entries(64), index.r[0], entries(96));
            const __mmask32 is_upper = _mm512_test_epi16_mask(index.r[0], _mm512_set1_epi16(64));
            found.r[0] = _mm512_mask_mov_epi16(found.r[0], is_upper, upper);
        }
    }
    return found;
#else
    return index;
#endif
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
