// What a search for good scales looks at: weights laid out for sixteen groups at once.
//
// Every sum goes over a group's columns in order, one lane per group; long groups are cut into
// sixteen lanes, column by column, whose sums are added 8, 4, 2 and 1 lanes apart. No product is
// fused with an addition, so the choice is the same on every instruction set.
#pragma once

#include <quant/core/bit_cast.hpp>
#include <quant/quantize/batch.hpp>
#include <quant/simd/halves.hpp>
#include <quant/simd/tile.hpp>

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
    tile_extents extents;

    /// (w − origin) / unit as integers of up to 14 bits and a sign, two lines of them as halves of
    /// one; null where weights count differently or lines are odd. Good enough to choose codes by
    /// and to fit scales to, and soon done (quantize/step_sums.hpp).
    const std::byte* pairs = nullptr;
    simd::f32x16 origin, unit;
    simd::f32x16 total; ///< Σ (w − origin)

    [[nodiscard]] QUANT_DETAIL_INLINE simd::f32x16 weight(std::size_t line) const noexcept {
        return simd::load<float>(weights + 16 * line);
    }
    [[nodiscard]] QUANT_DETAIL_INLINE simd::f32x16 factor(std::size_t line) const noexcept {
        if (importance == nullptr) return simd::broadcast(1.0f);
        return simd::load<float>(importance + 16 * line);
    }
    /// Two lines of integers.
    [[nodiscard]] QUANT_DETAIL_INLINE simd::i32x16 pair(std::size_t line_pair) const noexcept {
        return simd::load<std::int32_t>(pairs + 64 * line_pair);
    }

    /// Adds up what the lanes of one group have.
    QUANT_DETAIL_INLINE void combine(simd::f32x16& sum) const noexcept {
        if (one_group) sum = simd::broadcast(simd::sum_of_lanes(sum));
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
    const std::uint32_t exponent = core_detail::bit_cast<std::uint32_t>(magnitude) >> 23;
    return core_detail::bit_cast<float>(std::clamp<std::uint32_t>(254 - exponent, 1, 253) << 23);
}
/// The factor of n importances, none of which is negative.
[[nodiscard]] inline float normalizing_factor(const float* importance, std::size_t n) noexcept {
    if (importance == nullptr) return 1.0f;
    return normalizing_factor(*std::max_element(importance, importance + n));
}

/// Eight or sixteen whole groups of `size` columns, a multiple of 8, by lines.
inline void transpose_groups(const float* numbers, std::size_t groups, std::size_t size,
                             float factor, float* lines) noexcept {
    const auto by = simd::broadcast(factor);
    const std::size_t stride = size * sizeof(float);
    for (std::size_t c = 0; c < size; c += 8) {
        const auto* from = reinterpret_cast<const std::byte*>(numbers + c);
        const auto tile =
            groups == 16 ? simd::load_quads<16>(from, stride) : simd::load_quads<8>(from, stride);
        unroll<8>([&](auto s) QUANT_DETAIL_LAMBDA {
            simd::store(lines + 16 * (c + s), simd::bits_to_float(tile.quads[s]) * by);
        });
    }
}

/// n numbers times a factor by lines: groups of `size` columns in lanes, or one long group column
/// by column.
inline void lay_out_numbers(const float* numbers, std::size_t n, std::size_t size, bool one_group,
                            float factor, float* lines) noexcept {
    if (one_group) {
        std::size_t c = 0;
        for (; c + 16 <= n; c += 16) {
            simd::store(lines + c, simd::load<float>(numbers + c) * simd::broadcast(factor));
        }
        for (; c < n; ++c) lines[c] = load_element(numbers + c) * factor;
        return;
    }
    if (std::endian::native == std::endian::little && size % 8 == 0 &&
        (n == 16 * size || n == 8 * size)) {
        transpose_groups(numbers, n / size, size, factor, lines);
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

/// What lies between the weights that count.
[[nodiscard]] inline tile_extents extents_of(const search_tile& tile) noexcept {
    const auto zero = simd::broadcast(0.0f);
    const auto infinity = simd::broadcast(std::numeric_limits<float>::infinity());
    auto lowest = infinity, highest = zero - infinity;
    for (std::size_t i = 0; i < tile.lines; ++i) {
        const auto w = tile.weight(i), v = tile.factor(i);
        lowest = simd::min(lowest, simd::select_greater(v, zero, w, lowest));
        highest = simd::max(highest, simd::select_greater(v, zero, w, highest));
    }
    if (tile.one_group) {
        lowest = simd::broadcast(simd::reduce_min(lowest));
        highest = simd::broadcast(simd::reduce_max(highest));
    }
    // Groups in which nothing counts.
    lowest = simd::select_greater(lowest, highest, zero, lowest);
    highest = simd::select_greater(lowest, highest, zero, highest);
    return {lowest, highest};
}

/// What a search needs integers for.
enum class tile_integers {
    none,
    of_steps,       ///< multiples of a scale: from zero on, to either side, in 14 bits
    of_lines,       ///< from the least weight on, in 13 bits, so that a minimum may lie below
    of_lines_below, ///< the same where minimums are not positive
};

/// Makes tile.pairs, in 64 bytes of room per two lines.
inline void make_integers(search_tile& tile, tile_integers what, std::byte* room) noexcept {
    const auto zero = simd::broadcast(0.0f), least = simd::broadcast(0x1p-100f);
    const auto &lowest = tile.extents.lowest, &highest = tile.extents.highest;
    if (what == tile_integers::of_steps) {
        const auto magnitude = simd::max(simd::abs(lowest), simd::abs(highest));
        tile.origin = zero;
        tile.unit = simd::max(magnitude, least) * simd::broadcast(0x1p-14f);
    } else {
        tile.origin = what == tile_integers::of_lines ? lowest : simd::min(lowest, zero);
        tile.unit = simd::max(highest - tile.origin, least) * simd::broadcast(0x1p-13f);
    }
    const auto inverse = simd::broadcast(1.0f) / tile.unit;
    auto total = zero;
    for (std::size_t i = 0; i < tile.lines; i += 2) {
        const auto a = tile.weight(i) - tile.origin, b = tile.weight(i + 1) - tile.origin;
        simd::store(room + 32 * i,
                    simd::pair_up(simd::nearest(a * inverse), simd::nearest(b * inverse)));
        total = total + a + b;
    }
    tile.combine(total);
    tile.total = total;
    tile.pairs = room;
}

/// Lays out n weights of a row, of groups of `size` columns in lanes or of one group column by
/// column; as integers, too, unless that cannot be. `room` holds 2 · 16 · lines floats.
inline search_tile lay_out(const float* weights, const float* importance, std::size_t n,
                           std::size_t size, bool one_group, const tile_factors& by,
                           tile_integers integers, float* room) noexcept {
    search_tile tile;
    tile.one_group = one_group;
    tile.lines = tile.one_group ? div_ceil(n, std::size_t{16}) : std::min(size, n);
    const std::size_t whole = tile.one_group ? std::size_t{16} : tile.lines;
    const bool gaps = n % whole != 0; // lanes of a group that hold nothing
    if (gaps || (!tile.one_group && n < 16 * size)) std::fill_n(room, 16 * tile.lines, 0.0f);
    lay_out_numbers(weights, n, size, tile.one_group, by.weight, room);
    tile.weights = room;
    float* const beside = room + 16 * tile.lines;
    if (importance != nullptr || gaps) {
        std::fill_n(beside, 16 * tile.lines, 0.0f);
        if (importance != nullptr) {
            lay_out_numbers(importance, n, size, tile.one_group, by.importance, beside);
        } else {
            for (std::size_t c = 0; c < n; ++c) {
                beside[tile.one_group ? c : c % size * 16 + c / size] = 1.0f;
            }
        }
        tile.importance = beside;
    }
    tile.extents = extents_of(tile);
    if (integers != tile_integers::none && tile.importance == nullptr && tile.lines % 2 == 0) {
        make_integers(tile, integers, reinterpret_cast<std::byte*>(beside));
    }
    return tile;
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
