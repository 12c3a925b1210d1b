// Passes over weights that quantize with given scales and sum up what comes out.
//
// Exactly: in floats. By trial: where a tile has its weights as integers, in 16-bit fixed point.
// Sums of these integers are exact for the steps that come out, which are the nearest but for
// weights that lie close to the middle of two. A scale that is fitted to them is nearly as good.
#pragma once

#include <quant/quantize/fixed_steps.hpp>
#include <quant/quantize/search_tile.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// What a search for scales of S tries them with.
template <quantization_scheme S>
inline constexpr tile_integers integers_of = !S::has_integer_steps ? tile_integers::none
                                             : !S::has_minimum     ? tile_integers::of_steps
                                             : S::is_two_level     ? tile_integers::of_lines_below
                                                                   : tile_integers::of_lines;

/// What rounding to the nearest level needs besides the scale.
struct level_bounds {
    simd::f32x16 least, greatest; ///< zero points shift them
};
template <quantization_scheme S>
QUANT_DETAIL_INLINE level_bounds bounds_of() noexcept {
    return {simd::broadcast(S::least_step), simd::broadcast(S::greatest_step)};
}

/// The step nearest to t.
template <quantization_scheme S, int Table>
QUANT_DETAIL_INLINE simd::f32x16 nearest_step(const simd::f32x16& t,
                                              const level_bounds& bounds) noexcept {
    if constexpr (!S::is_linear) {
        return steps_in<S, Table>(nearest_codes<S, Table>(t));
    } else {
        const auto inside = simd::min(simd::max(t, bounds.least), bounds.greatest);
        if constexpr (S::multiplier == 2) {
            const auto half = simd::floor(inside * simd::broadcast(0.5f));
            return simd::min(half + half + simd::broadcast(1.0f), bounds.greatest);
        } else {
            return simd::to_float(simd::nearest(inside));
        }
    }
}

/// Sums over a group's weights w, importances v and nearest steps q.
struct step_sums {
    simd::f32x16 vwq, vqq;

    /// The scale with the least error for these steps, and how much error it saves.
    [[nodiscard]] QUANT_DETAIL_INLINE simd::f32x16 best_scale() const noexcept {
        return vwq / simd::max(vqq, simd::broadcast(1e-37f));
    }
    [[nodiscard]] QUANT_DETAIL_INLINE simd::f32x16 gain() const noexcept {
        return simd::rounded_product(vwq, best_scale()); // gain_of subtracts from it
    }
    /// How much error a scale saves with these steps.
    [[nodiscard]] QUANT_DETAIL_INLINE simd::f32x16
    gain_of(const simd::f32x16& scale) const noexcept {
        const auto off = scale - best_scale();
        return gain() - simd::rounded_product(vqq * off, off);
    }
};

/// Σ v·w·q and Σ v·q² for the steps nearest to w / scale.
template <quantization_scheme S, int Table, bool Weighted>
QUANT_DETAIL_INLINE step_sums sum_float_steps(const search_tile& tile, const simd::f32x16& scale,
                                              const level_bounds& bounds) noexcept {
    const auto inverse = inverse_of(scale);
    const auto zero = simd::broadcast(0.0f);
    step_sums sums{zero, zero};
    for (std::size_t i = 0; i < tile.lines; ++i) {
        const auto w = tile.weight(i);
        const auto q = nearest_step<S, Table>(w * inverse, bounds);
        auto vq = q;
        if constexpr (Weighted) vq = q * simd::load<float>(tile.importance + 16 * i);
        sums.vwq = sums.vwq + simd::rounded_product(vq, w);
        sums.vqq = sums.vqq + simd::rounded_product(vq, q);
    }
    tile.combine(sums.vwq);
    tile.combine(sums.vqq);
    return sums;
}

/// Calls f(first line pair, last + 1) for 64 of them after the other: then 32 bits are full.
template <class F>
QUANT_DETAIL_INLINE void for_each_64_pairs(const search_tile& tile, F&& f) noexcept {
    const std::size_t all_pairs = tile.lines / 2;
    for (std::size_t from = 0; from < all_pairs; from += 64) {
        f(from, std::min(from + 64, all_pairs));
    }
}

/// Calls f(line pair) for all of a tile and done() after each 64 of them.
template <class F, class Done>
QUANT_DETAIL_INLINE void for_each_pair(const search_tile& tile, F&& f, Done&& done) noexcept {
    for_each_64_pairs(tile, [&](std::size_t from, std::size_t to) QUANT_DETAIL_LAMBDA {
        for (std::size_t i = from; i < to; ++i) f(i);
        done();
    });
}

/// What integers of a tile are multiplied by, divided by 2^15, to be weights in steps.
template <quantization_scheme S>
QUANT_DETAIL_INLINE simd::i32x16 fixed_inverse(const search_tile& tile,
                                               const simd::f32x16& scale) noexcept {
    constexpr auto one = static_cast<float>(1 << (15 + step_fraction<S>));
    const auto greatest = simd::broadcast(32767.0f);
    const auto wanted = inverse_of(scale) * (tile.unit * simd::broadcast(one));
    return simd::in_both_halves(
        simd::nearest(simd::min(simd::max(simd::broadcast(-32767.0f), wanted), greatest)));
}

/// Bounds of steps as halves.
[[nodiscard]] QUANT_DETAIL_INLINE fixed_bounds halves_of(const level_bounds& bounds) noexcept {
    return {simd::in_both_halves(simd::nearest(bounds.least)),
            simd::in_both_halves(simd::nearest(bounds.greatest))};
}

/// Sums of a sixty-four of line pairs, or fewer, in fixed point.
template <quantization_scheme S, int Table>
QUANT_DETAIL_INLINE void add_fixed_steps(const search_tile& tile, std::size_t from, std::size_t to,
                                         const simd::i32x16& inverse, const fixed_bounds& within,
                                         step_sums& sums) noexcept {
    auto wq = simd::broadcast<std::int32_t>(0), qq = wq;
    for (std::size_t i = from; i < to; ++i) {
        const auto w = tile.pair(i);
        const auto q = nearest_fixed_steps<S, Table>(simd::high_product(w, inverse), within);
        wq = simd::dot2(wq, w, q);
        qq = simd::dot2(qq, q, q);
    }
    sums.vwq = sums.vwq + simd::to_float(wq);
    sums.vqq = sums.vqq + simd::to_float(qq);
}
/// What is left to do with these sums.
QUANT_DETAIL_INLINE void finish_fixed_steps(const search_tile& tile, step_sums& sums) noexcept {
    tile.combine(sums.vwq);
    tile.combine(sums.vqq);
    sums.vwq = simd::rounded_product(sums.vwq, tile.unit);
}

/// The same as sum_float_steps in fixed point.
template <quantization_scheme S, int Table>
QUANT_DETAIL_INLINE step_sums sum_fixed_steps(const search_tile& tile, const simd::f32x16& scale,
                                              const level_bounds& bounds) noexcept {
    const auto inverse = fixed_inverse<S>(tile, scale);
    const auto within = halves_of(bounds);
    step_sums sums{simd::broadcast(0.0f), simd::broadcast(0.0f)};
    for_each_64_pairs(tile, [&](std::size_t from, std::size_t to) QUANT_DETAIL_LAMBDA {
        add_fixed_steps<S, Table>(tile, from, to, inverse, within, sums);
    });
    finish_fixed_steps(tile, sums);
    return sums;
}

/// The same for N scales at once, with equal results: weights that do not fit into caches are read
/// once instead of N times, and short groups are worth a call.
template <quantization_scheme S, int Table, std::size_t N>
QUANT_DETAIL_INLINE void
sum_many_fixed_steps(const search_tile& tile, const simd::f32x16 (&scales)[N],
                     const level_bounds& bounds, step_sums (&sums)[N]) noexcept {
    simd::i32x16 inverses[N];
    for (std::size_t n = 0; n < N; ++n) {
        inverses[n] = fixed_inverse<S>(tile, scales[n]);
        sums[n] = {simd::broadcast(0.0f), simd::broadcast(0.0f)};
    }
    const auto within = halves_of(bounds);
    for_each_64_pairs(tile, [&](std::size_t from, std::size_t to) QUANT_DETAIL_LAMBDA {
        for (std::size_t n = 0; n < N; ++n) {
            add_fixed_steps<S, Table>(tile, from, to, inverses[n], within, sums[n]);
        }
    });
    for (step_sums& one : sums) finish_fixed_steps(tile, one);
}

/// Sums by trial. One function per scheme and table, since compilers take long over it and callers
/// are many.
template <quantization_scheme S, int Table>
QUANT_DETAIL_OUTLINE step_sums sum_steps(const search_tile& tile, const simd::f32x16& scale,
                                         const level_bounds& bounds) noexcept {
    if constexpr (S::has_integer_steps) {
        if (tile.pairs != nullptr) return sum_fixed_steps<S, Table>(tile, scale, bounds);
    }
    if (tile.importance != nullptr) {
        return sum_float_steps<S, Table, true>(tile, scale, bounds);
    }
    return sum_float_steps<S, Table, false>(tile, scale, bounds);
}

/// sum_steps of N scales, with equal results.
template <quantization_scheme S, int Table, std::size_t N>
QUANT_DETAIL_OUTLINE void sum_many_steps(const search_tile& tile, const simd::f32x16 (&scales)[N],
                                         const level_bounds& bounds,
                                         step_sums (&sums)[N]) noexcept {
    if constexpr (S::has_integer_steps) {
        if (tile.pairs != nullptr) {
            return sum_many_fixed_steps<S, Table>(tile, scales, bounds, sums);
        }
    }
    for (std::size_t n = 0; n < N; ++n) {
        sums[n] = tile.importance != nullptr
                      ? sum_float_steps<S, Table, true>(tile, scales[n], bounds)
                      : sum_float_steps<S, Table, false>(tile, scales[n], bounds);
    }
}

/// Σ v·(w − scale·q)², exactly.
template <quantization_scheme S>
QUANT_DETAIL_OUTLINE simd::f32x16 sum_step_errors(const search_tile& tile,
                                                  const simd::f32x16& scale,
                                                  const level_bounds& bounds) noexcept {
    const auto inverse = inverse_of(scale);
    auto error = simd::broadcast(0.0f);
    for (std::size_t i = 0; i < tile.lines; ++i) {
        const auto w = tile.weight(i);
        const auto r = w - simd::rounded_product(scale, nearest_step<S, 0>(w * inverse, bounds));
        error = error + simd::rounded_product(tile.factor(i) * r, r);
    }
    tile.combine(error);
    return error;
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
