// What a search for good scales is made of: weights laid out for sixteen groups at once, and passes
// over them that quantize with given scales and sum up what comes out.
//
// Every sum goes over a group's columns in order, one lane per group; long groups are cut into
// sixteen lanes, column by column, whose sums are added 8, 4, 2 and 1 lanes apart. No product is
// fused with an addition, so the choice is the same on every instruction set.
#pragma once

#include <quant/quantize/batch.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Groups of more columns are long ones.
inline constexpr std::size_t longest_lane_group = 256;

/// Least and greatest weight that counts, per group; zeros where none does.
struct tile_extents {
    simd::f32x16 lowest, highest;
};

/// Weights and their importances by lines of sixteen lanes; importance 0 where there is no weight.
struct search_tile {
    const float* weights = nullptr;
    const float* importance = nullptr; ///< null where all weights count alike
    std::size_t lines = 0;
    bool one_group = false; ///< all lanes are columns of one long group

    [[nodiscard]] QUANT_DETAIL_INLINE simd::f32x16 weight(std::size_t line) const noexcept {
        return simd::load<float>(weights + 16 * line);
    }
    [[nodiscard]] QUANT_DETAIL_INLINE simd::f32x16 factor(std::size_t line) const noexcept {
        if (importance == nullptr) return simd::broadcast(1.0f);
        return simd::load<float>(importance + 16 * line);
    }

    /// Adds up what the lanes of one group have.
    void combine(simd::f32x16& sum) const noexcept {
        if (one_group) sum = simd::broadcast(simd::sum_of_lanes(sum));
    }

    [[nodiscard]] tile_extents extents() const noexcept {
        const auto zero = simd::broadcast(0.0f);
        const auto infinity = simd::broadcast(std::numeric_limits<float>::infinity());
        auto lowest = infinity, highest = zero - infinity;
        for (std::size_t i = 0; i < lines; ++i) {
            const auto w = weight(i), v = factor(i);
            lowest = simd::min(lowest, simd::select_greater(v, zero, w, lowest));
            highest = simd::max(highest, simd::select_greater(v, zero, w, highest));
        }
        if (one_group) {
            lowest = simd::broadcast(simd::reduce_min(lowest));
            highest = simd::broadcast(simd::reduce_max(highest));
        }
        // Groups in which nothing counts.
        lowest = simd::select_greater(lowest, highest, zero, lowest);
        highest = simd::select_greater(lowest, highest, zero, highest);
        return {lowest, highest};
    }
};

/// Powers of two that weights and importances are multiplied by, so that their squares and sums
/// neither overflow nor vanish.
struct tile_factors {
    float weight = 1.0f;
    float importance = 1.0f;
};

/// 1 for usual magnitudes, else the power of two that brings this one to 1 … 4.
[[nodiscard]] inline float normalizing_factor(float magnitude) noexcept {
    if (magnitude == 0 || (0x1p-30f <= magnitude && magnitude <= 0x1p30f)) return 1.0f;
    const std::uint32_t exponent = std::bit_cast<std::uint32_t>(magnitude) >> 23;
    return std::bit_cast<float>(std::clamp<std::uint32_t>(254 - exponent, 1, 253) << 23);
}
/// The factor of n importances, none of which is negative.
[[nodiscard]] inline float normalizing_factor(const float* importance, std::size_t n) noexcept {
    if (importance == nullptr) return 1.0f;
    return normalizing_factor(*std::max_element(importance, importance + n));
}

/// n numbers times a factor by lines: groups of `size` columns in lanes, or one long group column
/// by column.
inline void lay_out_numbers(const float* numbers, std::size_t n, std::size_t size, bool one_group,
                            float factor, float* lines) noexcept {
    if (one_group) {
        for (std::size_t c = 0; c < n; ++c) lines[c] = load_element(numbers + c) * factor;
        return;
    }
    std::size_t lane = 0;
    for (std::size_t c = 0; c < n; c += size, ++lane) {
        const std::size_t width = std::min(size, n - c);
        for (std::size_t i = 0; i < width; ++i) {
            lines[16 * i + lane] = load_element(numbers + c + i) * factor;
        }
    }
}

/// Lays out n weights of a row, of groups of `size` columns in lanes or of one group column by
/// column. `room` holds 2 · 16 · lines floats.
inline search_tile lay_out(const float* weights, const float* importance, std::size_t n,
                           std::size_t size, bool one_group, const tile_factors& by,
                           float* room) noexcept {
    search_tile tile;
    tile.one_group = one_group;
    tile.lines = tile.one_group ? div_ceil(n, std::size_t{16}) : std::min(size, n);
    const std::size_t whole = tile.one_group ? std::size_t{16} : tile.lines;
    const bool gaps = n % whole != 0; // lanes of a group that hold nothing
    if (gaps || (!tile.one_group && n < 16 * size)) std::fill_n(room, 16 * tile.lines, 0.0f);
    lay_out_numbers(weights, n, size, tile.one_group, by.weight, room);
    tile.weights = room;
    if (importance == nullptr && !gaps) return tile;
    float* factors = room + 16 * tile.lines;
    std::fill_n(factors, 16 * tile.lines, 0.0f);
    if (importance != nullptr) {
        lay_out_numbers(importance, n, size, tile.one_group, by.importance, factors);
    } else {
        for (std::size_t c = 0; c < n; ++c) {
            factors[tile.one_group ? c : c % size * 16 + c / size] = 1.0f;
        }
    }
    tile.importance = factors;
    return tile;
}

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
    simd::f32x16 vwq, vqq, error;

    /// The scale with the least error for these steps, and how much error it saves.
    [[nodiscard]] QUANT_DETAIL_INLINE simd::f32x16 best_scale() const noexcept {
        return vwq / simd::max(vqq, simd::broadcast(1e-37f));
    }
    [[nodiscard]] QUANT_DETAIL_INLINE simd::f32x16 gain() const noexcept {
        return vwq * best_scale();
    }
};

/// One pass: steps of w / scale and their sums; with Error also Σ v·(w − scale·q)². Two functions
/// per scheme and table, since compilers take long over them and callers are many.
template <quantization_scheme S, int Table, bool Error, bool Weighted>
QUANT_DETAIL_INLINE step_sums sum_steps_of(const search_tile& tile, const simd::f32x16& scale,
                                           const level_bounds& bounds) noexcept {
    const auto inverse = inverse_of(scale);
    const auto zero = simd::broadcast(0.0f);
    step_sums sums{zero, zero, zero};
    for (std::size_t i = 0; i < tile.lines; ++i) {
        const auto w = tile.weight(i);
        const auto q = nearest_step<S, Table>(w * inverse, bounds);
        auto vq = q;
        if constexpr (Weighted) vq = q * simd::load<float>(tile.importance + 16 * i);
        sums.vwq = sums.vwq + simd::rounded_product(vq, w);
        sums.vqq = sums.vqq + simd::rounded_product(vq, q);
        if constexpr (Error) {
            const auto r = w - simd::rounded_product(scale, q);
            auto vr = r;
            if constexpr (Weighted) vr = r * simd::load<float>(tile.importance + 16 * i);
            sums.error = sums.error + simd::rounded_product(vr, r);
        }
    }
    tile.combine(sums.vwq);
    tile.combine(sums.vqq);
    if constexpr (Error) tile.combine(sums.error);
    return sums;
}
template <quantization_scheme S, int Table, bool Error>
QUANT_DETAIL_OUTLINE step_sums sum_steps(const search_tile& tile, const simd::f32x16& scale,
                                         const level_bounds& bounds) noexcept {
    if (tile.importance != nullptr) {
        return sum_steps_of<S, Table, Error, true>(tile, scale, bounds);
    }
    return sum_steps_of<S, Table, Error, false>(tile, scale, bounds);
}

/// Keeps the better of two, lane by lane.
struct keep_better {
    simd::f32x16 score; ///< greater is better

    template <class... Values>
    QUANT_DETAIL_INLINE void offer(const simd::f32x16& with,
                                   Values&&... kept_and_offered) noexcept {
        take(with, kept_and_offered...);
        score = simd::select_greater(with, score, with, score);
    }

private:
    template <class T, class... More>
    QUANT_DETAIL_INLINE void take(const simd::f32x16& with, T& kept, const T& offered,
                                  More&&... more) noexcept {
        if constexpr (std::is_same_v<T, simd::i32x16>) {
            kept = simd::float_to_bits(simd::select_greater(
                with, score, simd::bits_to_float(offered), simd::bits_to_float(kept)));
        } else {
            kept = simd::select_greater(with, score, offered, kept);
        }
        if constexpr (sizeof...(More) > 0) take(with, more...);
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
