// Options of quantize: which range a group's levels cover, and how the caller follows along.
#pragma once

#include <quant/core/config.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <type_traits>

namespace quant::inline QUANT_VOCABULARY {

/// How the range of a group is found.
enum class range_estimator {
    min_max, ///< the levels just cover the least and the greatest weight
    mse,     ///< little squared error, weighted by importance; see docs/maths.md for what is tried
    percentile,     ///< as min_max of what is left when the rarest weights at the ends are cut off
    entropy,        ///< as min_max of the range with the least Kullback–Leibler divergence
    half_quadratic, ///< min_max, then offsets (else scales) moved as outliers are set aside
    mse_optimal     ///< the least squared error of all numbers that can be stored, proven; slow
};

/// Which level a weight gets, its scale being known.
enum class rounding_mode {
    nearest,    ///< the nearest, ties to even where levels are equally spaced
    stochastic, ///< one of the two around it, at random: the nearer, the likelier; right on average
    error_diffusion ///< the nearest to the weight plus the error of the one before in its row
};

/// Options of quantize and quantize_packed; all have defaults.
struct quantize_options {
    /// Two-level scales are always chosen by their squared error, whatever stands here.
    range_estimator range = range_estimator::min_max;

    /// One factor per column, at least 0 and finite: how much a weight counts. Empty: all alike.
    /// For two-level scales and all estimators but min_max; docs/maths.md says how.
    std::span<const float> importance = {};

    /// Percent of a group's weights (by importance) that range_estimator::percentile keeps: above
    /// 0, up to 100.
    double percentile = 99.9;

    rounding_mode rounding = rounding_mode::nearest;
    /// For stochastic rounding: equal seeds give equal codes, whatever the threads.
    std::uint64_t seed = 0;

    /// Called as progress(rows done, rows in all) from whichever thread finished some rows, never
    /// by two at once, with counts that only grow: up to 64 times, or four times per thread if that
    /// is more; only once if there are few weights. Must not throw.
    std::function<void(std::size_t, std::size_t)> progress = {};

    /// Set it from any thread to stop early: the call then fails with errc::cancelled. Looked at
    /// before each row (packed at once, each 16 of them), and before scales that rows share are
    /// fitted.
    const std::atomic<bool>* cancel = nullptr;
};

namespace core_detail {

/// Stands for quantize_options that nobody gave: of what they would choose from, nothing but the
/// defaults is compiled, in half a second to a second less for each scheme.
struct default_options {};

template <class Options>
inline constexpr bool chooses = std::is_same_v<Options, quantize_options>;

} // namespace core_detail

} // namespace quant::inline QUANT_VOCABULARY
