// Ranges of groups by other rules than least and greatest weight: percentiles, entropy, and the
// half-quadratic refinement of offsets and scales.
#pragma once

#include <quant/calibrate/clipping.hpp>
#include <quant/calibrate/histogram_observer.hpp>
#include <quant/core/buffer.hpp>
#include <quant/quantize/optimal_line.hpp>
#include <quant/quantize/optimal_scale.hpp>
#include <quant/quantize/options.hpp>
#include <quant/quantize/search.hpp>
#include <quant/simd/doubles.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// A weight, or its magnitude, and how much it counts.
struct counted_weight {
    float value;
    float factor;
};

/// The least value up to which `share` of all that counts lies; `sorted` ascends.
[[nodiscard]] inline float quantile_of(const counted_weight* sorted, std::size_t n,
                                       double share) noexcept {
    double total = 0;
    for (std::size_t i = 0; i < n; ++i) total += static_cast<double>(sorted[i].factor);
    const double wanted = share * total;
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
        sum += static_cast<double>(sorted[i].factor);
        if (sum >= wanted && sorted[i].factor > 0) return sorted[i].value;
    }
    return n == 0 ? 0.0f : sorted[n - 1].value;
}

/// What estimators depend on of a scheme, but for those that are templates: all that are alike
/// share their code.
struct estimated_codes {
    bool has_offset, has_minimum;
    unsigned max_code;
};
template <quantization_scheme S>
inline constexpr estimated_codes estimated_codes_of{S::has_offset, S::has_minimum,
                                                    static_cast<unsigned>(S::max_code)};

/// The range that holds `percent` of a group's weights, by importance: of magnitudes if levels lie
/// around zero, else with as much cut off at either end. `room` holds n elements.
[[nodiscard]] inline value_range percentile_of(const float* weights, const float* importance,
                                               std::size_t n, const estimated_codes& codes,
                                               double percent, counted_weight* room) noexcept {
    for (std::size_t i = 0; i < n; ++i) {
        const float w = load_element(weights + i);
        room[i] = {codes.has_offset ? w : std::fabs(w),
                   importance == nullptr ? 1.0f : load_element(importance + i)};
    }
    std::sort(room, room + n,
              [](const counted_weight& a, const counted_weight& b) { return a.value < b.value; });
    const double share = percent / 100;
    if (codes.has_offset) {
        return {quantile_of(room, n, (1 - share) / 2), quantile_of(room, n, (1 + share) / 2)};
    }
    const float edge = quantile_of(room, n, share);
    return {0.0f - edge, edge};
}

/// A histogram's counts where each of its numbers counts by importance: in 4096ths of the largest,
/// one at least.
[[nodiscard]] inline result<buffer<std::uint64_t>>
counts_by_importance(const histogram_view& histogram, const float* numbers, const float* importance,
                     std::size_t n) noexcept {
    auto counts = buffer<std::uint64_t>::zeroed(histogram.counts.size(), "entropy");
    if (!counts) return counts.failure();
    const double parts =
        4096.0 / static_cast<double>(*std::max_element(importance, importance + n));
    for (std::size_t i = 0; i < n; ++i) {
        const double share = simd::rounded_product(static_cast<double>(importance[i]), parts);
        const double factor = std::floor(share + 0.5);
        const std::int64_t bin = bin_of(numbers[i], histogram.exponent) - histogram.first;
        counts->data()[bin] += std::max(static_cast<std::uint64_t>(factor), std::uint64_t{1});
    }
    return counts;
}

/// The range whose levels are, of all clipped ones, nearest in entropy (least Kullback–Leibler
/// divergence, see calibrate/clipping.hpp), by importance.
[[nodiscard]] inline result<value_range> entropy_of(const float* weights, const float* importance,
                                                    std::size_t n,
                                                    const estimated_codes& codes) noexcept {
    const auto symmetry = codes.has_offset ? range_symmetry::asymmetric : range_symmetry::symmetric;
    const unsigned levels = codes.max_code + 1;
    // Only weights that count; all of them where none does.
    buffer<float> counted;
    std::size_t counting = 0;
    if (importance != nullptr) {
        auto room = buffer<float>::uninitialized(2 * n, "entropy");
        if (!room) return room.failure();
        counted = std::move(*room);
        for (std::size_t i = 0; i < n; ++i) {
            const float factor = load_element(importance + i);
            if (factor == 0) continue;
            counted.data()[counting] = load_element(weights + i);
            counted.data()[n + counting] = factor;
            ++counting;
        }
    }
    const bool weighted = counting > 0;
    const matrix_view<const float> row{weighted ? counted.data() : weights, 1,
                                       weighted ? counting : n};
    auto observer = histogram_observer::try_per_tensor();
    if (!observer) return observer.failure();
    if (auto seen = observer->try_observe(row); !seen) return seen.failure();
    auto histogram = observer->try_histogram();
    if (!histogram) return histogram.failure();
    if (!weighted) return try_entropy_range(*histogram, levels, symmetry);
    const auto counts = counts_by_importance(*histogram, row.data(), counted.data() + n, counting);
    if (!counts) return counts.failure();
    histogram->counts = counts->span();
    return try_entropy_range(*histogram, levels, symmetry);
}

/// A group's extents within a range, in lane i of them all: the sign of the extreme stays.
inline void clip_extents(std::size_t i, const value_range& range, float (&extreme)[16],
                         float (&lowest)[16], float (&highest)[16]) noexcept {
    const float edge = range.max_abs();
    extreme[i] = std::clamp(extreme[i], 0.0f - edge, edge);
    lowest[i] = std::max(lowest[i], range.lowest);
    highest[i] = std::min(highest[i], range.highest);
}

/// Extents of the groups of n columns, as percentiles or entropy clip them.
[[nodiscard]] inline result<group_extents>
clipped_extents(const float* weights, const float* importance, std::size_t n, std::size_t size,
                const group_extents& extents, const estimated_codes& codes,
                const quantize_options& options, counted_weight* room) noexcept {
    alignas(64) float extreme[16], lowest[16], highest[16];
    simd::store(extreme, extents.extreme);
    simd::store(lowest, extents.lowest);
    simd::store(highest, extents.highest);
    std::size_t i = 0;
    for (std::size_t c = 0; c < n; c += size, ++i) {
        const std::size_t width = std::min(size, n - c);
        value_range range;
        if (options.range == range_estimator::percentile) {
            range = percentile_of(weights + c, importance == nullptr ? nullptr : importance + c,
                                  width, codes, options.percentile, room);
        } else {
            auto found = entropy_of(weights + c, importance == nullptr ? nullptr : importance + c,
                                    width, codes);
            if (!found) return found.failure();
            range = *found;
        }
        clip_extents(i, range, extreme, lowest, highest);
    }
    group_extents clipped = extents;
    clipped.extreme = simd::load<float>(extreme);
    clipped.lowest = simd::load<float>(lowest);
    clipped.highest = simd::load<float>(highest);
    return clipped;
}

/// How often the half-quadratic refinement goes over the weights.
inline constexpr int half_quadratic_rounds = 20;

/// What a residual r, in steps, is thought to be an outlier by: sign(r)·max(0, |r| − 1 / (β·|r|)).
QUANT_DETAIL_INLINE simd::f32x16 outlier_part(const simd::f32x16& r, float beta) noexcept {
    const auto size = simd::abs(r), zero = simd::broadcast(0.0f);
    const auto safe = simd::max(size, simd::broadcast(1e-6f));
    const auto kept = simd::max(size - simd::broadcast(1.0f / beta) / safe, zero);
    return simd::select_greater(zero, r, zero - kept, kept);
}

/// Half-quadratic refinement in the manner of HQQ (Badri and Shaji, 2023), with the exponent's
/// limit p → 0, which needs no powers: residuals that look like outliers are set aside, and what is
/// left moves the minimum or the zero point (the scale, where there is neither) by least squares.
template <quantization_scheme S>
void refine_half_quadratic(const search_tile& tile, stored_groups<S>& stored) noexcept {
    const auto zero = simd::broadcast(0.0f);
    const auto inverse = inverse_of(stored.scale);
    auto offset = zero; // in steps: what is added to w / scale
    if constexpr (S::has_zero_point) offset = simd::to_float(stored.zero_point);
    if constexpr (S::has_minimum) offset = zero - stored.minimum * inverse;
    auto stretch = simd::broadcast(1.0f); // of the scale
    const auto last = simd::broadcast(static_cast<float>(S::max_code));
    auto best_offset = offset, best_stretch = stretch;
    keep_better by_residual{zero - simd::broadcast(std::numeric_limits<float>::infinity())};
    float beta = 10;
    for (int round = 0; round < half_quadratic_rounds; ++round, beta *= 1.01f) {
        auto above = zero, below = zero, left = zero; // left: Σ v·|residual|
        for (std::size_t i = 0; i < tile.lines; ++i) {
            const auto t = simd::rounded_product(tile.weight(i), inverse), v = tile.factor(i);
            if constexpr (S::has_offset) {
                const auto u =
                    simd::to_float(simd::nearest(simd::min(simd::max(t + offset, zero), last)));
                const auto residual = (t + offset) - u;
                const auto seen = t - outlier_part(residual, beta);
                left = left + simd::rounded_product(v, simd::abs(residual));
                above = above + simd::rounded_product(v, u - seen);
                below = below + v;
            } else {
                const auto q = nearest_step<S, 0>(t / stretch, bounds_of<S>());
                const auto residual = t - simd::rounded_product(stretch, q);
                const auto vq = v * q;
                left = left + simd::rounded_product(v, simd::abs(residual));
                above = above + simd::rounded_product(vq, t - outlier_part(residual, beta));
                below = below + simd::rounded_product(vq, q);
            }
        }
        tile.combine(above);
        tile.combine(below);
        tile.combine(left);
        by_residual.offer(zero - left, best_offset, offset, best_stretch, stretch);
        const auto better = above / simd::max(below, simd::broadcast(1e-30f));
        if constexpr (S::has_offset) {
            offset = simd::select_greater(below, zero, better, offset);
        } else {
            stretch = simd::select_greater(better, zero, better, stretch);
        }
    }
    stored_groups<S> refined = stored;
    if constexpr (S::has_zero_point) {
        refined.zero_point = simd::nearest(simd::min(simd::max(best_offset, zero), last));
    } else if constexpr (S::has_minimum) {
        using number = typename S::scale_type;
        refined.minimum = simd::rounded_to<number>(zero - best_offset * stored.scale) + zero;
    } else {
        refined.scale = storable_step<S>(stored.scale * best_stretch);
    }
    // The min-max rule's numbers stay where the refined levels would exceed their type.
    const auto reach = simd::abs(farthest_levels(refined));
    const auto where_finite = [&](const simd::f32x16& a, const simd::f32x16& b) {
        return simd::select_greater(simd::broadcast(std::numeric_limits<float>::infinity()), reach,
                                    a, b);
    };
    stored.scale = where_finite(refined.scale, stored.scale);
    if constexpr (S::has_minimum) stored.minimum = where_finite(refined.minimum, stored.minimum);
    if constexpr (S::has_zero_point) {
        stored.zero_point = simd::float_to_bits(where_finite(
            simd::bits_to_float(refined.zero_point), simd::bits_to_float(stored.zero_point)));
    }
}

/// Memory in which the groups of a row are laid out and sorted, for all but the min-max rule.
class estimate_room {
public:
    /// For groups of up to `longest` weights.
    [[nodiscard]] static result<estimate_room> make(std::size_t longest,
                                                    const estimated_codes& codes,
                                                    const quantize_options& options,
                                                    const char* where) noexcept {
        estimate_room made;
        if (options.range == range_estimator::min_max) return made;
        const bool sorts = options.range == range_estimator::percentile;
        const std::size_t lines =
            longest <= longest_lane_group ? longest : div_ceil(longest, std::size_t{16});
        auto tile = buffer<float>::uninitialized(sorts ? 0 : 2 * 16 * lines, where);
        if (!tile) return tile.failure();
        auto sorted = buffer<counted_weight>::uninitialized(sorts ? longest : 0, where);
        if (!sorted) return sorted.failure();
        made.tile_ = std::move(*tile);
        made.sorted_ = std::move(*sorted);
        if (options.range == range_estimator::mse_optimal) {
            auto line = line_room::make(codes.has_minimum ? longest : 0, where);
            if (!line) return line.failure();
            made.line_ = std::move(*line);
            auto sweep = sweep_room::make(codes.has_minimum ? 0 : longest, codes.max_code, where);
            if (!sweep) return sweep.failure();
            made.sweep_ = std::move(*sweep);
        }
        return made;
    }
    [[nodiscard]] float* tile() noexcept { return tile_.data(); }
    [[nodiscard]] counted_weight* sorted() noexcept { return sorted_.data(); }
    [[nodiscard]] sweep_room* sweep() noexcept { return &sweep_; }
    [[nodiscard]] line_room* line() noexcept { return &line_; }

private:
    buffer<float> tile_;
    buffer<counted_weight> sorted_;
    sweep_room sweep_;
    line_room line_;
};

/// The best numbers that there are, from good ones. False if it was cancelled.
template <quantization_scheme S>
[[nodiscard]] bool optimize_groups(const float* weights, const float* importance, std::size_t n,
                                   std::size_t size, const std::atomic<bool>* cancel,
                                   estimate_room& room, stored_groups<S>& stored) noexcept {
    alignas(64) float scale[16], minimum[16] = {};
    alignas(64) std::int32_t zero_point[16] = {};
    simd::store(scale, stored.scale);
    if constexpr (S::has_minimum) simd::store(minimum, stored.minimum);
    if constexpr (S::has_zero_point) simd::store(zero_point, stored.zero_point);
    std::size_t i = 0;
    for (std::size_t c = 0; c < n; c += size, ++i) {
        const exact_group group{weights + c, importance == nullptr ? nullptr : importance + c,
                                std::min(size, n - c)};
        if constexpr (S::has_minimum) {
            if (!optimize_line<S>(group, scale[i], minimum[i], *room.line(), cancel)) return false;
        } else {
            if (!optimize_scale<S>(group, scale[i], zero_point[i], room.sweep(), cancel)) {
                return false;
            }
        }
    }
    stored.scale = simd::load<float>(scale);
    if constexpr (S::has_minimum) stored.minimum = simd::load<float>(minimum);
    if constexpr (S::has_zero_point) stored.zero_point = simd::load<std::int32_t>(zero_point);
    return true;
}

/// Improves the numbers that the min-max rule gave to the groups of n weights, sixteen at most.
template <quantization_scheme S>
[[nodiscard]] result<void>
estimate_groups(const float* weights, const float* importance, std::size_t n, std::size_t size,
                const group_extents& extents, const quantize_options& options, estimate_room& room,
                stored_groups<S>& stored) noexcept {
    if (options.range == range_estimator::min_max) return {};
    if (options.range == range_estimator::percentile || options.range == range_estimator::entropy) {
        auto clipped = clipped_extents(weights, importance, n, size, extents, estimated_codes_of<S>,
                                       options, room.sorted());
        if (!clipped) return clipped.failure();
        stored = fit_min_max<S>(*clipped);
        return {};
    }
    const tile_factors by{1.0f, normalizing_factor(importance, n)};
    const search_tile tile = lay_out(
        weights, importance, n, size, size > longest_lane_group, by,
        options.range == range_estimator::half_quadratic ? tile_integers::none : integers_of<S>,
        room.tile());
    if (options.range == range_estimator::half_quadratic) {
        refine_half_quadratic<S>(tile, stored);
        return {};
    }
    search_groups<S>(tile, stored);
    if (options.range == range_estimator::mse_optimal &&
        !optimize_groups<S>(weights, importance, n, size, options.cancel, room, stored)) {
        return error(errc::cancelled, "quantize", "stopped by the caller");
    }
    return {};
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
