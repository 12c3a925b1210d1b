// Histograms whose bins depend on the numbers alone, not on the order in which they came.
//
// Bins are 2^e wide and begin at multiples of 2^e; e is the least with which the least and the
// greatest number are less than `bins` bins apart. A bin of width 2^(e+1) is two bins of width 2^e,
// so that a histogram that grows, or is merged with another, has the counts that one pass over all
// numbers with the final bins would have given.
#pragma once

#include <quant/calibrate/range.hpp>
#include <quant/core/result.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

namespace quant::inline QUANT_VOCABULARY {

/// Counts of numbers in bins of equal width, in somebody else's memory. Bin i holds the numbers x
/// with ⌊x / width()⌋ = first + i; the first and the last bin hold one at least.
struct histogram_view {
    value_range range;      ///< the least and the greatest number, exactly
    int exponent = 0;       ///< bins are 2^exponent wide
    std::int64_t first = 0; ///< which multiple of the width the first bin begins at
    std::span<const std::uint64_t> counts;

    /// Width of a bin; a power of two.
    [[nodiscard]] QUANT_DETAIL_INLINE double width() const noexcept {
        return std::ldexp(1.0, exponent);
    }
    /// The number at which bin i begins, exactly; of i = counts.size(), at which the last one ends.
    [[nodiscard]] QUANT_DETAIL_INLINE double edge(std::size_t i) const noexcept {
        return std::ldexp(static_cast<double>(first + static_cast<std::int64_t>(i)), exponent);
    }
};

} // namespace quant::inline QUANT_VOCABULARY

namespace quant::inline QUANT_ABI {
namespace detail {

/// Where the bins of a histogram are.
struct bin_grid {
    int exponent = 0;
    std::int64_t first = 0;

    friend constexpr bool operator==(const bin_grid&, const bin_grid&) noexcept = default;
};

/// The least exponent with which bins of a range are numbered by less than 2^24 and exact in float.
[[nodiscard]] inline int least_exponent(const value_range& range) noexcept {
    constexpr int of_subnormals = -149;
    const float largest = range.max_abs();
    return largest == 0 ? of_subnormals : std::max(std::ilogb(largest) - 22, of_subnormals);
}

/// ⌊x / 2^exponent⌋; `inverse` is 2^−exponent.
[[nodiscard]] inline std::int64_t bin_of(float x, double inverse) noexcept {
    const double bins = static_cast<double>(x) * inverse;
    const auto towards_zero = static_cast<std::int64_t>(bins);
    return towards_zero - (static_cast<double>(towards_zero) > bins ? 1 : 0);
}
[[nodiscard]] inline std::int64_t bin_of(float x, int exponent) noexcept {
    return bin_of(x, std::ldexp(1.0, -exponent));
}

/// The grid of a range in at most `bins` ≥ 2 bins.
[[nodiscard]] inline bin_grid grid_of(const value_range& range, std::size_t bins) noexcept {
    int exponent = least_exponent(range);
    const auto last = static_cast<std::int64_t>(bins) - 1;
    while (bin_of(range.highest, exponent) - bin_of(range.lowest, exponent) > last) ++exponent;
    return {exponent, bin_of(range.lowest, exponent)};
}

/// Adds the counts of one grid to those of another that is as wide or wider and covers it.
inline void add_counts(std::span<const std::uint64_t> from, const bin_grid& from_grid,
                       std::uint64_t* to, const bin_grid& to_grid) noexcept {
    const int shift = std::min(to_grid.exponent - from_grid.exponent, 63);
    for (std::size_t i = 0; i < from.size(); ++i) {
        if (from[i] == 0) continue;
        const std::int64_t bin = (from_grid.first + static_cast<std::int64_t>(i)) >> shift;
        to[bin - to_grid.first] += from[i];
    }
}

/// How many numbers a histogram counts, once it is known to be one.
[[nodiscard]] inline result<std::uint64_t> count_of(const histogram_view& h,
                                                    const char* where) noexcept {
    if (h.counts.empty()) return error(errc::empty, where, "a histogram without bins");
    if (h.counts.data() == nullptr) return error(errc::null_data, where, "null pointer");
    const auto broken = [&](const char* why) { return error(errc::invalid_argument, where, why); };
    if (!std::isfinite(h.range.lowest) || !std::isfinite(h.range.highest) ||
        h.range.lowest > h.range.highest) {
        return broken("the least and the greatest number are no range");
    }
    if (h.exponent < least_exponent(h.range) || h.exponent > 128) {
        return broken("bins too narrow, or too wide, for the range");
    }
    const std::int64_t last = bin_of(h.range.highest, h.exponent);
    if (bin_of(h.range.lowest, h.exponent) != h.first ||
        h.counts.size() != static_cast<std::uint64_t>(last - h.first) + 1) {
        return broken("bins that do not cover just the range");
    }
    std::uint64_t sum = 0;
    for (const std::uint64_t one : h.counts) {
        if (one > std::numeric_limits<std::uint64_t>::max() - sum) {
            return error(errc::size_overflow, where, "the counts' sum exceeds 2^64");
        }
        sum += one;
    }
    if (h.counts.front() == 0 || h.counts.back() == 0) {
        return broken("the first or the last bin is empty");
    }
    return sum;
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
