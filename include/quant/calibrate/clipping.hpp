// Ranges narrower than the data's: what few levels gain where there are many numbers may outweigh
// what is lost on the few that are clipped.
#pragma once

#include <quant/calibrate/clipping_loss.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Bins of a histogram by which its bin number, and that of the numbers' negatives, tell the
/// magnitude: bin k and bin −k−1 hold magnitudes k … k+1, in widths.
[[nodiscard]] inline std::uint64_t count_of_magnitude(const histogram_view& h,
                                                      std::int64_t k) noexcept {
    const auto at = [&](std::int64_t bin) -> std::uint64_t {
        const std::int64_t i = bin - h.first;
        if (i < 0 || i >= static_cast<std::int64_t>(h.counts.size())) return 0;
        return h.counts[static_cast<std::size_t>(i)];
    };
    return at(k) + at(-k - 1);
}

/// The largest magnitude's bin.
[[nodiscard]] inline std::int64_t largest_magnitude(const histogram_view& h) noexcept {
    const std::int64_t last = h.first + static_cast<std::int64_t>(h.counts.size()) - 1;
    return std::max(last, -h.first - 1);
}

/// −a … a with a = `edge` unless the numbers' own range is narrower.
[[nodiscard]] inline value_range symmetric_up_to(const histogram_view& h, double edge) noexcept {
    const double most = static_cast<double>(h.range.max_abs());
    const auto a = static_cast<float>(std::min(edge, most));
    return {0.0f - a, a};
}
/// `lowest` … `highest` unless the numbers' own range is narrower.
[[nodiscard]] inline value_range between(const histogram_view& h, double lowest,
                                         double highest) noexcept {
    return {static_cast<float>(std::max(lowest, static_cast<double>(h.range.lowest))),
            static_cast<float>(std::min(highest, static_cast<double>(h.range.highest)))};
}

[[nodiscard]] inline result<void> check_levels(unsigned levels, const char* where) noexcept {
    if (levels >= 2 && levels <= 65536) return {};
    return make_error(errc::invalid_argument, where, "%u levels, not 2 to 65536", levels);
}

/// 2^(−i/16) for i = 0 … 160.
[[nodiscard]] inline double sixteenth_root_step(unsigned i) noexcept {
    constexpr std::array<double, 16> roots = {
        0x1.0000000000000p+0, 0x1.ea4afa2a490dap-1, 0x1.d5818dcfba487p-1, 0x1.c199bdd85529cp-1,
        0x1.ae89f995ad3adp-1, 0x1.9c49182a3f090p-1, 0x1.8ace5422aa0dbp-1, 0x1.7a11473eb0187p-1,
        0x1.6a09e667f3bcdp-1, 0x1.5ab07dd485429p-1, 0x1.4bfdad5362a27p-1, 0x1.3dea64c123422p-1,
        0x1.306fe0a31b715p-1, 0x1.2387a6e756238p-1, 0x1.172b83c7d517bp-1, 0x1.0b5586cf9890fp-1};
    return std::ldexp(roots[i % 16], -static_cast<int>(i / 16));
}
inline constexpr unsigned clipping_steps = 160;

/// The middle of the bin that has the median, in widths.
[[nodiscard]] inline double median_of(const histogram_view& h, std::uint64_t count) noexcept {
    std::uint64_t before = 0;
    std::size_t i = 0;
    while (before + h.counts[i] <= (count - 1) / 2) before += h.counts[i++];
    return static_cast<double>(h.first) + static_cast<double>(i) + 0.5;
}

/// The candidate 0 … count − 1 for which loss(i) is least, the first of equals. Candidate 0 is the
/// widest range.
template <class Loss>
[[nodiscard]] std::size_t best_of(std::size_t count, Loss loss) noexcept {
    std::size_t best = 0;
    double least = loss(std::size_t{0});
    for (std::size_t i = 1; i < count; ++i) {
        const double one = loss(i);
        if (one < least) {
            least = one;
            best = i;
        }
    }
    return best;
}

inline constexpr int clipping_rounds = 8;

[[nodiscard]] inline result<value_range>
symmetric_entropy_range(const histogram_view& h, std::size_t groups, const char* where) noexcept {
    // Numbers far from zero have bins far finer than what matters of their magnitudes.
    constexpr std::size_t most_bins = 1 << 13;
    const auto largest = static_cast<std::uint64_t>(largest_magnitude(h));
    int shift = 0;
    while (largest >> shift >= std::max(most_bins, h.counts.size())) ++shift;
    const auto bins = static_cast<std::size_t>(largest >> shift) + 1;
    if (bins <= groups) return h.range.symmetrized();
    auto errors = entropy_error::make(bins, where);
    if (!errors) return errors.failure();
    for (std::size_t i = 0; i < h.counts.size(); ++i) {
        const std::int64_t k = h.first + static_cast<std::int64_t>(i);
        errors->counts()[static_cast<std::size_t>((k < 0 ? -k - 1 : k) >> shift)] += h.counts[i];
    }
    errors->sum();
    const std::size_t shortest = std::max(groups, errors->median() + 1);
    const std::size_t clipped = best_of(bins - shortest + 1, [&](std::size_t i) {
        return errors->divergence(0, bins - i, groups);
    });
    return symmetric_up_to(h, std::ldexp(static_cast<double>(bins - clipped), h.exponent + shift));
}

[[nodiscard]] inline result<value_range>
asymmetric_entropy_range(const histogram_view& h, std::size_t groups, const char* where) noexcept {
    const std::size_t bins = h.counts.size();
    if (bins <= groups) return h.range;
    auto errors = entropy_error::make(bins, where);
    if (!errors) return errors.failure();
    std::copy(h.counts.begin(), h.counts.end(), errors->counts().begin());
    errors->sum();
    const std::size_t median = errors->median();
    std::size_t begin = 0, end = bins;
    for (int round = 0; round < clipping_rounds; ++round) {
        const std::size_t begin_before = begin, end_before = end;
        begin = best_of(std::min(end - groups, median) + 1,
                        [&](std::size_t i) { return errors->divergence(i, end, groups); });
        const std::size_t least_end = std::max(begin + groups, median + 1);
        end = bins - best_of(bins - least_end + 1, [&](std::size_t i) {
                  return errors->divergence(begin, bins - i, groups);
              });
        if (begin == begin_before && end == end_before) break;
    }
    return between(h, h.edge(begin), h.edge(end));
}

} // namespace detail

/// The range that holds a share of the numbers: the least that leaves at most
/// ⌊(100 − percent) / 100 · count⌋ of them outside, as far as bins tell.
///
/// Symmetric: −a … a. Asymmetric: half of that, rounded down, outside on each side. Ends are edges
/// of bins, rounded outward, and never beyond the numbers themselves: an end is within one width of
/// the quantile of the numbers. Exact otherwise; the same on every instruction set.
///
/// @param percent  above 0, at most 100, which gives the range of all
///
/// Errors: empty, null_data, size_overflow, invalid_argument (percent, or a histogram whose parts
/// do not fit each other). Complexity: O(bins).
[[nodiscard]] inline result<value_range>
try_percentile_range(const histogram_view& histogram, double percent,
                     range_symmetry symmetry = range_symmetry::symmetric) noexcept {
    constexpr const char* where = "percentile_range";
    const auto count = detail::count_of(histogram, where);
    if (!count) return count.failure();
    if (!(percent > 0 && percent <= 100)) {
        return detail::make_error(errc::invalid_argument, where, "%g percent", percent);
    }
    const double share = (100 - percent) / 100;
    const double outside = std::floor(share * static_cast<double>(*count));
    const auto spare =
        outside < static_cast<double>(*count) ? static_cast<std::uint64_t>(outside) : *count - 1;
    std::uint64_t left = std::min(spare, *count - 1);
    if (symmetry == range_symmetry::symmetric) {
        std::int64_t k = detail::largest_magnitude(histogram);
        for (; detail::count_of_magnitude(histogram, k) <= left; --k) {
            left -= detail::count_of_magnitude(histogram, k);
        }
        return detail::symmetric_up_to(histogram,
                                       std::ldexp(static_cast<double>(k + 1), histogram.exponent));
    }
    const std::uint64_t half = left / 2;
    std::size_t begin = 0, end = histogram.counts.size();
    for (left = half; histogram.counts[begin] <= left; ++begin) left -= histogram.counts[begin];
    for (left = half; histogram.counts[end - 1] <= left; --end) left -= histogram.counts[end - 1];
    return detail::between(histogram, histogram.edge(begin), histogram.edge(end));
}

/// The range with the least mean squared error when numbers are rounded to the nearest of `levels`
/// equally spaced levels, the outermost on the range's ends; numbers count as uniformly distributed
/// within their bin, for which the error is integrated exactly.
///
/// Symmetric: the best of a = max|x|·2^(−i/16), i = 0 … 160. Asymmetric: each end in turn moves to
/// the best of 81 distances from the median, its largest times 2^(−i/8), until none improves, at
/// most eight times. The result is never worse than the range of all numbers. Ties and what
/// rounding takes for ties aside the same on every instruction set.
///
/// @param levels  2 … 65536; 255 for symmetric int8
///
/// Errors: empty, null_data, size_overflow, invalid_argument (levels, or a histogram whose parts do
/// not fit each other). Complexity: O(bins), some hundred times.
/// Source: the idea of Banner, Nahshan, Soudry, Post training 4-bit quantization, 2019, on the
/// histogram in place of a model distribution.
[[nodiscard]] inline result<value_range>
try_mse_range(const histogram_view& histogram, unsigned levels,
              range_symmetry symmetry = range_symmetry::symmetric) noexcept {
    constexpr const char* where = "mse_range";
    const auto count = detail::count_of(histogram, where);
    if (!count) return count.failure();
    if (auto valid = detail::check_levels(levels, where); !valid) return valid.failure();
    const bool symmetric = symmetry == range_symmetry::symmetric;
    if (histogram.range.max_abs() == 0) return histogram.range;
    const detail::rounding_error loss(histogram);
    if (symmetric) {
        const double most = std::max(-loss.lowest(), loss.highest());
        const auto clip = [&](std::size_t i) {
            return most * detail::sixteenth_root_step(static_cast<unsigned>(i));
        };
        const std::size_t best = detail::best_of(detail::clipping_steps + 1, [&](std::size_t i) {
            return loss(-clip(i), clip(i), levels);
        });
        return detail::symmetric_up_to(histogram, std::ldexp(clip(best), histogram.exponent));
    }
    if (histogram.range.lowest == histogram.range.highest) return histogram.range;
    const double median =
        std::clamp(detail::median_of(histogram, *count), loss.lowest(), loss.highest());
    const auto moved = [&](double from, std::size_t i) {
        return median + (from - median) * detail::sixteenth_root_step(2 * static_cast<unsigned>(i));
    };
    const auto spread = [&](double low, double high) {
        return low < high ? loss(low, high, levels) : std::numeric_limits<double>::infinity();
    };
    std::size_t low = 0, high = 0;
    for (int round = 0; round < detail::clipping_rounds; ++round) {
        const std::size_t low_before = low, high_before = high;
        const double highest = moved(loss.highest(), high);
        low = detail::best_of(detail::clipping_steps / 2 + 1, [&](std::size_t i) {
            return spread(moved(loss.lowest(), i), highest);
        });
        const double lowest = moved(loss.lowest(), low);
        high = detail::best_of(detail::clipping_steps / 2 + 1, [&](std::size_t i) {
            return spread(lowest, moved(loss.highest(), i));
        });
        if (low == low_before && high == high_before) break;
    }
    return detail::between(histogram, std::ldexp(moved(loss.lowest(), low), histogram.exponent),
                           std::ldexp(moved(loss.highest(), high), histogram.exponent));
}

/// The range that loses least information when numbers are clipped to it and told apart by `levels`
/// levels: the least KL(P ‖ Q) over windows that hold the median, of as many bins as levels at
/// least. P is the distribution of the clipped numbers over bins, those beyond the window in its
/// outermost bins that have any; Q has the window's numbers alone, the window cut into `levels`
/// parts and each part's numbers spread evenly over its bins that have any.
///
/// Symmetric: windows of magnitudes from 0 on, in ⌈levels / 2⌉ parts. Asymmetric: each end in turn
/// moves to its best place until none improves, at most eight times. Histograms with no more bins
/// than parts give the range of all numbers. The same with every compiler and library: logarithms
/// are not the standard library's.
///
/// @param levels  2 … 65536; 255 for symmetric int8
///
/// Errors: empty, null_data, size_overflow, invalid_argument (levels, or a histogram whose parts do
/// not fit each other), out_of_memory. Complexity: O(bins·levels); 48 bytes per bin.
/// Source: the calibration of Migacz, 8-bit inference with TensorRT, 2017.
[[nodiscard]] inline result<value_range>
try_entropy_range(const histogram_view& histogram, unsigned levels,
                  range_symmetry symmetry = range_symmetry::symmetric) noexcept {
    constexpr const char* where = "entropy_range";
    const auto count = detail::count_of(histogram, where);
    if (!count) return count.failure();
    if (auto valid = detail::check_levels(levels, where); !valid) return valid.failure();
    if (symmetry == range_symmetry::symmetric) {
        return detail::symmetric_entropy_range(histogram, (levels + 1) / 2, where);
    }
    return detail::asymmetric_entropy_range(histogram, levels, where);
}

#if QUANT_HAS_EXCEPTIONS
/// As try_percentile_range. @throws quant::error
[[nodiscard]] inline value_range
percentile_range(const histogram_view& histogram, double percent,
                 range_symmetry symmetry = range_symmetry::symmetric) {
    return try_percentile_range(histogram, percent, symmetry).value();
}
/// As try_mse_range. @throws quant::error
[[nodiscard]] inline value_range mse_range(const histogram_view& histogram, unsigned levels,
                                           range_symmetry symmetry = range_symmetry::symmetric) {
    return try_mse_range(histogram, levels, symmetry).value();
}
/// As try_entropy_range. @throws quant::error
[[nodiscard]] inline value_range
entropy_range(const histogram_view& histogram, unsigned levels,
              range_symmetry symmetry = range_symmetry::symmetric) {
    return try_entropy_range(histogram, levels, symmetry).value();
}
#endif

} // namespace quant::inline QUANT_ABI
