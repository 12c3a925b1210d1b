// Options of quantize: which range a group's levels cover, and how the caller follows along.
#pragma once

#include <quant/core/config.hpp>

#include <atomic>
#include <cstddef>
#include <functional>
#include <span>

namespace quant::inline QUANT_VOCABULARY {

/// How the range of a group is found.
enum class range_estimator {
    min_max, ///< the levels just cover the least and the greatest weight
    mse      ///< least squared error, weighted by importance; see docs/maths.md for what is tried
};

/// Options of quantize and quantize_packed; all have defaults.
struct quantize_options {
    /// Two-level scales are always chosen by their squared error, whatever stands here.
    range_estimator range = range_estimator::min_max;

    /// One factor per column, at least 0 and finite: how much a weight's squared error counts.
    /// Empty: all alike. For mse and two-level scales.
    std::span<const float> importance = {};

    /// Called as progress(rows done, rows in all) from whichever thread finished some rows, never
    /// by two at once, with counts that only grow. Must not throw.
    std::function<void(std::size_t, std::size_t)> progress = {};

    /// Set it from any thread to stop early: the call then fails with errc::cancelled.
    const std::atomic<bool>* cancel = nullptr;
};

} // namespace quant::inline QUANT_VOCABULARY
