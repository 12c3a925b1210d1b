// The scale and minimum with the least squared error, within a bound, of all that can be stored:
// branch and bound over boxes of both. docs/maths.md proves what is used here.
//
// A line is given by x = 1/s and p = −m/s, so that a weight's place among the codes is y = w·x + p.
// Within a box of both it lies between two numbers. Weights whose code is the same at both make a
// paraboloid of s and m, whose least value in the box is known; of the others the distance to the
// nearest code has a lower bound. A box that holds nothing better than what was found, by more than
// the tolerance, is left; others are halved until codes are known, and with them the best numbers.
#pragma once

#include <quant/core/buffer.hpp>
#include <quant/quantize/code_sums.hpp>
#include <quant/quantize/exact_numbers.hpp>
#include <quant/quantize/options.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// How much more error than the least a line may have: E ≤ (1 + this)·E_min.
inline constexpr double line_tolerance = 0x1p-6;
/// Scales are looked for from this share of the range on; boxes are not halved any more where both
/// sides have become this share of the scale.
inline constexpr double least_line_share = 0x1p-20, least_box_share = 0x1p-30;

/// Lines with x = 1/s and p = −m/s.
struct line_box {
    double x0, x1, p0, p1;

    [[nodiscard]] bool has(double s, double m) const noexcept {
        if (!(s > 0)) return false;
        const double x = 1.0 / s, p = 0.0 - m * x;
        return x0 <= x && x <= x1 && p0 <= p && p <= p1;
    }
};

struct scale_and_minimum {
    double scale, minimum;
};

/// Memory for the weights of a group, as distances from an origin, and for their importances.
class line_room {
public:
    [[nodiscard]] static result<line_room> make(std::size_t n, const char* where) noexcept {
        line_room made;
        auto numbers = buffer<double>::uninitialized(2 * round_up(n, std::size_t{8}), where);
        if (!numbers) return numbers.failure();
        made.numbers_ = std::move(*numbers);
        return made;
    }
    [[nodiscard]] double* numbers() noexcept { return numbers_.data(); }

private:
    buffer<double> numbers_;
};

class line_search {
public:
    /// @param last  the greatest code
    line_search(int last, const number_line& numbers, const std::atomic<bool>* cancel) noexcept
        : last_(last), numbers_(numbers), cancel_(cancel) {}

    /// Improves a line. False if it was cancelled.
    [[nodiscard]] bool run(const exact_group& group, line_room& room,
                           scale_and_minimum& found) noexcept {
        if (!lay_out(group, room)) return true;
        best_ = {found.scale, found.minimum - origin_};
        least_error_ = error_of(best_.scale, best_.minimum);
        measure_clipping();
        const double range = highest_ - lowest_;
        const double least = std::max((top_ - bottom_) / last_, range * least_line_share);
        const double from = 1.0 / range, to = 1.0 / least;
        const line_box all{from, to, std::min((0.0 - bottom_) * from, (0.0 - bottom_) * to),
                           0.5 - simd::rounded_product(lowest_, to)};
        if (from <= to && !look_into(all)) return false;
        found = {best_.scale, best_.minimum + origin_};
        return true;
    }

private:
    /// What is known of a box.
    struct look {
        double error;   ///< none of its lines has less
        double changes; ///< weights whose codes are not known
        code_sums sums; ///< of the others
    };

    /// About the mean of what counts, as a float. In its neighbourhood most codes stay as they are
    /// when the scale changes.
    [[nodiscard]] static double mean_of(const exact_group& group) noexcept {
        double sum = 0, weight = 0;
        for (std::size_t i = 0; i < group.n; ++i) {
            sum += simd::rounded_product(group.factor(i), group.weight(i));
            weight += group.factor(i);
        }
        return static_cast<double>(static_cast<float>(sum / weight));
    }

    /// False if there is nothing to search for.
    [[nodiscard]] bool lay_out(const exact_group& group, line_room& room) noexcept {
        double lowest = std::numeric_limits<double>::infinity(), highest = 0.0 - lowest;
        for (std::size_t i = 0; i < group.n; ++i) {
            if (group.factor(i) == 0) continue;
            lowest = std::min(lowest, group.weight(i));
            highest = std::max(highest, group.weight(i));
        }
        if (!(lowest < highest)) return false;
        origin_ = mean_of(group);
        lowest_ = lowest - origin_;
        highest_ = highest - origin_;
        distances_ = room.numbers();
        factors_ = room.numbers() + round_up(group.n, std::size_t{8});
        count_ = 0;
        double sum = 0, weight = 0;
        for (std::size_t i = 0; i < group.n; ++i) {
            const double v = group.factor(i);
            if (v == 0) continue;
            const double d = group.weight(i) - origin_;
            distances_[count_] = d;
            factors_[count_++] = v;
            sum += simd::rounded_product(v, d < 0 ? 0.0 - d : d);
            weight += v;
        }
        spread_ = sum / weight;
        // What fills up the last eight lies beyond all lines.
        for (; count_ % 8 != 0; ++count_) {
            distances_[count_] = (highest - lowest) * 0x1p20;
            factors_[count_] = 0;
        }
        return true;
    }

    /// Lines that begin above bottom_ or end below top_ clip a weight so far that this alone costs
    /// more than what was found.
    void measure_clipping() noexcept {
        const double error = least_error_ * (1 + 0x1p-30);
        top_ = lowest_;
        bottom_ = highest_;
        for (std::size_t i = 0; i < count_; ++i) {
            if (factors_[i] == 0) continue;
            const double may_miss = std::sqrt(error / factors_[i]);
            top_ = std::max(top_, distances_[i] - may_miss);
            bottom_ = std::min(bottom_, distances_[i] + may_miss);
        }
    }

    [[nodiscard]] bool look_into(const line_box& all) noexcept {
        // Halving leaves one more, and a box cannot be halved as often as this.
        std::array<line_box, 256> waiting;
        std::size_t count = 1;
        waiting[0] = all;
        while (count > 0) {
            if (cancel_ != nullptr && cancel_->load(std::memory_order_relaxed)) return false;
            const line_box now = waiting[--count];
            if (is_useless(now)) continue;
            const look seen = look_at(now);
            if (!may_be_better(seen.error)) continue;
            if (seen.changes == 0) {
                solve(seen.sums);
                continue;
            }
            // Worth a look at all codes: few are open, or the box is small.
            const double few = 2 + 0x1p-6 * static_cast<double>(count_);
            if ((seen.changes <= few || now.x1 - now.x0 <= now.x0 * 0x1p-12) && resolve(now)) {
                continue;
            }
            line_box lower = now, upper = now;
            if ((now.x1 - now.x0) * spread_ > now.p1 - now.p0) {
                lower.x1 = upper.x0 = (now.x0 + now.x1) * 0.5;
            } else {
                lower.p1 = upper.p0 = (now.p0 + now.p1) * 0.5;
            }
            waiting[count++] = upper;
            waiting[count++] = lower;
        }
        return true;
    }
    [[nodiscard]] bool may_be_better(double error) const noexcept {
        return error * (1 + line_tolerance) < least_error_;
    }
    /// Whether lines clip too much, or do not use their least codes: a minimum more than half a
    /// step below the least weight, where one code less and a step more is the same line.
    [[nodiscard]] bool is_useless(const line_box& box) const noexcept {
        const auto most = [&](double w) { // of w·x
            return std::max(simd::rounded_product(w, box.x0), simd::rounded_product(w, box.x1));
        };
        const auto least = [&](double w) {
            return std::min(simd::rounded_product(w, box.x0), simd::rounded_product(w, box.x1));
        };
        return box.p1 + most(bottom_) < 0 || box.p0 + least(top_) > last_ ||
               box.p0 + least(lowest_) > 0.5;
    }

    /// The places of a weight within a box, and their codes.
    struct code_range {
        double y0, y1, u0, u1;
    };
    [[nodiscard]] code_range codes_in(const line_box& box, double d) const noexcept {
        const double a = simd::rounded_product(d, box.x0), b = simd::rounded_product(d, box.x1);
        const double y0 = inside(std::min(a, b) + box.p0), y1 = inside(std::max(a, b) + box.p1);
        return {y0, y1, nearest(y0), nearest(y1)};
    }
    [[nodiscard]] double inside(double y) const noexcept {
        return std::min(std::max(y, 0.0), last_);
    }
    static constexpr double rounding = 0x1.8p52; // added and subtracted again: the nearest integer
    [[nodiscard]] static double nearest(double y) noexcept { return (y + rounding) - rounding; }

    [[nodiscard]] look look_at(const line_box& box) const noexcept {
        using simd::broadcast_f64;
        using simd::rounded_product;
        using simd::sum_of_lanes;
        const auto x0 = broadcast_f64(box.x0), x1 = broadcast_f64(box.x1);
        const auto p0 = broadcast_f64(box.p0), p1 = broadcast_f64(box.p1);
        const auto zero = broadcast_f64(0), one = broadcast_f64(1), two = broadcast_f64(2);
        const auto last = broadcast_f64(last_), magic = broadcast_f64(rounding);
        auto sv = zero, su = zero, suu = zero, sd = zero, sud = zero, sdd = zero, sr = zero;
        auto changes = zero;
        for (std::size_t i = 0; i < count_; i += 8) { // as codes_in
            const auto d = simd::load_f64(distances_ + i), v = simd::load_f64(factors_ + i);
            const auto a = d * x0, b = d * x1;
            const auto y0 = simd::min(simd::max(simd::min(a, b) + p0, zero), last);
            const auto y1 = simd::min(simd::max(simd::max(a, b) + p1, zero), last);
            const auto u0 = (y0 + magic) - magic, u1 = (y1 + magic) - magic;
            const auto rise = u1 - u0, changed = simd::min(rise, one);
            changes = changes + changed;
            // Of a weight between two codes: how far from both it is at least. 0 with more of them.
            const auto far =
                simd::max(simd::min(y0 - u0, u1 - y1), zero) * simd::max(two - rise, zero);
            sr = sr + rounded_product(far * v, far);
            const auto known = v * (one - changed);
            const auto vu = rounded_product(known, u0), vd = rounded_product(known, d);
            sv = sv + known;
            su = su + vu;
            suu = suu + rounded_product(vu, u0);
            sd = sd + vd;
            sud = sud + rounded_product(vd, u0);
            sdd = sdd + rounded_product(vd, d);
        }
        look seen{0,
                  sum_of_lanes(changes),
                  {sum_of_lanes(sv), sum_of_lanes(su), sum_of_lanes(suu), sum_of_lanes(sd),
                   sum_of_lanes(sud), sum_of_lanes(sdd), sum_of_lanes(sr)}};
        seen.error = least_error_in(seen.sums, box);
        return seen;
    }

    /// The least value of error_of in a box, or less if that will not do.
    [[nodiscard]] double least_error_in(const code_sums& sums, const line_box& box) const noexcept {
        const double s = sums.best_scale(), m = sums.best_offset(s), anywhere = sums.error_of(s, m);
        if (!may_be_better(anywhere) || box.has(s, m)) return anywhere;
        const auto within = [](double x, double from, double to) {
            return std::min(std::max(x, from), to);
        };
        double least = std::numeric_limits<double>::infinity();
        const double s0 = 1.0 / box.x1, s1 = 1.0 / box.x0;
        for (const double side : {s0, s1}) {
            const double offset =
                within(sums.best_offset(side), 0.0 - box.p1 * side, 0.0 - box.p0 * side);
            least = std::min(least, sums.error_of(side, offset));
        }
        for (const double side : {box.p0, box.p1}) { // m = −p·s: codes less p, and no offset
            const code_sums shifted = sums.shifted(0.0 - side);
            const double scale = within(shifted.best_scale(0), s0, s1);
            least = std::min(least, shifted.error_of(scale, 0));
        }
        return least;
    }

    /// Tries the least and the greatest codes in a box. True if that is all there is in it: where
    /// only weights of one value change their code, by one; and where the box is next to nothing.
    [[nodiscard]] bool resolve(const line_box& box) noexcept {
        code_sums least, greatest;
        double first = 0, changed = 0;
        bool alike = true;
        for (std::size_t i = 0; i < count_; ++i) {
            const double d = distances_[i], v = factors_[i];
            const code_range codes = codes_in(box, d);
            least.add(v, codes.u0, d);
            greatest.add(v, codes.u1, d);
            if (codes.u0 == codes.u1) continue;
            if (changed == 0) first = d;
            changed = 1;
            alike = alike && d == first && codes.u1 - codes.u0 == 1;
        }
        solve(least);
        const bool is_point =
            box.x1 - box.x0 <= box.x0 * least_box_share && box.p1 - box.p0 <= least_box_share;
        if (!alike && !is_point) return false;
        solve(greatest);
        return true;
    }

    /// Σ v·(d − s·u − m)² with the nearest codes.
    [[nodiscard]] double error_of(double s, double m) const noexcept {
        double error = 0;
        const double by = s > 0 ? 1.0 / s : 0.0;
        for (std::size_t i = 0; i < count_; ++i) {
            if (factors_[i] == 0) continue;
            const double d = distances_[i] - m;
            const double u = nearest(inside(simd::rounded_product(d, by)));
            const double off = d - simd::rounded_product(s, u);
            error += simd::rounded_product(simd::rounded_product(factors_[i], off), off);
        }
        return error;
    }

    /// The best numbers for given codes: minimums from the best one on
    /// outward, as long as they can be better by more than the tolerance, each with the scale that
    /// suits it.
    void solve(const code_sums& sums) noexcept {
        const double s = sums.best_scale(), m = sums.best_offset(s);
        if (!(s > 0)) return;
        const std::int64_t nearest = numbers_.nearest_place(m + origin_);
        for (const int direction : {1, -1}) {
            for (std::int64_t place = direction > 0 ? nearest : nearest - 1;; place += direction) {
                const double minimum = numbers_.at(place) - origin_;
                const double wanted = sums.best_scale(minimum);
                if (!may_be_better(sums.error_of(wanted, minimum))) break;
                const double scale = numbers_.nearest(wanted);
                if (!(scale > 0)) break;
                offer(sums, scale, minimum);
            }
        }
    }
    void offer(const code_sums& sums, double scale, double minimum) noexcept {
        if (!(sums.error_of(scale, minimum) < least_error_)) return;
        const double error = error_of(scale, minimum);
        if (error < least_error_) {
            least_error_ = error;
            best_ = {scale, minimum};
        }
    }

    double last_;
    number_line numbers_;
    const std::atomic<bool>* cancel_;
    double* distances_ = nullptr;
    double* factors_ = nullptr;
    std::size_t count_ = 0;
    double origin_ = 0, lowest_ = 0, highest_ = 0, spread_ = 0, top_ = 0, bottom_ = 0;
    double least_error_ = 0;
    scale_and_minimum best_{}; ///< the minimum from the origin on
};

/// A scale and a minimum with an error within the tolerance of the least, from given ones. False if
/// it was cancelled.
template <quantization_scheme S>
[[nodiscard]] bool optimize_line(const exact_group& group, float& scale, float& minimum,
                                 line_room& room, const std::atomic<bool>* cancel) noexcept {
    if (!exact_extents::of(group).usual()) return true;
    scale_and_minimum found{static_cast<double>(scale), static_cast<double>(minimum)};
    line_search search(S::max_code, number_line::make<typename S::scale_type>(S::unit), cancel);
    if (!search.run(group, room, found)) return false;
    scale = static_cast<float>(found.scale);
    minimum = static_cast<float>(found.minimum);
    return true;
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
