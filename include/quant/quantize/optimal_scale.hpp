// The scale with the least squared error of all that can be stored, for one number per group (and
// a zero point). docs/maths.md proves what is used here:
//
//   * As x = 1/s grows, codes change one by one, where w·x passes the middle of two levels. Between
//     two such places codes are fixed, and so are a = Σ v·w·t and q = Σ v·t²; the least error of
//     any scale for them is Σ v·w² − a²/q. So a sweep over all places in ascending order, with two
//     sums that are kept up to date, sees everything that there is.
//   * What can be stored: of the numbers of a type the nearest to a/q is the best for these codes.
//   * Levels at either end are left unused where they are too small for the largest weights: where
//     clipping alone costs more than what was found the sweep ends.
//   * Intervals with too many places to sort them are halved, unless no scale in them can be
//     better: codes that are alike at both ends are known, others' errors have a lower bound.
#pragma once

#include <quant/quantize/exact_numbers.hpp>
#include <quant/quantize/level_changes.hpp>
#include <quant/quantize/options.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace quant::inline QUANT_ABI {
namespace detail {

/// The best scale so far; `window` tells which levels (and which sign) go with it.
struct best_scale {
    double scale = 0;
    int window = 0;
    double gain = 0; ///< how much error it saves: Σ v·w² − Σ v·(w − s·t)²
};

/// Looks at all scales of a group, interval by interval of their reciprocals.
class scale_sweep {
public:
    scale_sweep(const exact_group& group, const exact_extents& extents, best_scale& best,
                sweep_room* room, const std::atomic<bool>* cancel) noexcept
        : group_(group), extents_(extents), best_(best), room_(room), cancel_(cancel) {}

    /// How much error a positive scale saves with the nearest levels.
    [[nodiscard]] double gain_of(const level_window& levels, double scale) const noexcept {
        double a = 0, q = 0;
        sum_at(levels, 1.0 / scale, a, q);
        return gain_of(scale, a, q);
    }
    void offer(const level_window& levels, double scale, int window) noexcept {
        const double gain = gain_of(levels, scale);
        if (gain > best_.gain) best_ = {scale, window, gain};
    }

    /// Below this scale clipped weights alone cost more than the best scale does. Infinite where
    /// that is so for every scale.
    [[nodiscard]] double least_scale(const level_window& levels) noexcept {
        if (clip_gain_ != best_.gain) measure_clipping();
        double least = 0;
        const double highest = levels.steps[levels.last], lowest = 0.0 - levels.steps[0];
        const auto raise = [&](double reach, double step) {
            if (reach > 0) least = std::max(least, reach / step); // infinite without steps there
        };
        raise(above_, highest);
        raise(below_, lowest);
        return least;
    }
    /// Above this scale no level but zero is nearer to a weight than zero is.
    [[nodiscard]] double greatest_scale(const level_window& levels) const noexcept {
        double least = std::numeric_limits<double>::infinity();
        for (int i = 0; i <= levels.last; ++i) {
            const double step = levels.steps[i] < 0 ? 0.0 - levels.steps[i] : levels.steps[i];
            if (step != 0) least = std::min(least, step);
        }
        return 2 * extents_.most / least;
    }
    /// Where x grows beyond, no level changes any more.
    [[nodiscard]] double last_change(const level_window& levels) const noexcept {
        return std::max(levels.steps[levels.last], 0.0 - levels.steps[0]) / extents_.least;
    }

    /// Looks at all scales 1/to … 1/from, from > 0. False if it was cancelled.
    [[nodiscard]] bool run(const level_window& levels, int window, const number_line& numbers,
                           double from, double to) noexcept {
        numbers_ = numbers;
        window_ = window;
        if (group_.n <= room_->capacity() / static_cast<std::size_t>(levels.last)) {
            sweep(levels, from, to);
            return true;
        }
        struct interval {
            double from, to;
        };
        // Halving one leaves one more; doubles cannot be halved as often as this.
        std::array<interval, 128> waiting;
        std::size_t count = 1;
        waiting[0] = {from, to};
        while (count > 0) {
            if (cancel_ != nullptr && cancel_->load(std::memory_order_relaxed)) return false;
            const interval now = waiting[--count];
            const look seen = look_at(levels, now.from, now.to);
            if (seen.gain <= best_.gain) continue;
            if (seen.changes <= room_->capacity()) {
                sweep(levels, now.from, now.to);
                continue;
            }
            if (now.to - now.from <= now.from * 0x1p-40) { // many weights are alike
                consider_at(levels, now.from);
                consider_at(levels, now.to);
                continue;
            }
            const double middle = now.from + (now.to - now.from) * 0.5;
            waiting[count++] = {middle, now.to};
            waiting[count++] = {now.from, middle};
        }
        return true;
    }

private:
    /// What an interval holds: changes of levels, and no scale that saves more than `gain`.
    struct look {
        std::size_t changes;
        double gain;
    };

    [[nodiscard]] QUANT_DETAIL_INLINE static double gain_of(double scale, double a,
                                                            double q) noexcept {
        const double off = a - simd::rounded_product(scale, q);
        return simd::rounded_product(scale, a + off);
    }

    void sum_at(const level_window& levels, double x, double& a, double& q) const noexcept {
        for (std::size_t i = 0; i < group_.n; ++i) {
            const double w = group_.weight(i), v = group_.factor(i);
            const double t = levels.steps[levels.nearest(simd::rounded_product(w, x))];
            const double vt = simd::rounded_product(v, t);
            a += simd::rounded_product(vt, w);
            q += simd::rounded_product(vt, t);
        }
    }

    /// Takes the number that suits these sums best, if it is better than the best so far.
    QUANT_DETAIL_INLINE void consider(double a, double q) noexcept {
        if (a > 0 && a * a > best_.gain * q) consider_number(a, q);
    }
    QUANT_DETAIL_OUTLINE void consider_number(double a, double q) noexcept {
        const double scale = numbers_.nearest(a / q);
        const double gain = gain_of(scale, a, q);
        if (gain > best_.gain) best_ = {scale, window_, gain};
    }
    void consider_at(const level_window& levels, double x) noexcept {
        double a = 0, q = 0;
        sum_at(levels, x, a, q);
        consider(a, q);
    }

    void sweep(const level_window& levels, double from, double to) noexcept {
        double a = 0, q = 0;
        const std::size_t count = collect(levels, from, to, a, q);
        consider(a, q);
        const level_change* const sorted = room_->sorted(count, from, to);
        for (std::size_t i = 0; i < count; ++i) {
            a += sorted[i].a;
            q += sorted[i].q;
            consider(a, q);
        }
    }
    /// All changes from x = from to x = to, and the sums before the first.
    [[nodiscard]] std::size_t collect(const level_window& levels, double from, double to, double& a,
                                      double& q) noexcept {
        level_change* next = room_->collected();
        for (std::size_t i = 0; i < group_.n; ++i) {
            const double w = group_.weight(i), v = group_.factor(i);
            if (v == 0 || w == 0) {
                const double t = levels.steps[levels.nearest(0.0)];
                q += simd::rounded_product(simd::rounded_product(v, t), t);
                continue;
            }
            int at = levels.nearest(simd::rounded_product(w, from));
            const int end = levels.nearest(simd::rounded_product(w, to));
            double step = levels.steps[at], square = simd::rounded_product(v * step, step);
            const double vw = simd::rounded_product(v, w), inverse = 1.0 / w;
            a += simd::rounded_product(vw, step);
            q += square;
            const int direction = w > 0 ? 1 : -1;
            for (; at != end; at += direction) {
                const double after = levels.steps[at + direction];
                const double square_after = simd::rounded_product(v * after, after);
                const double place = (step + after) * 0.5 * inverse;
                *next++ = {std::min(std::max(place, from), to), vw * (after - step),
                           square_after - square};
                step = after;
                square = square_after;
            }
        }
        return static_cast<std::size_t>(next - room_->collected());
    }

    [[nodiscard]] look look_at(const level_window& levels, double from, double to) const noexcept {
        look seen{0, 0};
        double a = 0, q = 0, open = 0; // open: Σ v·w² of weights whose level changes
        for (std::size_t i = 0; i < group_.n; ++i) {
            const double w = group_.weight(i), v = group_.factor(i);
            const double y = simd::rounded_product(w, from), z = simd::rounded_product(w, to);
            const int at = levels.nearest(y), end = levels.nearest(z);
            const double step = levels.steps[at];
            if (at == end) {
                const double vt = simd::rounded_product(v, step);
                a += simd::rounded_product(vt, w);
                q += simd::rounded_product(vt, step);
                continue;
            }
            seen.changes += static_cast<std::size_t>(end > at ? end - at : at - end);
            open += simd::rounded_product(simd::rounded_product(v, w), w);
            if (end - at == 1 || at - end == 1) {
                // On the way from one level to the next it is that far from both, in steps.
                const double side = w > 0 ? 1.0 : -1.0;
                const double far = std::min((y - step) * side, (levels.steps[end] - z) * side);
                if (far > 0) q += simd::rounded_product(simd::rounded_product(v, far), far);
            }
        }
        // The parabola's greatest value within the interval.
        const double wanted = q > 0 ? a / q : 0.0;
        const double scale = std::min(std::max(wanted, 1.0 / to), 1.0 / from);
        seen.gain = open + gain_of(scale, a, q);
        return seen;
    }

    /// How far levels must reach at least: w − √(E/v) for each weight.
    void measure_clipping() noexcept {
        clip_gain_ = best_.gain;
        above_ = below_ = 0;
        const double energy = extents_.energy;
        const double error = (energy - best_.gain) + energy * 0x1p-40;
        const bool alike = group_.importance == nullptr;
        const double reach = std::sqrt(error);
        for (std::size_t i = 0; i < group_.n; ++i) {
            const double w = group_.weight(i), v = group_.factor(i);
            if (v == 0) continue;
            const double may_miss = alike ? reach : std::sqrt(error / v);
            above_ = std::max(above_, w - may_miss);
            below_ = std::max(below_, (0.0 - w) - may_miss);
        }
    }

    exact_group group_;
    exact_extents extents_;
    best_scale& best_;
    sweep_room* room_;
    const std::atomic<bool>* cancel_;
    number_line numbers_;
    int window_ = 0;
    double clip_gain_ = -1;
    double above_ = 0, below_ = 0;
};

/// The levels of a scheme, of which a group uses a window: one for each zero point, or for each
/// sign of the scale.
template <quantization_scheme S>
struct exact_levels {
    static constexpr bool is_signed = has_signed_scales<typename S::scale_policy>;
    /// Integers: for negative scales their mirror image, for zero points all their places.
    static constexpr bool slides =
        S::is_linear && S::multiplier == 1 && (S::has_zero_point || is_signed);
    static constexpr int windows = !slides ? 1 : S::has_zero_point ? S::max_code + 1 : 2;

    std::array<double, 2 * 256> steps{};
    int count = 0;

    consteval exact_levels() {
        if constexpr (slides) {
            const int least = S::has_zero_point ? -S::max_code : -S::offset;
            for (int i = 0; i < S::max_code + windows; ++i) {
                steps[static_cast<std::size_t>(count++)] = least + i;
            }
        } else {
            for (int u = 0; u <= S::max_code; ++u) {
                if (S::is_level(u)) {
                    steps[static_cast<std::size_t>(count++)] = static_cast<double>(S::step(u));
                }
            }
            std::sort(steps.begin(), steps.begin() + count);
            count =
                static_cast<int>(std::unique(steps.begin(), steps.begin() + count) - steps.begin());
        }
    }
    [[nodiscard]] consteval bool symmetric() const {
        for (int i = 0; i < count; ++i) {
            if (steps[static_cast<std::size_t>(i)] !=
                -steps[static_cast<std::size_t>(count - 1 - i)]) {
                return false;
            }
        }
        return true;
    }
    /// Window z of a scheme with zero points; window 1 is that of negative scales.
    [[nodiscard]] constexpr level_window window(int number) const noexcept {
        if constexpr (slides) {
            const int first = S::has_zero_point ? S::max_code - number : number;
            return {steps.data() + first, S::max_code, 1};
        } else {
            return {steps.data(), count - 1, S::is_linear ? S::multiplier : 0};
        }
    }
};
template <quantization_scheme S>
inline constexpr exact_levels<S> exact_levels_of{};

/// All windows of integer levels. As long as no weight lies beyond the outermost levels they are
/// alike, so only one of them begins at x = 0.
template <quantization_scheme S>
[[nodiscard]] bool sweep_windows(scale_sweep& sweep, const exact_extents& extents,
                                 const number_line& numbers) noexcept {
    constexpr auto& levels = exact_levels_of<S>;
    const auto first_clipping = [&](const level_window& window) {
        double x = std::numeric_limits<double>::infinity();
        if (extents.highest > 0) x = (window.steps[window.last] + 0.5) / extents.highest;
        if (extents.lowest < 0) x = std::min(x, (window.steps[0] - 0.5) / extents.lowest);
        return x;
    };
    int widest = 0;
    for (int i = 1; i < levels.windows; ++i) {
        if (first_clipping(levels.window(i)) > first_clipping(levels.window(widest))) widest = i;
    }
    for (int n = 0; n < levels.windows; ++n) {
        // The widest first: what it finds shortens the others.
        const int i = n == 0 ? widest : n <= widest ? n - 1 : n;
        const level_window window = levels.window(i);
        const double from =
            i == widest ? 1.0 / sweep.greatest_scale(window) : first_clipping(window);
        const double to = std::min(1.0 / sweep.least_scale(window), sweep.last_change(window));
        if (from < to && !sweep.run(window, i, numbers, from, to)) return false;
    }
    return true;
}

/// All scales of a byte, none of which is negative.
template <quantization_scheme S>
void try_byte_scales(scale_sweep& sweep) noexcept {
    constexpr auto& levels = exact_levels_of<S>;
    using number = typename S::scale_type;
    for (int i = 0; i < levels.windows; ++i) {
        const level_window window = levels.window(i);
        const double most = sweep.greatest_scale(window);
        for (int bits = 0; bits < 256; ++bits) {
            const float scale =
                static_cast<float>(number::from_bits(static_cast<std::uint8_t>(bits))) * S::unit;
            const double step = static_cast<double>(scale);
            if (!(step >= 0x1p-126 && step <= most)) continue; // NaN, negative, or not needed
            if (step >= sweep.least_scale(window)) sweep.offer(window, step, i);
        }
    }
}

/// The least squared error of all scales (and zero points) that can be stored, if it is less than
/// that of those given. False if it was cancelled.
template <quantization_scheme S>
[[nodiscard]] bool optimize_scale(const exact_group& group, float& scale_found,
                                  std::int32_t& point_found, sweep_room* room,
                                  const std::atomic<bool>* cancel) noexcept {
    static_assert(!S::is_two_level && !S::has_minimum);
    constexpr auto& levels = exact_levels_of<S>;
    using number = typename S::scale_type;
    const exact_extents extents = exact_extents::of(group);
    if (!extents.usual()) return true;
    exact_group mirrored = group;
    mirrored.sign = -1;
    const double scale = static_cast<double>(scale_found);
    best_scale best;
    bool negative = scale < 0;
    {
        // What is there is the one to beat.
        const bool mirror = negative && !levels.slides;
        scale_sweep sweep(mirror ? mirrored : group, extents, best, room, cancel);
        const int window = S::has_zero_point ? point_found : levels.slides && negative ? 1 : 0;
        if (scale != 0) sweep.offer(levels.window(window), negative ? 0.0 - scale : scale, window);
    }
    const best_scale given = best;
    scale_sweep sweep(group, extents, best, room, cancel);
    if constexpr (sizeof(number) == 1) {
        try_byte_scales<S>(sweep);
        if (best.gain > given.gain) {
            scale_found = static_cast<float>(best.scale);
            point_found = best.window;
        }
        return true;
    } else {
        const auto numbers = number_line::make<number>(S::unit);
        if constexpr (levels.slides) {
            if (!sweep_windows<S>(sweep, extents, numbers)) return false;
            negative = !S::has_zero_point && best.window == 1;
        } else {
            const level_window window = levels.window(0);
            const auto go = [&](scale_sweep& over) {
                const double from = 1.0 / over.greatest_scale(window);
                const double to =
                    std::min(1.0 / over.least_scale(window), over.last_change(window));
                return !(from < to) || over.run(window, 0, numbers, from, to);
            };
            if (!go(sweep)) return false;
            if (best.gain > given.gain) negative = false;
            if constexpr (!levels.symmetric()) {
                const double upright = best.gain;
                scale_sweep other(mirrored, exact_extents::of(mirrored), best, room, cancel);
                if (!go(other)) return false;
                if (best.gain > upright) negative = true;
            }
        }
        if (best.gain > given.gain) {
            const auto size = static_cast<float>(best.scale);
            scale_found = negative ? 0.0f - size : size;
            point_found = best.window;
        }
        return true;
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
