// Many short repetitions of each case of a family, in turn; the best and the median of them.
#pragma once

#include "limits.hpp"
#include "registry.hpp"

#include <algorithm>
#include <vector>

namespace bench {

struct options {
    double seconds = 0.25;        ///< of each case, at least
    double most_seconds = 1.5;    ///< of each case, if its best two repetitions differ by 2 %
    std::size_t repetitions = 5;  ///< of each case, at least
    double least_seconds = 30e-6; ///< of a repetition: shorter calls are repeated within it
};

struct samples {
    std::vector<double> seconds;

    [[nodiscard]] double best() const {
        return seconds.empty() ? 0 : *std::min_element(seconds.begin(), seconds.end());
    }
    [[nodiscard]] bool best_two_agree() const {
        double best = 1e30, second = 1e30;
        for (const double s : seconds) {
            second = std::min(second, std::max(s, best));
            best = std::min(best, s);
        }
        return second <= 1.02 * best;
    }
    [[nodiscard]] double median() const {
        if (seconds.empty()) return 0;
        std::vector<double> sorted = seconds;
        const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
        std::nth_element(sorted.begin(), middle, sorted.end());
        return *middle;
    }
};

/// What became of a case: rates in units per second; percent of the limit.
struct outcome {
    bool measured = false;
    double best = 0, median = 0;
    double limit = 0;  ///< the lower one, where there are two
    double stream = 0; ///< bytes per second of the family's stream, if it has one
    double percent = 0, percent_median = 0;
    std::size_t repetitions = 0;
};

namespace detail {

[[nodiscard]] inline bool needs_stream(limit against) {
    return against == limit::stream || against == limit::dot_or_stream;
}

/// One case's repetitions so far.
struct progress {
    std::size_t calls = 1; ///< per repetition
    bool warm = false;     ///< called once before each repetition
    bool wall = false;     ///< several threads work: the wall's clock alone sees all of them
    double spent = 0;
    samples taken;

    /// The first call shows how many make a repetition, and counts if it is one by itself.
    void begin(const std::function<void()>& call, const options& wanted) {
        call();
        const double once = seconds_of(call);
        if (once < wanted.least_seconds) {
            calls = static_cast<std::size_t>(wanted.least_seconds / (once + 1e-9)) + 1;
            warm = true;
        } else {
            add(once);
        }
    }
    void repeat(const std::function<void()>& call) {
        if (warm) call(); // its operands back into the nearest cache that holds them
        add(seconds_of([&] {
            for (std::size_t i = 0; i < calls; ++i) call();
        }));
    }
    template <class F>
    [[nodiscard]] double seconds_of(F&& f) const {
        return wall ? limits::wall_seconds_of(f) : limits::seconds_of(f);
    }
    void add(double seconds) {
        taken.seconds.push_back(seconds / static_cast<double>(calls));
        spent += seconds;
    }
    /// On a busy machine the best repetition is only worth something if it was not the only one.
    [[nodiscard]] bool done(const options& wanted) const {
        if (spent < wanted.seconds || taken.seconds.size() < wanted.repetitions) return false;
        return spent >= wanted.most_seconds || taken.best_two_agree();
    }
};

/// A repetition of what the case is compared with, so that it sees the same moment of the machine.
inline void run_limit(limit against, const prepared& operands, samples& stream) {
    if (needs_stream(against)) stream.seconds.push_back(limits::read(operands.stream));
    switch (against) {
    case limit::dot_product:
    case limit::dot_or_stream: limits::run(limits::peak::dot_product); break;
    case limit::bf16_dot_product: limits::run(limits::peak::bf16_dot_product); break;
    case limit::multiply_add: limits::run(limits::peak::multiply_add); break;
    case limit::l2_read: limits::l2_read(); break;
    default: break;
    }
}

/// The rate of the limit, and of the case's median where the two are compared by medians.
inline double limit_rate(const one_case& c, const outcome& own) {
    switch (c.against) {
    case limit::dot_product: return limits::best(limits::peak::dot_product);
    case limit::bf16_dot_product: return limits::best(limits::peak::bf16_dot_product);
    case limit::multiply_add: return limits::best(limits::peak::multiply_add);
    case limit::stream: return own.stream;
    case limit::dot_or_stream:
        return std::min(limits::best(limits::peak::dot_product), own.stream * c.work_per_byte);
    case limit::l2_read: return limits::l2_read();
    case limit::absolute: return 1e9; // percent are then units
    default: return 0;
    }
}

/// By how many percent the time per token rises at worst from one case to the next.
inline double worst_rise(const std::vector<one_case>& cases, const std::vector<outcome>& all,
                         double outcome::* rate) {
    double worst = -100, before = 0;
    for (std::size_t i = 0; i < cases.size(); ++i) {
        if (!all[i].measured || cases[i].work == 0) continue;
        const double per_token = cases[i].work / cases[i].tokens / (all[i].*rate);
        if (before > 0) worst = std::max(worst, 100 * (per_token / before - 1));
        before = per_token;
    }
    return worst;
}

inline void compare(const std::vector<one_case>& cases, std::vector<outcome>& all) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
        outcome& own = all[i];
        const limit against = cases[i].against;
        if (against == limit::rise) {
            own.measured = true;
            own.percent = worst_rise(cases, all, &outcome::best);
            own.percent_median = worst_rise(cases, all, &outcome::median);
        } else if (against == limit::other_case && own.measured) {
            const outcome& other = all[cases[i].other];
            own.limit = other.best;
            own.percent = 100 * own.best / other.best;
            own.percent_median = 100 * own.median / other.median;
        } else if (own.measured && limit_rate(cases[i], own) > 0) {
            own.limit = limit_rate(cases[i], own);
            const double unit = against == limit::absolute ? 1 : 100;
            own.percent = unit * own.best / own.limit;
            own.percent_median = unit * own.median / own.limit;
        }
    }
}

} // namespace detail

/// Measures all cases of a family that this machine can run.
inline std::vector<outcome> measure(const family& what, const options& wanted) {
    std::vector<outcome> all(what.cases.size());
    std::vector<detail::progress> runs(what.cases.size());
    samples stream;
    const prepared operands = what.prepare();
    const auto callable = [&](std::size_t i) {
        return i < operands.calls.size() && operands.calls[i] &&
               what.cases[i].cores <= limits::usable_cores();
    };
    const bool wall = std::any_of(what.cases.begin(), what.cases.end(),
                                  [](const one_case& c) { return c.cores > 1; });
    for (std::size_t i = 0; i < all.size(); ++i) {
        runs[i].wall = wall;
        runs[i].warm = what.cases[i].warm;
        if (callable(i)) runs[i].begin(operands.calls[i], wanted);
    }
    for (bool busy = true; busy;) {
        busy = false;
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (!callable(i) || runs[i].done(wanted)) continue;
            busy = true;
            runs[i].repeat(operands.calls[i]);
            detail::run_limit(what.cases[i].against, operands, stream);
        }
    }
    const auto bytes = static_cast<double>(operands.stream.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
        outcome& own = all[i];
        own.measured = callable(i) || what.cases[i].figure;
        if (what.cases[i].figure) own.best = own.median = what.cases[i].figure();
        if (!callable(i)) continue;
        own.best = what.cases[i].work / runs[i].taken.best();
        own.median = what.cases[i].work / runs[i].taken.median();
        own.repetitions = runs[i].taken.seconds.size();
        if (bytes > 0) own.stream = bytes / stream.best();
    }
    detail::compare(what.cases, all);
    return all;
}

} // namespace bench
