// Groups of weights that share a scale, sixteen at a time: ranges, grids, codes and back.
//
// reference/quantize.hpp defines the same in scalar code; the bytes are equal on every instruction
// set. Products never feed an addition here, so there is nothing that a compiler could fuse.
#pragma once

#include <quant/core/matrix_view.hpp>
#include <quant/policy/scheme.hpp>
#include <quant/quantize/levels.hpp>
#include <quant/quantize/quantized_matrix.hpp>
#include <quant/simd/convert.hpp>
#include <quant/simd/range.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace quant::inline QUANT_ABI {
namespace detail {

/// What the min-max rule asks of sixteen groups, one in each lane.
struct group_extents {
    simd::f32x16 extreme; ///< symmetric, midrise: the weight of largest magnitude, if two the
                          ///< negative one
    simd::f32x16 lowest;  ///< the other mappings
    simd::f32x16 highest;
    bool finite = true; ///< no weight is NaN or infinite; may be false without a reason

    /// One group in all lanes.
    [[nodiscard]] static group_extents of(const group_range& range) noexcept {
        group_extents extents;
        extents.extreme =
            simd::broadcast(range.highest > -range.lowest ? range.highest : range.lowest);
        extents.lowest = simd::broadcast(range.lowest);
        extents.highest = simd::broadcast(range.highest);
        extents.finite = range.finite;
        return extents;
    }
};

/// Whether levels reach equally far below and above zero, as far as ranges are concerned: the
/// scale's sign turns the farther side to where it is wanted.
template <quantization_scheme S>
inline constexpr bool turns_to_extreme =
    std::is_same_v<typename S::mapping_type, symmetric> &&
    (has_signed_scales<typename S::scale_type> || -S::least_step == S::greatest_step);
/// Whether a mapping needs the extreme alone.
template <quantization_scheme S>
inline constexpr bool needs_extreme =
    turns_to_extreme<S> || std::is_same_v<typename S::mapping_type, midrise>;

/// Scales as numbers of their type hold step sizes divided by the scheme's unit, a power of two.
template <quantization_scheme S>
QUANT_DETAIL_INLINE simd::f32x16 times_unit(const simd::f32x16& scales) noexcept {
    if constexpr (S::unit == 1.0f) return scales;
    return scales * simd::broadcast(S::unit);
}
template <quantization_scheme S>
QUANT_DETAIL_INLINE simd::f32x16 by_unit(const simd::f32x16& step_sizes) noexcept {
    if constexpr (S::unit == 1.0f) return step_sizes;
    return step_sizes * simd::broadcast(1.0f / S::unit);
}

/// What sixteen groups store, as floats, one in each lane.
template <quantization_scheme S>
struct stored_groups {
    simd::f32x16 scale; ///< what steps are multiplied by: the scale as stored, times the unit
    simd::f32x16 minimum;
    simd::i32x16 zero_point;
    bool fit = true; ///< scales and minimums fit their types, levels are finite

    /// Of n ≤ 16 groups side by side; the other lanes have zeros.
    [[nodiscard]] QUANT_DETAIL_INLINE static stored_groups
    load(const typename S::scale_type* scales, const typename S::offset_type* offsets,
         std::size_t n) noexcept {
        stored_groups stored;
        stored.scale = times_unit<S>(load_numbers(scales, n));
        if constexpr (S::has_minimum) stored.minimum = load_numbers(offsets, n);
        if constexpr (S::has_zero_point) {
            std::uint8_t bytes[16] = {};
            std::memcpy(bytes, offsets, n);
            stored.zero_point = simd::load_u8(bytes);
        }
        return stored;
    }

    /// Of n ≤ 16 groups of a row, from group g on; `zero_point` is the table with two tables.
    [[nodiscard]] QUANT_DETAIL_INLINE static stored_groups
    load(const row_numbers<S, false>& row, std::size_t g, std::size_t n) noexcept {
        if constexpr (!S::is_two_level) {
            return load(row.scales + g, S::has_offset ? row.offsets + g : nullptr, n);
        } else {
            float super[16] = {}, super_minimum[16] = {};
            std::int32_t value[16] = {}, minimum[16] = {}, table[16] = {};
            for (std::size_t i = 0; i < n; ++i) {
                const std::size_t at = (g + i) / S::super_groups;
                super[i] = static_cast<float>(row.supers[at]);
                value[i] = S::scale_value(row.scales[g + i]);
                table[i] = S::scale_table(row.scales[g + i]);
                if constexpr (S::has_minimum) {
                    super_minimum[i] = static_cast<float>(row.super_minimums[at]);
                    minimum[i] = row.offsets[g + i];
                }
            }
            const auto product = [](const float* a, const std::int32_t* b) QUANT_DETAIL_LAMBDA {
                return simd::rounded_product(simd::load<float>(a),
                                             simd::to_float(simd::load<std::int32_t>(b)));
            };
            stored_groups stored;
            stored.scale = times_unit<S>(product(super, value));
            if constexpr (S::has_minimum) stored.minimum = product(super_minimum, minimum);
            if constexpr (S::tables == 2) stored.zero_point = simd::load<std::int32_t>(table);
            return stored;
        }
    }

    /// To n ≤ 16 groups side by side.
    QUANT_DETAIL_INLINE void store(typename S::scale_type* scales, typename S::offset_type* offsets,
                                   std::size_t n) const noexcept {
        simd::store_from_float<typename S::scale_type>(scales, by_unit<S>(scale), n);
        if constexpr (S::has_minimum) {
            simd::store_from_float<typename S::scale_type>(offsets, minimum, n);
        }
        if constexpr (S::has_zero_point) {
            std::uint8_t bytes[16];
            simd::store_u8(bytes, zero_point);
            std::memcpy(offsets, bytes, n);
        }
    }

private:
    template <class T>
    QUANT_DETAIL_INLINE static simd::f32x16 load_numbers(const T* from, std::size_t n) noexcept {
        if (n == 16) return simd::load_as_float<T>(from);
        T numbers[16] = {};
        std::memcpy(static_cast<void*>(numbers), static_cast<const void*>(from), n * sizeof(T));
        return simd::load_as_float<T>(numbers);
    }
};

/// if_true where |a| < 2^-126, else if_false.
QUANT_DETAIL_INLINE simd::f32x16 select_tiny(const simd::f32x16& a, const simd::f32x16& if_true,
                                             const simd::f32x16& if_false) noexcept {
    return simd::bits_to_float(simd::select_greater(
        simd::broadcast<std::int32_t>(0x00800000), simd::float_to_bits(simd::abs(a)),
        simd::float_to_bits(if_true), simd::float_to_bits(if_false)));
}

/// 1 / scale, or 0 for a zero scale.
QUANT_DETAIL_INLINE simd::f32x16 inverse_of(const simd::f32x16& scale) noexcept {
    const auto zero = simd::broadcast(0.0f), one = simd::broadcast(1.0f);
    return select_tiny(scale, zero, one / select_tiny(scale, one, scale));
}

/// The scale with which levels from `least` ≤ 0 to `greatest` > 0 just reach from `lowest` to
/// `highest`. Levels that begin at zero reach nothing below, whatever the scale.
QUANT_DETAIL_INLINE simd::f32x16 scale_to_reach(const simd::f32x16& lowest,
                                                const simd::f32x16& highest, float least,
                                                float greatest) noexcept {
    const auto above = highest / simd::broadcast(greatest);
    if (least == 0) return simd::max(above, simd::broadcast(0.0f));
    return simd::max(above, lowest / simd::broadcast(least));
}

/// Scales before they are stored: the min-max rule of each mapping.
template <quantization_scheme S>
QUANT_DETAIL_INLINE simd::f32x16 min_max_scale(const group_extents& extents) noexcept {
    using mapping = typename S::mapping_type;
    const auto n = simd::broadcast(static_cast<float>(S::max_code));
    const auto zero = simd::broadcast(0.0f);
    if constexpr (std::is_same_v<mapping, symmetric> && !needs_extreme<S>) {
        return scale_to_reach(extents.lowest, extents.highest, S::least_step, S::greatest_step) +
               zero; // never −0
    } else if constexpr (std::is_same_v<mapping, symmetric> && -S::least_step == S::greatest_step) {
        return simd::abs(extents.extreme) / simd::broadcast(S::greatest_step);
    } else if constexpr (std::is_same_v<mapping, symmetric> && S::is_linear) {
        // The weight of largest magnitude sits on the farthest level, −2^(B−1); the scale takes
        // its sign. Uses all levels: 5 to 10 % less error at 4 bits than a positive scale.
        // A product by a power of two rounds as the quotient does.
        return extents.extreme * simd::broadcast(1.0f / S::least_step);
    } else if constexpr (std::is_same_v<mapping, symmetric>) {
        constexpr bool below = -S::least_step > S::greatest_step;
        return extents.extreme / simd::broadcast(below ? S::least_step : S::greatest_step);
    } else if constexpr (std::is_same_v<mapping, midrise>) {
        return simd::abs(extents.extreme) / n;
    } else if constexpr (std::is_same_v<mapping, asymmetric>) {
        // The levels include zero, so that it stays exact.
        return simd::max(extents.highest, zero) / n - simd::min(extents.lowest, zero) / n;
    } else {
        return extents.highest / n - extents.lowest / n; // the difference itself may overflow
    }
}

/// The scale that is stored for a wanted one: the nearest number of its type; of powers of two,
/// which lie so far apart that the nearest would cut off weights, the next greater one.
template <class Scale>
QUANT_DETAIL_INLINE simd::f32x16 scale_to_store(const simd::f32x16& wanted) noexcept {
    const auto nearest = simd::rounded_to<Scale>(wanted);
    if constexpr (!std::is_same_v<Scale, e8m0>) return nearest;
    return simd::select_greater(wanted, nearest, nearest + nearest, nearest);
}

/// The nearest step size that can be stored; one below 2^-126, whose reciprocal would overflow, is
/// zero.
template <quantization_scheme S>
QUANT_DETAIL_INLINE simd::f32x16 storable_step(const simd::f32x16& wanted) noexcept {
    using scale_type = typename S::scale_type;
    const auto step = times_unit<S>(simd::rounded_to<scale_type>(by_unit<S>(wanted)));
    return select_tiny(step, simd::broadcast(0.0f), step);
}

/// The largest magnitude that groups' levels reach, infinite or NaN if one of them is no float.
template <quantization_scheme S>
QUANT_DETAIL_INLINE simd::f32x16 farthest_levels(const stored_groups<S>& stored) noexcept {
    auto farthest = simd::broadcast(std::max(-S::least_step, S::greatest_step));
    if constexpr (S::has_zero_point) {
        farthest = simd::to_float(simd::max(
            stored.zero_point, simd::broadcast<std::int32_t>(S::max_code) - stored.zero_point));
    }
    const auto extent = simd::rounded_product(stored.scale, farthest);
    if constexpr (S::has_minimum) return extent + stored.minimum;
    return extent;
}

/// Scales and offsets that cover ranges, rounded to what is stored. Scales below 2^-126, whose
/// reciprocals would overflow, become zero.
template <quantization_scheme S>
QUANT_DETAIL_INLINE stored_groups<S> fit_min_max(const group_extents& extents) noexcept {
    using scale_type = typename S::scale_type;
    const auto zero = simd::broadcast(0.0f);
    stored_groups<S> stored;
    stored.scale = times_unit<S>(scale_to_store<scale_type>(by_unit<S>(min_max_scale<S>(extents))));
    stored.scale = select_tiny(stored.scale, zero, stored.scale);
    if constexpr (S::has_minimum) {
        stored.minimum = simd::rounded_to<scale_type>(extents.lowest) + zero; // never −0
        stored.fit = all_finite(stored.minimum);
    }
    if constexpr (S::has_zero_point) {
        const auto below = zero - simd::min(extents.lowest, zero);
        const auto last = simd::broadcast(static_cast<float>(S::max_code));
        stored.zero_point = simd::nearest(simd::min(below * inverse_of(stored.scale), last));
    }
    // Levels, too, must be finite, or weights near the largest float would come back infinite.
    stored.fit = stored.fit && all_finite(farthest_levels(stored));
    return stored;
}

/// Sixteen groups' numbers, to be broadcast one by one.
struct group_grids {
    alignas(64) float factor[16]; ///< the scale for decode, 1 / scale or 0 for encode
    alignas(64) float minimum[16];
    alignas(64) std::int32_t zero_point[16]; ///< or the table

    template <quantization_scheme S>
    QUANT_DETAIL_INLINE void set(const stored_groups<S>& stored,
                                 const simd::f32x16& factors) noexcept {
        simd::store(factor, factors);
        if constexpr (S::has_minimum) simd::store(minimum, stored.minimum);
        if constexpr (S::has_zero_point || S::tables == 2) {
            simd::store(zero_point, stored.zero_point);
        }
    }
};

/// What encode returns for code 0.
template <quantization_scheme S>
inline constexpr int first_level = S::is_linear && !S::has_offset ? -S::zero_code : 0;

/// Whether a table has a code that a zero scale's weights must not get though its level is the
/// nearest to zero: a negative one, which would make them −0.
template <quantization_scheme S>
inline constexpr bool zero_has_own_code = [] {
    if constexpr (S::levels != level_kind::table) {
        return false;
    } else {
        return S::zero_code > 0 && !(0 > S::step(S::zero_code - 1) + S::step(S::zero_code));
    }
}();

/// Group `first` in the lower eight lanes and the next one in the upper ones.
struct group_pair {
    std::size_t first;
};
/// Whether encode takes pairs: not where groups of different tables go different ways.
template <quantization_scheme S>
inline constexpr bool encodes_pairs =
    S::group_cols == 8 && (S::tables == 1 || !nearest_by_cells<S>);

/// number(g) in all lanes; for a pair, in the lanes of each group.
template <class Number>
QUANT_DETAIL_INLINE auto for_lanes_of(std::size_t g, Number number) noexcept {
    return simd::broadcast(number(g));
}
template <class Number>
QUANT_DETAIL_INLINE auto for_lanes_of(group_pair pair, Number number) noexcept {
    return simd::broadcast_two(number(pair.first), number(pair.first + 1));
}

/// Levels of sixteen weights on group g's grid, or on those of a pair; clamped to max_code + 1
/// levels from first_level on they are the codes, counted from there.
template <quantization_scheme S, class Place>
QUANT_DETAIL_INLINE simd::i32x16 encode(const simd::f32x16& weights, const group_grids& grids,
                                        Place g) noexcept {
    using mapping = typename S::mapping_type;
    const auto of = [g](const auto& numbers) QUANT_DETAIL_LAMBDA {
        return for_lanes_of(g, [&](std::size_t i) QUANT_DETAIL_LAMBDA { return numbers[i]; });
    };
    const auto inverse = of(grids.factor);
    if constexpr (!S::is_linear) {
        constexpr bool is_pair = std::is_same_v<Place, group_pair>;
        const auto zero_code = simd::broadcast<std::int32_t>(S::zero_code);
        if constexpr (zero_has_own_code<S> && !is_pair) {
            if (grids.factor[g] == 0) return zero_code;
        }
        if constexpr (S::tables == 2 && nearest_by_cells<S>) {
            if (grids.zero_point[g] != 0) return nearest_codes<S, 1>(weights * inverse);
        }
        simd::i32x16 codes;
        if constexpr (S::tables == 2 && !nearest_by_cells<S>) { // no branch: tables take turns
            codes = codes_between<S>(weights * inverse, [&](std::size_t u) QUANT_DETAIL_LAMBDA {
                return for_lanes_of(g, [&](std::size_t i) QUANT_DETAIL_LAMBDA {
                    return middles_of_both<S>[static_cast<std::size_t>(grids.zero_point[i])][u];
                });
            });
        } else {
            codes = nearest_codes<S>(weights * inverse);
        }
        if constexpr (zero_has_own_code<S> && is_pair) {
            const auto magnitude = simd::float_to_bits(simd::abs(inverse));
            codes =
                simd::select_greater(magnitude, simd::broadcast<std::int32_t>(0), codes, zero_code);
        }
        return codes;
    } else if constexpr (std::is_same_v<mapping, symmetric>) {
        return simd::nearest(weights * inverse);
    } else if constexpr (std::is_same_v<mapping, midrise>) {
        return simd::nearest(simd::floor(weights * inverse * simd::broadcast(0.5f)));
    } else if constexpr (std::is_same_v<mapping, asymmetric>) {
        return simd::nearest(weights * inverse) + of(grids.zero_point);
    } else {
        // The difference may overflow to infinity; clamped, it still means the last code.
        const auto steps = (weights - of(grids.minimum)) * inverse;
        return simd::nearest(simd::min(simd::max(steps, simd::broadcast(0.0f)),
                                       simd::broadcast(static_cast<float>(S::max_code))));
    }
}

/// Weights of sixteen codes on group g's grid: s·t, plus the minimum where there is one.
template <quantization_scheme S, class Grids>
QUANT_DETAIL_INLINE simd::f32x16 decode(const simd::i32x16& codes, const Grids& grids,
                                        std::size_t g) noexcept {
    const auto factor = simd::broadcast(grids.factor[g]);
    if constexpr (S::tables == 2) {
        const auto table = simd::broadcast<std::int32_t>(grids.zero_point[g] << S::bits);
        return simd::rounded_product(factor, steps_of<S>(codes | table));
    }
    if constexpr (!S::is_linear) return simd::rounded_product(factor, steps_of<S>(codes));
    auto shift = simd::broadcast<std::int32_t>(S::offset);
    if constexpr (S::has_zero_point) shift = simd::broadcast(grids.zero_point[g]);
    const auto level = (S::multiplier == 1 ? codes : codes + codes) - shift;
    const auto scaled = simd::rounded_product(factor, simd::to_float(level));
    if constexpr (S::has_minimum) return scaled + simd::broadcast(grids.minimum[g]);
    return scaled;
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
