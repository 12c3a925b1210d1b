// Row-wise machinery shared by quantize and quantize_packed: fitting scales, errors, progress and
// cancellation.
#pragma once

#include <quant/core/buffer.hpp>
#include <quant/core/matrix_view.hpp>
#include <quant/core/mutex.hpp>
#include <quant/core/row_ranges.hpp>
#include <quant/core/run_tasks.hpp>
#include <quant/quantize/batch.hpp>
#include <quant/quantize/estimate.hpp>
#include <quant/quantize/options.hpp>
#include <quant/quantize/rounding.hpp>
#include <quant/quantize/search_two_level.hpp>
#include <quant/simd/rows.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>

namespace quant::inline QUANT_ABI {
namespace detail {

[[nodiscard]] inline result<void> check_options(const quantize_options& options,
                                                std::size_t cols) noexcept {
    constexpr const char* range = "quantize: options.range";
    if (options.range < range_estimator::min_max || options.range > range_estimator::mse_optimal) {
        return make_error(errc::invalid_argument, range, "no estimator %d",
                          static_cast<int>(options.range));
    }
    if (options.rounding < rounding_mode::nearest ||
        options.rounding > rounding_mode::error_diffusion) {
        return make_error(errc::invalid_argument, "quantize: options.rounding", "no rounding %d",
                          static_cast<int>(options.rounding));
    }
    if (!(options.percentile > 0 && options.percentile <= 100)) {
        return make_error(errc::invalid_argument, "quantize: options.percentile",
                          "%g is not above 0 and at most 100", options.percentile);
    }
    if (options.importance.empty()) return {};
    constexpr const char* importance = "quantize: options.importance";
    if (options.importance.data() == nullptr) {
        return error(errc::null_data, importance, "null pointer");
    }
    if (options.importance.size() != cols) {
        return make_error(errc::shape_mismatch, importance, "%zu factors for %zu columns",
                          options.importance.size(), cols);
    }
    for (std::size_t c = 0; c < cols; ++c) {
        const float factor = options.importance[c];
        if (factor >= 0 && std::isfinite(factor)) continue;
        return make_error(errc::invalid_argument, importance,
                          "%g at column %zu: factors are finite and not negative",
                          static_cast<double>(factor), c);
    }
    return {};
}

[[nodiscard]] inline result<void> check_options(default_options, std::size_t) noexcept {
    return {};
}

/// Calls f(group, first column, columns) for each group of a row.
template <quantization_scheme S, class F>
QUANT_DETAIL_INLINE void for_each_group(std::size_t cols, F&& f) {
    const std::size_t size = S::group_size(cols);
    std::size_t g = 0;
    for (std::size_t c = 0; c < cols; c += size, ++g) f(g, c, std::min(size, cols - c));
}

/// Progress and cancellation of one call.
template <class Options>
class row_monitor {
public:
    row_monitor(const quantize_options& options, std::size_t rows) noexcept
        : options_(options), rows_(rows) {}

    [[nodiscard]] bool cancelled() const noexcept {
        return options_.cancel != nullptr && options_.cancel->load(std::memory_order_relaxed);
    }
    /// That of an executor; more where somebody watches, so that one thread reports on its way,
    /// too.
    [[nodiscard]] std::size_t concurrency(const executor_ref& run) const noexcept {
        constexpr std::size_t worth_watching = 16;
        const std::size_t own = run.concurrency();
        return options_.progress ? std::max(own, worth_watching) : own;
    }
    void finished(std::size_t rows) {
        if (!options_.progress) return;
        const mutex_guard one_at_a_time(reporting_);
        done_ += rows;
        options_.progress(done_, rows_);
    }

private:
    const quantize_options& options_;
    std::size_t rows_;
    std::size_t done_ = 0;
    mutex reporting_;
};
template <>
class row_monitor<default_options> {
public:
    row_monitor(default_options, std::size_t) noexcept {}

    [[nodiscard]] static constexpr bool cancelled() noexcept { return false; }
    [[nodiscard]] static std::size_t concurrency(const executor_ref& run) noexcept {
        return run.concurrency();
    }
    static constexpr void finished(std::size_t) noexcept {}
};

[[nodiscard]] inline error stopped_by_caller(const char* where) noexcept {
    return error(errc::cancelled, where, "stopped by the caller");
}

/// The factors of the columns, or null where all count alike, which is faster.
[[nodiscard]] inline const float* importance_of(const quantize_options& options) noexcept {
    const auto& of = options.importance;
    const bool differ =
        std::adjacent_find(of.begin(), of.end(), std::not_equal_to<float>{}) != of.end();
    return differ || (!of.empty() && of.front() == 0) ? of.data() : nullptr;
}
[[nodiscard]] constexpr const float* importance_of(default_options) noexcept { return nullptr; }

template <quantization_scheme S>
[[nodiscard]] error scale_too_large(const group_range& range, std::size_t row, std::size_t col,
                                    const char* where) noexcept {
    return make_error(errc::scale_overflow, where,
                      "the group at row %zu, column %zu spans %g to %g, too much for its scale's "
                      "type",
                      row, col, static_cast<double>(range.lowest),
                      static_cast<double>(range.highest));
}

/// Names the first group with a weight that is not finite, or with a scale that does not fit;
/// nothing if there is none.
template <quantization_scheme S>
[[nodiscard]] result<void> what_is_wrong(const float* weights, std::size_t cols, std::size_t row,
                                         const char* where) noexcept {
    const std::size_t size = S::group_size(cols);
    for (std::size_t c = 0; c < cols; c += size) {
        const std::size_t n = std::min(size, cols - c);
        const group_range range = range_of(weights + c, n);
        if (!range.finite) return non_finite_element(weights + c, n, row, c, where);
        if (!fit_min_max<S>(group_extents::of(range)).fit) {
            return scale_too_large<S>(range, row, c, where);
        }
    }
    return {};
}

/// Scales and offsets of a row's groups by any estimator, for one level of scales.
template <quantization_scheme S>
[[nodiscard]] result<void> fit_row(const float* weights, std::size_t cols, std::size_t row,
                                   const row_numbers<S, true>& numbers,
                                   const quantize_options& options, const char* where) noexcept {
    const float* importance = importance_of(options);
    const std::size_t size = S::group_size(cols);
    const std::size_t together = size <= longest_lane_group ? 16 : 1;
    auto room = estimate_room::make(size, estimated_codes_of<S>, options, where);
    if (!room) return room.failure();
    for (std::size_t c = 0, g = 0; c < cols; c += together * size, g += together) {
        const std::size_t n = std::min(together * size, cols - c), groups = div_ceil(n, size);
        const group_extents extents = together == 16 ? measure<S, false>(weights + c, n)
                                                     : group_extents::of(range_of(weights + c, n));
        auto stored = fit_min_max<S>(extents);
        if (!extents.finite || !stored.fit) {
            if (auto wrong = what_is_wrong<S>(weights, cols, row, where); !wrong) return wrong;
        }
        if (auto done =
                estimate_groups<S>(weights + c, importance == nullptr ? nullptr : importance + c, n,
                                   size, extents, options, *room, stored);
            !done) {
            return done;
        }
        stored.store(numbers.scales + g, S::has_offset ? numbers.offsets + g : nullptr, groups);
    }
    return {};
}

/// The same for two levels of scales.
template <quantization_scheme S, class Options>
[[nodiscard]] result<void>
fit_row_of_two_levels(const float* weights, std::size_t cols, std::size_t row,
                      const row_numbers<S, true>& numbers, const Options& options,
                      const char* where) noexcept {
    const float* importance = importance_of(options);
    constexpr std::size_t size = S::super_groups * S::group_cols;
    two_level_search<S> search;
    for (std::size_t c = 0; c < cols; c += size) {
        const std::size_t n = std::min(size, cols - c);
        const group_range range = range_of(weights + c, n);
        if (!range.finite) return non_finite_element(weights + c, n, row, c, where);
        if (!search.run(weights + c, importance == nullptr ? nullptr : importance + c, n,
                        std::max(range.highest, -range.lowest), numbers, c / S::group_cols)) {
            return scale_too_large<S>(range, row, c, where);
        }
    }
    return {};
}

/// Writes the codes of one row whose scales are known.
template <quantization_scheme S, class Options>
void encode_row(const float* weights, std::size_t cols, [[maybe_unused]] std::size_t row,
                const row_numbers<S, false>& numbers, std::uint8_t* codes,
                [[maybe_unused]] const Options& options) noexcept {
    if constexpr (chooses<Options>) {
        if (options.rounding != rounding_mode::nearest) {
            return round_row<S>(weights, cols, row, numbers, codes, options);
        }
    }
    for_each_batch<S>(cols, [&](std::size_t g, std::size_t groups, std::size_t c, std::size_t n) {
        const auto stored = stored_groups<S>::load(numbers, g, groups);
        group_grids grids;
        grids.set(stored, inverse_of(stored.scale));
        encode_batch<S>(weights + c, n, grids, codes + c);
    });
}

/// Quantizes one row that shares its scales with no other. The first group with a weight that is
/// not finite, or with a scale that does not fit, is an error.
template <quantization_scheme S, class Options>
[[nodiscard]] result<void> quantize_row(const float* weights, std::size_t cols, std::size_t row,
                                        const row_numbers<S, true>& numbers, std::uint8_t* codes,
                                        const Options& options, const char* where) noexcept {
    if constexpr (S::is_two_level) {
        auto fitted = fit_row_of_two_levels<S>(weights, cols, row, numbers, options, where);
        if (fitted) encode_row<S>(weights, cols, row, numbers, codes, options);
        return fitted;
    } else {
        if constexpr (chooses<Options>) {
            if (options.range != range_estimator::min_max ||
                options.rounding != rounding_mode::nearest) {
                auto fitted = fit_row<S>(weights, cols, row, numbers, options, where);
                if (fitted) encode_row<S>(weights, cols, row, numbers, codes, options);
                return fitted;
            }
        }
        // The usual case fits and encodes in one go.
        if (quantize_batches<S>(weights, cols, numbers.scales, numbers.offsets, codes)) return {};
        return what_is_wrong<S>(weights, cols, row, where);
    }
}

/// Groups that rows first … last − 1 share, for estimators that look at all weights: gathers the
/// rows' parts side by side.
template <quantization_scheme S, class T, class Options>
class shared_groups {
public:
    shared_groups(const matrix_view<T>& w, std::size_t first, std::size_t last,
                  const quantize_options& options) noexcept
        : w_(w), first_(first), last_(last), options_(options),
          importance_(importance_of(options)) {}

    [[nodiscard]] result<void> prepare(const char* where) noexcept {
        if (options_.range == range_estimator::min_max) return {};
        const auto longest = checked_mul(last_ - first_, S::group_size(w_.cols()));
        if (!longest) return error(errc::size_overflow, where, "weights that share a scale");
        auto numbers = buffer<float>::uninitialized(2 * *longest, where);
        if (!numbers) return numbers.failure();
        auto row = buffer<float>::uninitialized(w_.cols(), where);
        if (!row) return row.failure();
        auto room = estimate_room::make(*longest, estimated_codes_of<S>, options_, where);
        if (!room) return room.failure();
        numbers_ = std::move(*numbers);
        row_ = std::move(*row);
        room_ = std::move(*room);
        return {};
    }

    /// Improves what the min-max rule gave to group g.
    [[nodiscard]] result<void> estimate(std::size_t g, const group_extents& extents,
                                        stored_groups<S>& stored) noexcept {
        if (options_.range == range_estimator::min_max) return {};
        const std::size_t size = S::group_size(w_.cols()), c = g * size;
        const std::size_t width = std::min(size, w_.cols() - c);
        const std::size_t n = (last_ - first_) * width;
        float* weights = numbers_.data();
        float* importance = importance_ == nullptr ? nullptr : weights + n;
        for (std::size_t r = first_; r < last_; ++r) {
            const std::size_t at = (r - first_) * width;
            const float* row = row_as_floats(w_, r, row_.data());
            std::memcpy(weights + at, row + c, width * sizeof(float));
            if (importance != nullptr) {
                std::memcpy(importance + at, importance_ + c, width * sizeof(float));
            }
        }
        return estimate_groups<S>(weights, importance, n, n, extents, options_, room_, stored);
    }

private:
    const matrix_view<T>& w_;
    std::size_t first_, last_;
    const quantize_options& options_;
    const float* importance_; ///< of the columns, null where all count alike
    buffer<float> numbers_, row_;
    estimate_room room_;
};

template <quantization_scheme S, class T>
class shared_groups<S, T, default_options> {
public:
    shared_groups(const matrix_view<T>&, std::size_t, std::size_t, default_options) noexcept {}

    [[nodiscard]] static result<void> prepare(const char*) noexcept { return {}; }
    [[nodiscard]] static result<void> estimate(std::size_t, const group_extents&,
                                               stored_groups<S>&) noexcept {
        return {};
    }
};

/// Fits scales that several rows share: ranges of all rows first, then the rows of each block
/// merged. `scales` and `offsets` hold scale_rows × groups_per_row elements.
template <quantization_scheme S, class T, class Options>
[[nodiscard]] result<void> fit_shared(const matrix_view<T>& w, typename S::scale_type* scales,
                                      typename S::offset_type* offsets, const Options& options,
                                      const row_monitor<Options>& monitor, const executor_ref& run,
                                      const char* where) noexcept {
    const std::size_t groups = S::groups_per_row(w.cols());
    auto ranges = buffer<group_range>::uninitialized(w.rows() * groups, where);
    if (!ranges) return ranges.failure();
    const std::size_t per_task = rows_per_task(w.rows(), w.cols(), run.concurrency(), 1);
    auto measured = for_each_row_range(
        run, w.rows(), per_task, where, [&](std::size_t first, std::size_t last) -> result<void> {
            auto scratch = buffer<float>::uninitialized(rows_are_floats(w) ? 0 : w.cols(), where);
            if (!scratch) return scratch.failure();
            for (std::size_t r = first; r < last; ++r) {
                if (monitor.cancelled()) return stopped_by_caller(where);
                const float* row = row_as_floats(w, r, scratch->data());
                const float* bad = nullptr;
                std::size_t bad_col = 0, bad_n = 0;
                for_each_group<S>(w.cols(), [&](std::size_t g, std::size_t c, std::size_t n) {
                    const group_range range = range_of(row + c, n);
                    ranges->data()[r * groups + g] = range;
                    if (!range.finite && bad == nullptr) {
                        bad = row + c;
                        bad_col = c;
                        bad_n = n;
                    }
                });
                if (bad != nullptr) return non_finite_element(bad, bad_n, r, bad_col, where);
            }
            return {};
        });
    if (!measured) return measured;
    // Each row of scales for itself: its rows merged, then whatever the estimator makes of them.
    return for_each_row_range(
        run, S::scale_rows(w.rows()), 1, where,
        [&](std::size_t block, std::size_t) -> result<void> {
            const std::size_t first = S::group_rows == all ? 0 : block * S::group_rows;
            const std::size_t last =
                S::group_rows == all ? w.rows() : std::min(first + S::group_rows, w.rows());
            shared_groups<S, T, Options> shared(w, first, last, options);
            if (auto ready = shared.prepare(where); !ready) return ready;
            for (std::size_t g = 0; g < groups; ++g) {
                if (monitor.cancelled()) return stopped_by_caller(where);
                group_range range;
                for (std::size_t i = first; i < last; ++i) {
                    range.merge(ranges->data()[i * groups + g]);
                }
                const group_extents extents = group_extents::of(range);
                auto stored = fit_min_max<S>(extents);
                if (!stored.fit) {
                    return scale_too_large<S>(range, first, g * S::group_size(w.cols()), where);
                }
                if (auto done = shared.estimate(g, extents, stored); !done) return done;
                const std::size_t at = block * groups + g;
                stored.store(scales + at, S::has_offset ? offsets + at : nullptr, 1);
            }
            return {};
        });
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
