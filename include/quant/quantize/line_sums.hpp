// Passes over weights that quantize by lines w ≈ s·u + m and sum up what comes out; in floats or,
// by trial, in fixed point, as in quantize/step_sums.hpp.
#pragma once

#include <quant/quantize/step_sums.hpp>

#include <cstddef>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Sums for a line w ≈ s·u + m: of codes u, importances v and distances d of weights from the
/// minimum that the codes were made with.
struct line_sums {
    simd::f32x16 v, vu, vuu, vd, vud;
    simd::f32x16 made; ///< that minimum

    /// Least squares. The minimum is rounded before the scale is fitted to it; lanes in which all
    /// codes are alike keep their numbers.
    template <class Round>
    void solve(simd::f32x16& scale, simd::f32x16& minimum, Round round) const noexcept {
        const auto zero = simd::broadcast(0.0f), one = simd::broadcast(1.0f);
        const auto determinant = simd::rounded_product(v, vuu) - simd::rounded_product(vu, vu);
        const auto safe = simd::select_greater(determinant, zero, determinant, one);
        const auto shift = simd::rounded_product(vuu, vd) - simd::rounded_product(vu, vud);
        auto m = made + shift / safe;
        auto s = scale;
        round(s, m);
        const auto above = vud - simd::rounded_product(m - made, vu);
        s = above / simd::select_greater(vuu, zero, vuu, one);
        round(s, m);
        scale = simd::select_greater(determinant, zero, s, scale);
        minimum = simd::select_greater(determinant, zero, m, minimum);
    }
    /// What a line leaves of Σ v·(w − origin)², with these codes: how much less that is.
    [[nodiscard]] simd::f32x16 gain(const simd::f32x16& s, const simd::f32x16& m,
                                    const simd::f32x16& origin) const noexcept {
        const auto shift = m - made, from = made - origin;
        const auto half = vud - simd::rounded_product(shift, vu);
        const auto by_scale = half + half - simd::rounded_product(s, vuu);
        const auto by_shift = vd + vd - simd::rounded_product(shift, v);
        const auto by_origin = vd + vd + simd::rounded_product(from, v);
        return simd::rounded_product(s, by_scale) + simd::rounded_product(shift, by_shift) +
               simd::rounded_product(from, by_origin);
    }
};

/// Codes of (w − minimum) / scale and their sums.
template <quantization_scheme S, bool Weighted>
QUANT_DETAIL_INLINE line_sums sum_float_line(const search_tile& tile, const simd::f32x16& scale,
                                             const simd::f32x16& minimum) noexcept {
    const auto inverse = inverse_of(scale);
    const auto zero = simd::broadcast(0.0f);
    const auto last = simd::broadcast(static_cast<float>(S::max_code));
    line_sums sums{zero, zero, zero, zero, zero, minimum};
    for (std::size_t i = 0; i < tile.lines; ++i) {
        const auto w = tile.weight(i);
        const auto v = tile.factor(i);
        const auto d = w - minimum;
        const auto steps = simd::min(simd::max(d * inverse, zero), last);
        const auto u = simd::to_float(simd::nearest(steps));
        const auto vu = Weighted ? v * u : u;
        sums.v = sums.v + v;
        sums.vu = sums.vu + simd::rounded_product(v, u);
        sums.vuu = sums.vuu + simd::rounded_product(vu, u);
        sums.vd = sums.vd + simd::rounded_product(v, d);
        sums.vud = sums.vud + simd::rounded_product(vu, d);
    }
    for (auto* sum : {&sums.v, &sums.vu, &sums.vuu, &sums.vd, &sums.vud}) tile.combine(*sum);
    return sums;
}

/// The same in fixed point, with the minimum rounded to the tile's unit.
template <quantization_scheme S>
QUANT_DETAIL_INLINE line_sums sum_fixed_line(const search_tile& tile, const simd::f32x16& scale,
                                             const simd::f32x16& minimum) noexcept {
    constexpr int fraction = step_fraction<S>;
    const auto inverse = fixed_inverse<S>(tile, scale);
    const auto farthest = simd::broadcast(16384.0f);
    const auto least = simd::nearest(simd::min(
        simd::max(simd::broadcast(-16384.0f), (minimum - tile.origin) * inverse_of(tile.unit)),
        farthest));
    const auto from = simd::in_both_halves(least);
    const auto half = simd::broadcast_halves(1 << (fraction - 1));
    const auto first = simd::broadcast_halves(0), last = simd::broadcast_halves(S::max_code);
    const auto one = simd::broadcast_halves(1);
    const auto none = simd::broadcast<std::int32_t>(0);
    auto u_sum = none, uu = none, ud = none;
    const auto zero = simd::broadcast(0.0f);
    line_sums sums{zero, zero, zero, zero, zero, zero};
    for_each_pair(
        tile,
        [&](std::size_t i) QUANT_DETAIL_LAMBDA {
            const auto d = simd::subtract_halves_saturating(tile.pair(i), from);
            const auto t = simd::add_halves(simd::high_product(d, inverse), half);
            const auto u = simd::clamp_halves(simd::shift_halves<fraction>(t), first, last);
            u_sum = simd::add_halves(u_sum, u); // 64 codes: 16320 at most
            uu = simd::dot2(uu, u, u);
            ud = simd::dot2(ud, u, d);
        },
        [&]() QUANT_DETAIL_LAMBDA {
            sums.vu = sums.vu + simd::to_float(simd::dot2(none, u_sum, one));
            sums.vuu = sums.vuu + simd::to_float(uu);
            sums.vud = sums.vud + simd::to_float(ud);
            u_sum = uu = ud = none;
        });
    for (auto* sum : {&sums.vu, &sums.vuu, &sums.vud}) tile.combine(*sum);
    sums.vud = simd::rounded_product(sums.vud, tile.unit);
    const std::size_t columns = tile.one_group ? 16 * tile.lines : tile.lines;
    sums.v = simd::broadcast(static_cast<float>(columns));
    const auto from_origin = simd::rounded_product(simd::to_float(least), tile.unit);
    sums.made = tile.origin + from_origin;
    sums.vd = tile.total - simd::rounded_product(sums.v, from_origin);
    return sums;
}

/// Sums by trial; see sum_steps.
template <quantization_scheme S>
QUANT_DETAIL_OUTLINE line_sums sum_line(const search_tile& tile, const simd::f32x16& scale,
                                        const simd::f32x16& minimum) noexcept {
    if (tile.pairs != nullptr) return sum_fixed_line<S>(tile, scale, minimum);
    return tile.importance != nullptr ? sum_float_line<S, true>(tile, scale, minimum)
                                      : sum_float_line<S, false>(tile, scale, minimum);
}

/// Σ v·(w − (scale·u + minimum))², exactly.
template <quantization_scheme S>
QUANT_DETAIL_OUTLINE simd::f32x16 sum_line_errors(const search_tile& tile,
                                                  const simd::f32x16& scale,
                                                  const simd::f32x16& minimum) noexcept {
    const auto inverse = inverse_of(scale);
    const auto zero = simd::broadcast(0.0f);
    const auto last = simd::broadcast(static_cast<float>(S::max_code));
    auto error = zero;
    for (std::size_t i = 0; i < tile.lines; ++i) {
        const auto w = tile.weight(i);
        const auto steps = simd::min(simd::max((w - minimum) * inverse, zero), last);
        const auto u = simd::to_float(simd::nearest(steps));
        const auto r = w - (simd::rounded_product(scale, u) + minimum);
        error = error + simd::rounded_product(tile.factor(i) * r, r);
    }
    tile.combine(error);
    return error;
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
