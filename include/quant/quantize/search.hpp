// Scales (and offsets) with little squared error, for schemes with one level of scales: those that
// the min-max rule gives and smaller ones are tried, each is improved by least squares for the
// codes that it leads to, and the best of what can be stored is kept. Never worse than min-max.
#pragma once

#include <quant/quantize/line_sums.hpp>

#include <array>
#include <cstddef>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Groups short enough that where levels lie between the weights decides more than how far they
/// reach.
template <quantization_scheme S>
inline constexpr bool has_short_groups = S::group_cols > 0 && S::group_cols <= 64;

/// Shares of the min-max scale that are tried: near it, or also far below it where few levels have
/// to serve many weights.
template <quantization_scheme S>
inline constexpr auto search_shares = [] {
    if constexpr (!has_short_groups<S> && S::bits <= 3) {
        return std::array<float, 10>{1.0f,  0.92f, 0.85f, 0.78f, 0.71f,
                                     0.64f, 0.57f, 0.5f,  0.43f, 0.36f};
    } else if constexpr (!has_short_groups<S>) {
        return std::array<float, 6>{1.0f, 0.93f, 0.86f, 0.79f, 0.72f, 0.65f};
    } else if constexpr (S::bits <= 2) {
        return std::array<float, 6>{0.94f, 0.82f, 0.7f, 0.57f, 0.45f, 0.36f};
    } else if constexpr (S::bits == 3) {
        return std::array<float, 6>{1.0f, 0.94f, 0.85f, 0.77f, 0.7f, 0.62f};
    } else if constexpr (S::bits == 4) {
        return std::array<float, 6>{1.08f, 1.04f, 0.98f, 0.95f, 0.92f, 0.88f};
    } else {
        return std::array<float, 6>{1.1f, 1.06f, 1.03f, 1.015f, 1.0f, 0.985f};
    }
}();

/// Whether groups may have more columns than a tile has lanes for.
template <quantization_scheme S>
inline constexpr bool has_long_groups =
    S::group_rows != 1 || S::group_cols == all || S::group_cols > longest_lane_group;

/// For long groups, shares that shrink by equal factors, to 0.04.
inline constexpr int long_group_shares = 24;

/// Scales next to a wanted one that can be stored: of types of a byte, the neighbours as well.
template <quantization_scheme S, class F>
QUANT_DETAIL_INLINE void for_each_stored_scale(const simd::f32x16& wanted, F&& f) noexcept {
    using scale_type = typename S::scale_type;
    f(storable_step<S>(wanted));
    if constexpr (std::is_same_v<scale_type, e8m0>) {
        f(storable_step<S>(wanted * simd::broadcast(2.0f)));
        f(storable_step<S>(wanted * simd::broadcast(0.5f)));
    } else if constexpr (sizeof(scale_type) == 1) {
        f(storable_step<S>(wanted * simd::broadcast(1.09f)));
        f(storable_step<S>(wanted * simd::broadcast(0.92f)));
    }
}

QUANT_DETAIL_INLINE simd::f32x16 minus(const simd::f32x16& a) noexcept {
    return simd::broadcast(0.0f) - a;
}

/// 0, or NaN where levels reach infinity; weights of importance 0 may have them, whose errors do
/// not tell.
QUANT_DETAIL_INLINE simd::f32x16 if_infinite(const simd::f32x16& farthest_level) noexcept {
    return farthest_level * simd::broadcast(0.0f);
}

/// One number per group: symmetric, midrise, codebooks, minifloats; and zero points, whose steps
/// are counted from them.
template <quantization_scheme S>
void search_scales(const search_tile& tile, stored_groups<S>& stored) noexcept {
    const simd::f32x16 &lowest = tile.extents.lowest, &highest = tile.extents.highest;
    const auto zero = simd::broadcast(0.0f);
    const auto infinity = simd::broadcast(std::numeric_limits<float>::infinity());
    auto bounds = bounds_of<S>();
    simd::f32x16 found = stored.scale;
    simd::i32x16 found_point = stored.zero_point;
    keep_better by_gain{zero};

    // Improves a first guess by least squares, once more if that pays.
    const auto improve = [&](const simd::f32x16& guess, const simd::i32x16& point) {
        const step_sums sums = sum_steps<S, 0>(tile, guess, bounds);
        by_gain.offer(sums.gain(), found, sums.best_scale(), found_point, point);
    };
    const auto try_long = [&](const simd::f32x16& from, const simd::i32x16& point) {
        simd::f32x16 guesses[long_group_shares];
        float share = 1;
        for (auto& guess : guesses) {
            guess = from * simd::broadcast(share);
            share *= 0.87f;
        }
        if constexpr (S::has_integer_steps && has_long_groups<S>) {
            if (tile.pairs != nullptr) {
                step_sums sums[long_group_shares];
                sum_many_fixed_steps<S, 0>(tile, guesses, bounds, sums);
                for (const step_sums& one : sums) {
                    by_gain.offer(one.gain(), found, one.best_scale(), found_point, point);
                }
                return;
            }
        }
        for (const auto& guess : guesses) improve(guess, point);
    };
    const auto try_all = [&](const simd::f32x16& from, const simd::i32x16& point) {
        if (tile.one_group) { // the longer a group, the farther out its extreme
            try_long(from, point);
        } else {
            for (const float share : search_shares<S>) {
                improve(from * simd::broadcast(share), point);
            }
        }
    };
    if constexpr (S::has_zero_point) {
        // The min-max rule's, for the weights that count.
        const auto last = simd::broadcast<std::int32_t>(S::max_code);
        const auto below = zero - simd::min(lowest, zero);
        const auto from = (simd::max(highest, zero) + below) / simd::to_float(last);
        const auto middle =
            simd::nearest(simd::min(below * inverse_of(from), simd::to_float(last)));
        for (int d = -1; d <= 1; ++d) {
            const auto point = simd::min(simd::max(middle + simd::broadcast<std::int32_t>(d),
                                                   simd::broadcast<std::int32_t>(0)),
                                         last);
            bounds = {zero - simd::to_float(point), simd::to_float(last - point)};
            try_all(from, point);
        }
        bounds = {zero - simd::to_float(found_point),
                  simd::broadcast(static_cast<float>(S::max_code)) - simd::to_float(found_point)};
    } else {
        const auto upright = scale_to_reach(lowest, highest, S::least_step, S::greatest_step);
        try_all(upright, found_point);
        if constexpr (has_signed_scales<typename S::scale_policy> &&
                      -S::least_step != S::greatest_step) {
            const auto mirrored =
                scale_to_reach(minus(highest), minus(lowest), S::least_step, S::greatest_step);
            try_all(minus(mirrored), found_point);
        }
    }
    for (int left = tile.one_group ? 4 : 1; left > 0; --left) improve(found, found_point);

    // What counts is the error of what is stored; the min-max rule's is the one to beat.
    const auto error_of = [&](const simd::f32x16& scale) {
        const auto farthest = simd::max(minus(bounds.least), bounds.greatest);
        return minus(sum_step_errors<S>(tile, scale, bounds)) +
               if_infinite(simd::rounded_product(scale, farthest));
    };
    keep_better by_error{minus(infinity)};
    const simd::i32x16 min_max_point = stored.zero_point;
    const simd::f32x16 min_max_scale = stored.scale;
    const level_bounds found_bounds = bounds;
    if constexpr (S::has_zero_point) {
        bounds = {zero - simd::to_float(min_max_point),
                  simd::broadcast(static_cast<float>(S::max_code)) - simd::to_float(min_max_point)};
    }
    by_error.offer(error_of(min_max_scale), stored.scale, min_max_scale, stored.zero_point,
                   min_max_point);
    bounds = found_bounds;
    for_each_stored_scale<S>(found, [&](const simd::f32x16& scale) {
        by_error.offer(error_of(scale), stored.scale, scale, stored.zero_point, found_point);
    });
}

/// What is cut off the range at either end, in steps. With many levels, their phase decides more
/// than how far they reach. Found one by one, each the best addition to those before it, over
/// normal and Student-t(4) numbers in groups of 32; long groups need coarser ones.
template <quantization_scheme S>
inline constexpr auto search_cuts = [] {
    if constexpr (!has_short_groups<S>) {
        constexpr auto steps = static_cast<float>(S::max_code);
        return std::array<std::array<float, 2>, 7>{{{0.05f * steps, 0.05f * steps},
                                                    {0.1f * steps, 0.1f * steps},
                                                    {0.16f * steps, 0.16f * steps},
                                                    {0.0f, 0.1f * steps},
                                                    {0.1f * steps, 0.0f},
                                                    {0.0f, 0.2f * steps},
                                                    {0.2f * steps, 0.0f}}};
    } else if constexpr (S::bits <= 2) {
        return std::array<std::array<float, 2>, 12>{{{0.4f, 0.4f},
                                                     {0.2f, 0.6f},
                                                     {0.6f, 0.2f},
                                                     {0.3f, 0.3f},
                                                     {0.1f, 0.5f},
                                                     {0.5f, 0.1f},
                                                     {0.0f, 0.1f},
                                                     {0.3f, -0.15f},
                                                     {-0.15f, 0.4f},
                                                     {0.5f, 0.3f},
                                                     {0.3f, 0.5f},
                                                     {0.2f, 0.2f}}};
    } else if constexpr (S::bits == 3) {
        return std::array<std::array<float, 2>, 12>{{{0.3f, 0.3f},
                                                     {0.0f, 0.6f},
                                                     {0.45f, 0.0f},
                                                     {0.15f, 0.45f},
                                                     {0.6f, -0.15f},
                                                     {0.15f, 0.0f},
                                                     {-0.15f, 0.3f},
                                                     {0.6f, 0.3f},
                                                     {0.0f, 0.15f},
                                                     {0.45f, 0.6f},
                                                     {0.3f, 0.0f},
                                                     {-0.3f, 0.45f}}};
    } else {
        return std::array<std::array<float, 2>, 16>{{{0.25f, 0.25f},
                                                     {-0.25f, 0.5f},
                                                     {0.5f, 0.0f},
                                                     {0.0f, 0.25f},
                                                     {0.25f, 0.0f},
                                                     {0.5f, -0.25f},
                                                     {0.0f, 0.5f},
                                                     {0.5f, -0.5f},
                                                     {-0.25f, 0.25f},
                                                     {0.25f, -0.25f},
                                                     {-0.25f, 0.0f},
                                                     {0.0f, -0.25f},
                                                     {0.5f, 0.25f},
                                                     {0.25f, 0.5f},
                                                     {-0.5f, 0.25f},
                                                     {0.75f, 0.0f}}};
    }
}();

/// Scale and minimum of a line through the weights; round(s, m) makes numbers that can be stored.
template <quantization_scheme S, class Round>
void search_lines(const search_tile& tile, simd::f32x16& scale, simd::f32x16& minimum,
                  Round round) noexcept {
    const simd::f32x16 &lowest = tile.extents.lowest, &highest = tile.extents.highest;
    const auto infinity = simd::broadcast(std::numeric_limits<float>::infinity());
    // Least squares improves the line that made the codes; what it gains tells which is the best.
    auto found_scale = scale, found_minimum = minimum;
    keep_better by_gain{minus(infinity)};
    const auto improve = [&](simd::f32x16 s, simd::f32x16 m) {
        const auto sums = sum_line<S>(tile, s, m);
        sums.solve(s, m, round);
        by_gain.offer(sums.gain(s, m, lowest), found_scale, s, found_minimum, m);
    };
    const auto step = (highest - lowest) / simd::broadcast(static_cast<float>(S::max_code));
    const auto try_cut = [&](float below, float above) {
        constexpr auto steps = static_cast<float>(S::max_code);
        improve(step * simd::broadcast(1 - (below + above) / steps),
                lowest + simd::rounded_product(step, simd::broadcast(below)));
    };
    improve(scale, minimum);
    for (const auto& cut : search_cuts<S>) try_cut(cut[0], cut[1]);
    if (tile.one_group) { // the longer a group, the farther out its ends
        constexpr float share = 0.03f * static_cast<float>(S::max_code);
        float cut = 4 * share;
        for (int i = 4; i < 16; ++i, cut += share) try_cut(cut, cut);
    }
    for (int left = tile.one_group ? 8 : 1; left > 0; --left) improve(found_scale, found_minimum);

    // What counts is the error of what is stored; the min-max rule's is the one to beat.
    keep_better by_error{minus(infinity)};
    const auto steps = simd::broadcast(static_cast<float>(S::max_code));
    const auto offer = [&](simd::f32x16 s, simd::f32x16 m) {
        round(s, m);
        const auto last = simd::rounded_product(s, steps) + m;
        by_error.offer(minus(sum_line_errors<S>(tile, s, m)) + if_infinite(last), scale, s, minimum,
                       m);
    };
    offer(scale, minimum);
    offer(found_scale, found_minimum);
}

/// Improves the min-max rule's numbers of the groups of a tile, unless squares of their weights
/// would overflow or vanish.
template <quantization_scheme S>
void search_groups(const search_tile& tile, stored_groups<S>& stored) noexcept {
    const stored_groups<S> min_max = stored;
    const auto magnitude =
        simd::max(simd::abs(tile.extents.lowest), simd::abs(tile.extents.highest));
    if constexpr (S::has_minimum) {
        search_lines<S>(tile, stored.scale, stored.minimum,
                        [](simd::f32x16& s, simd::f32x16& m) QUANT_DETAIL_LAMBDA {
                            using number = typename S::scale_type;
                            s = storable_step<S>(s);
                            m = simd::rounded_to<number>(m) + simd::broadcast(0.0f);
                        });
    } else {
        search_scales<S>(tile, stored);
    }
    const auto choose = [&](const simd::f32x16& found, const simd::f32x16& kept) {
        return simd::select_greater(
            magnitude, simd::broadcast(0x1p40f), kept,
            simd::select_greater(simd::broadcast(0x1p-40f), magnitude, kept, found));
    };
    stored.scale = choose(stored.scale, min_max.scale);
    if constexpr (S::has_minimum) stored.minimum = choose(stored.minimum, min_max.minimum);
    if constexpr (S::has_zero_point) {
        stored.zero_point = simd::float_to_bits(choose(simd::bits_to_float(stored.zero_point),
                                                       simd::bits_to_float(min_max.zero_point)));
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
