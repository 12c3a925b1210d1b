// What a range loses of a histogram: by rounding and clipping, and of the numbers' distribution.
#pragma once

#include <quant/calibrate/histogram.hpp>
#include <quant/calibrate/logarithm.hpp>
#include <quant/core/buffer.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Squared errors of rounding the numbers of a histogram to equally spaced levels. Lengths are in
/// widths of a bin; numbers are taken for uniformly distributed within their bin.
class rounding_error {
public:
    explicit rounding_error(const histogram_view& h) noexcept
        : h_(&h), lowest_(in_widths(h.range.lowest)), highest_(in_widths(h.range.highest)) {}

    [[nodiscard]] double lowest() const noexcept { return lowest_; }
    [[nodiscard]] double highest() const noexcept { return highest_; }

    /// Σ (x − nearest level)² for levels from `low` to `high` > `low`.
    [[nodiscard]] double operator()(double low, double high, unsigned levels) const noexcept {
        const double last = levels - 1.0;
        const double inverse = last / (high - low); // steps per width
        const std::size_t n = h_->counts.size();
        double begin = lowest_, begin_integral = integral((begin - low) * inverse, last);
        double sum = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const double end =
                i + 1 == n ? highest_
                           : static_cast<double>(h_->first + static_cast<std::int64_t>(i) + 1);
            const double end_integral = integral((end - low) * inverse, last);
            if (h_->counts[i] != 0) {
                const double length = (end - begin) * inverse;
                const double mean = length > 0 ? (end_integral - begin_integral) / length
                                               : square((begin - low) * inverse, last);
                sum += static_cast<double>(h_->counts[i]) * mean;
            }
            begin = end;
            begin_integral = end_integral;
        }
        return sum / (inverse * inverse);
    }

private:
    [[nodiscard]] double in_widths(float x) const noexcept {
        return std::ldexp(static_cast<double>(x), -h_->exponent);
    }
    /// Distance, in steps, of t from the nearest of the levels 0 … last.
    [[nodiscard]] static double distance(double t, double& nearest, double last) noexcept {
        nearest = t <= 0 ? 0.0 : t >= last ? last : std::floor(t + 0.5);
        return t - nearest;
    }
    [[nodiscard]] static double square(double t, double last) noexcept {
        double nearest;
        const double d = distance(t, nearest, last);
        return d * d;
    }
    /// ∫ of the squared distance from 0 to t: 1/12 for each step passed, and a cube.
    [[nodiscard]] static double integral(double t, double last) noexcept {
        double nearest;
        const double d = distance(t, nearest, last);
        return nearest / 12.0 + d * d * d / 3.0;
    }

    const histogram_view* h_;
    double lowest_;
    double highest_;
};

/// Counts with their sums from the first bin on, from which the divergence of any window of them
/// follows in time that depends on the levels alone.
class entropy_error {
public:
    [[nodiscard]] static result<entropy_error> make(std::size_t bins, const char* where) noexcept {
        entropy_error made;
        auto counts = buffer<std::uint64_t>::zeroed(bins, where);
        if (!counts) return counts.failure();
        auto sums = buffer<sums_before>::uninitialized(bins + 1, where);
        if (!sums) return sums.failure();
        made.counts_ = *std::move(counts);
        made.sums_ = *std::move(sums);
        return made;
    }

    [[nodiscard]] std::span<std::uint64_t> counts() noexcept { return counts_.span(); }

    void sum() noexcept {
        sums_before sum;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            sums_.data()[i] = sum;
            const auto c = static_cast<double>(counts_.data()[i]);
            sum.count += c;
            sum.count_log_count += times_log(c);
            if (c <= 0) continue;
            sum.used += 1;
            sum.last_used = i;
        }
        sums_.data()[counts_.size()] = sum;
        std::size_t next_used = 0;
        for (std::size_t i = counts_.size(); i-- > 0;) {
            if (counts_.data()[i] != 0) next_used = i;
            sums_.data()[i].next_used = next_used;
        }
    }

    /// The bin with which half of the numbers is reached.
    [[nodiscard]] std::size_t median() const noexcept {
        const double half = sums_.data()[counts_.size()].count / 2;
        std::size_t i = 0;
        while (sums_.data()[i + 1].count < half) ++i;
        return i;
    }

    /// KL(P ‖ Q) of the window of bins [begin, end): P has all numbers, those beyond the window
    /// in its outermost bins that are used; Q those of the window alone, spread evenly over the
    /// used bins of each of `groups` equal parts. Infinite for a window without numbers.
    [[nodiscard]] double divergence(std::size_t begin, std::size_t end,
                                    std::size_t groups) const noexcept {
        const sums_before* const sums = sums_.data();
        const double all = sums[counts_.size()].count;
        const double below = sums[begin].count, above = all - sums[end].count;
        const double inside = sums[end].count - sums[begin].count;
        if (inside <= 0) return std::numeric_limits<double>::infinity();

        double p_log_p = sums[end].count_log_count - sums[begin].count_log_count;
        const std::size_t first = sums[begin].next_used, last = sums[end].last_used;
        const auto first_count = static_cast<double>(counts_.data()[first]);
        const auto last_count = static_cast<double>(counts_.data()[last]);
        if (first == last) {
            p_log_p = times_log(all);
        } else {
            p_log_p += times_log(first_count + below) - times_log(first_count);
            p_log_p += times_log(last_count + above) - times_log(last_count);
        }

        double p_log_q = 0, log_q = 0, beyond = below;
        for (std::size_t g = 0, from = begin; g < groups; ++g) {
            const std::size_t to = begin + (end - begin) * (g + 1) / groups;
            const double count = sums[to].count - sums[from].count;
            if (count > 0) {
                log_q = logarithm(count / (sums[to].used - sums[from].used));
                p_log_q += simd::rounded_product(count + beyond, log_q);
                beyond = 0;
            }
            from = to;
        }
        p_log_q += simd::rounded_product(above, log_q);
        return (p_log_p - p_log_q) / all - logarithm(all) + logarithm(inside);
    }

private:
    struct sums_before {
        double count = 0;           ///< numbers
        double used = 0;            ///< bins that have any
        double count_log_count = 0; ///< Σ c·log c
        std::size_t last_used = 0;  ///< bin before this one that has any
        std::size_t next_used = 0;  ///< this bin, or one after it, that has any
    };
    [[nodiscard]] static double times_log(double c) noexcept {
        return c > 0 ? simd::rounded_product(c, logarithm(c)) : 0;
    }

    buffer<std::uint64_t> counts_;
    buffer<sums_before> sums_;
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
