// Activation functions of networks, sixteen at a time, by polynomials of our own: one source for
// all instruction sets, and the same bits on all that have fused multiply-add.
//
// exp(v) = 2^n · e^r with n = round(v / ln 2), |r| ≤ ln 2 / 2, and e^r a polynomial. All functions
// here decay like exp(−|v|) on one side; their tails keep a relative error, since v is carried as a
// sum of two floats and 2^n multiplies last. No product feeds a sum but by fma or rounded_product,
// so that compilers have nothing to fuse.
#pragma once

#include <quant/simd/lanes.hpp>

#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace simd {

namespace math_detail {

/// c[0]·x^(N−1) + … + c[N−1].
template <std::size_t N>
QUANT_DETAIL_INLINE f32x16 polynomial(const f32x16& x, const float (&c)[N]) noexcept {
    f32x16 sum = broadcast(c[0]);
    detail::unroll<N - 1>([&](auto i)
                              QUANT_DETAIL_LAMBDA { sum = fma(sum, x, broadcast(c[i + 1])); });
    return sum;
}

/// x limited to ±limit; NaN stays NaN.
QUANT_DETAIL_INLINE f32x16 limited(const f32x16& x, float limit) noexcept {
    const f32x16 above = select_greater(broadcast(-limit), x, broadcast(-limit), x);
    return select_greater(above, broadcast(limit), broadcast(limit), above);
}

/// |x| limited to `limit`, which NaN becomes, too.
QUANT_DETAIL_INLINE f32x16 limited_magnitude(const f32x16& x, float limit) noexcept {
    const f32x16 magnitude = abs(x);
    return select_greater(broadcast(limit), magnitude, magnitude, broadcast(limit));
}

/// mantissa · 2^exponent.
struct exponential {
    f32x16 mantissa; ///< 0.7 … 1.42
    i32x16 exponent;

    /// value · 2^exponent, for exponents −250 … 250; rounded once, twice if it is subnormal.
    [[nodiscard]] QUANT_DETAIL_INLINE f32x16 scale(const f32x16& value) const noexcept {
        // Two powers of two, since one alone may be no normal number. The bias keeps the shift's
        // operand positive.
        const i32x16 first =
            shift_right<1>(exponent + broadcast<std::int32_t>(512)) - broadcast<std::int32_t>(256);
        return rounded_product(value * power_of_two(first), power_of_two(exponent - first));
    }

private:
    QUANT_DETAIL_INLINE static f32x16 power_of_two(const i32x16& n) noexcept {
        return bits_to_float(shift_left<23>(n + broadcast<std::int32_t>(127)));
    }
};

/// exp(v + tail) for finite |v| ≤ 160 and |tail| ≤ 2^−10·|v| as well as |tail| ≤ 0.05. Relative
/// error of the mantissa: 2^−23.
QUANT_DETAIL_INLINE exponential exp(const f32x16& v, const f32x16& tail) noexcept {
    // ln 2 in two parts, the first so short that its products with n are exact.
    constexpr float ln2_high = 0x1.62ep-1f, ln2_low = 0x1.0bfbe8p-15f;
    // (e^r − 1 − r) / r² on ±ln 2 / 2, the best of degree 4: relative error of e^r 8e-9.
    constexpr float c[] = {0x1.6d117cp-10f, 0x1.120be2p-7f, 0x1.555518p-5f, 0x1.5554dcp-3f, 0.5f};
    exponential made;
    made.exponent = nearest(v * broadcast(0x1.715476p+0f));
    const f32x16 n = to_float(made.exponent);
    f32x16 r = fma(n, broadcast(-ln2_high), v);
    r = fma(n, broadcast(-ln2_low), r) + tail;
    made.mantissa = fma(polynomial(r, c), r * r, r) + broadcast(1.0f);
    return made;
}

/// x·σ(v + tail) with σ(v) = 1/(1 + e^−v), for x and v of the same sign.
QUANT_DETAIL_INLINE f32x16 times_sigmoid(const f32x16& x, const f32x16& v,
                                         const f32x16& tail) noexcept {
    // e = exp(−|v|) ≤ 1 overflows nowhere; σ is 1/(1 + e) or e/(1 + e).
    const f32x16 zero = broadcast(0.0f);
    const f32x16 magnitude = limited_magnitude(v, 128.0f);
    const exponential e = exp(zero - magnitude, select_greater(v, zero, zero - tail, tail));
    const f32x16 decayed = e.scale(limited(x, 128.0f) * e.mantissa);
    return select_greater(x, zero, x, decayed) / (broadcast(1.0f) + e.scale(e.mantissa));
}

} // namespace math_detail

/// x·σ(x) = x / (1 + exp(−x)), also called swish. −∞ gives −0.
/// Relative error: 3e-7; where the result is subnormal, 4e-45 instead.
QUANT_DETAIL_INLINE f32x16 silu(const f32x16& x) noexcept {
    return math_detail::times_sigmoid(x, x, broadcast(0.0f));
}

/// x·Φ(x) = x/2 · (1 + erf(x/√2)), Φ the normal distribution. −∞ gives −0.
/// Relative error: 6e-7; where the result is subnormal, 5e-45 instead.
QUANT_DETAIL_INLINE f32x16 gelu(const f32x16& x) noexcept {
    // Φ(−a) = exp(−a²/2) · g(a), with g(a) = t·P(t), t = 1/(1 + a/4), and P the best of degree 9
    // for a = 0 … 16: relative error 3e-9 of P. Beyond 16 nothing is left of Φ(−a).
    constexpr float c[] = {0x1.10e2e2p-6f, -0x1.040f72p-4f, 0x1.baaa96p-5f, 0x1.8c0ab4p-6f,
                           0x1.1a8fdap-6f, 0x1.569a12p-4f,  0x1.2c121ep-4f, 0x1.85eb58p-4f,
                           0x1.97b4dp-4f,  0x1.988e72p-4f};
    constexpr float limit = 16.0f;
    const f32x16 a = math_detail::limited_magnitude(x, limit);
    const f32x16 t = broadcast(1.0f) / fma(a, broadcast(0.25f), broadcast(1.0f));
    const f32x16 g = t * math_detail::polynomial(t, c);
    // −a²/2 = −h²/2 − (a + h)·(a − h)/2 with h of 12 bits, so that h² is exact.
    const f32x16 h = bits_to_float(float_to_bits(a) & broadcast<std::int32_t>(~0xFFF));
    const f32x16 minus_half = broadcast(-0.5f);
    const f32x16 tail = rounded_product((a + h) * (a - h), minus_half);
    const auto e = math_detail::exp(rounded_product(h * h, minus_half), tail);
    const f32x16 decayed = e.scale(math_detail::limited(x, limit) * g * e.mantissa);
    return select_greater(x, broadcast(0.0f), x - decayed, decayed);
}

/// x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))), which differs from gelu by up to 4.8e-4. −∞ gives
/// −0. Relative error: 3e-7, without fused multiply-add 1.5e-5; where the result is subnormal,
/// 4e-45 and 2e-43 instead. Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
QUANT_DETAIL_INLINE f32x16 gelu_tanh(const f32x16& x) noexcept {
    // x·σ(v) with v = x·(c0 + c1·x²), every number but x a sum of two floats: an error of v is a
    // relative error of exp(v).
    constexpr float c0 = 0x1.988454p+0f, c0_tail = -0x1.857936p-25f;
    constexpr float c1 = 0x1.2444f2p-4f, c1_tail = 0x1.49b16ap-29f;
    const f32x16 zero = broadcast(0.0f), b = math_detail::limited(x, 16.0f);
    const f32x16 minus_square = rounded_product(zero - b, b);
    const f32x16 square = zero - minus_square, square_tail = fma(b, b, minus_square);
    const f32x16 cubic = rounded_product(broadcast(c1), square);
    f32x16 sum_tail = fma(broadcast(c1), square, zero - cubic);
    sum_tail = fma(broadcast(c1), square_tail, sum_tail);
    sum_tail = fma(broadcast(c1_tail), square, sum_tail) + broadcast(c0_tail);
    // What the addition rounds away, whichever term is larger (Knuth).
    const f32x16 sum = broadcast(c0) + cubic;
    const f32x16 of_cubic = sum - broadcast(c0);
    sum_tail = sum_tail + ((broadcast(c0) - (sum - of_cubic)) + (cubic - of_cubic));
    const f32x16 v = rounded_product(b, sum);
    const f32x16 tail = fma(b, sum_tail, fma(b, sum, zero - v));
    return math_detail::times_sigmoid(x, v, tail);
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
