// Row-wise machinery shared by quantize and quantize_packed: fitting scales, errors, progress and
// cancellation.
#pragma once

#include <quant/core/buffer.hpp>
#include <quant/core/executor.hpp>
#include <quant/core/matrix_view.hpp>
#include <quant/core/row_ranges.hpp>
#include <quant/quantize/batch.hpp>
#include <quant/quantize/options.hpp>
#include <quant/quantize/search_two_level.hpp>
#include <quant/simd/rows.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <limits>
#include <mutex>

namespace quant::inline QUANT_ABI {
namespace detail {

template <quantization_scheme S>
[[nodiscard]] result<void> check_options(const quantize_options& options,
                                         std::size_t cols) noexcept {
    constexpr const char* range = "quantize: options.range";
    if (options.range != range_estimator::min_max && options.range != range_estimator::mse) {
        return make_error(errc::invalid_argument, range, "no estimator %d",
                          static_cast<int>(options.range));
    }
    if (options.range == range_estimator::mse && S::group_rows != 1) {
        return error(errc::unsupported, range,
                     "mse needs scales that no two rows share; take min_max");
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

/// Calls f(group, first column, columns) for each group of a row.
template <quantization_scheme S, class F>
QUANT_DETAIL_INLINE void for_each_group(std::size_t cols, F&& f) {
    const std::size_t size = S::group_size(cols);
    std::size_t g = 0;
    for (std::size_t c = 0; c < cols; c += size, ++g) f(g, c, std::min(size, cols - c));
}

/// Collects the lowest row that failed, whatever the order in which rows are tried.
class lowest_row {
public:
    static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

    void report(std::size_t row) noexcept {
        std::size_t seen = row_.load(std::memory_order_relaxed);
        while (row < seen && !row_.compare_exchange_weak(seen, row, std::memory_order_relaxed)) {
        }
    }
    [[nodiscard]] std::size_t get() const noexcept { return row_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::size_t> row_{none};
};

/// Progress and cancellation of one call.
class row_monitor {
public:
    row_monitor(const quantize_options& options, std::size_t rows) noexcept
        : options_(options), rows_(rows) {}

    [[nodiscard]] bool cancelled() const noexcept {
        return options_.cancel != nullptr && options_.cancel->load(std::memory_order_relaxed);
    }
    void finished(std::size_t rows) {
        if (!options_.progress) return;
        const std::lock_guard<std::mutex> one_at_a_time(reporting_);
        done_ += rows;
        options_.progress(done_, rows_);
    }

private:
    const quantize_options& options_;
    std::size_t rows_;
    std::size_t done_ = 0;
    std::mutex reporting_;
};

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

/// quantize_row by squared error, for one level of scales.
template <quantization_scheme S>
[[nodiscard]] result<void>
search_row(const float* weights, const float* importance, std::size_t cols, std::size_t row,
           const row_numbers<S, true>& numbers, std::uint8_t* codes, const char* where) noexcept {
    const std::size_t size = S::group_size(cols);
    constexpr bool in_lanes = S::group_cols != all && S::group_cols <= longest_lane_group;
    constexpr std::size_t together = in_lanes ? 16 : 1;
    constexpr std::size_t own_room = in_lanes ? 2 * 16 * S::group_cols : 16;
    alignas(64) float lanes_room[own_room];
    auto room = buffer<float>::uninitialized(in_lanes ? 0 : 2 * round_up(size, 16), where);
    if (!room) return room.failure();
    float* const memory = in_lanes ? lanes_room : room->data();
    const tile_factors by{1.0f, normalizing_factor(importance, cols)};
    for (std::size_t c = 0, g = 0; c < cols; c += together * size, g += together) {
        const std::size_t n = std::min(together * size, cols - c), groups = div_ceil(n, size);
        const group_extents extents = in_lanes ? measure<S, false>(weights + c, n)
                                               : group_extents::of(range_of(weights + c, n));
        auto stored = fit_min_max<S>(extents);
        if (!extents.finite || !stored.fit) {
            if (auto wrong = what_is_wrong<S>(weights, cols, row, where); !wrong) return wrong;
        }
        search_groups<S>(lay_out(weights + c, importance == nullptr ? nullptr : importance + c, n,
                                 size, !in_lanes, by, memory),
                         stored);
        auto* offsets = S::has_offset ? numbers.offsets + g : nullptr;
        stored.store(numbers.scales + g, offsets, groups);
        group_grids grids;
        grids.set(stored, inverse_of(stored.scale));
        encode_batch<S>(weights + c, n, grids, codes + c);
    }
    return {};
}

/// quantize_row for two levels of scales.
template <quantization_scheme S>
[[nodiscard]] result<void> search_two_levels(const float* weights, const float* importance,
                                             std::size_t cols, std::size_t row,
                                             const row_numbers<S, true>& numbers,
                                             std::uint8_t* codes, const char* where) noexcept {
    constexpr std::size_t size = S::super_groups * S::group_cols;
    two_level_search<S> search;
    for (std::size_t c = 0; c < cols; c += size) {
        const std::size_t n = std::min(size, cols - c);
        const group_range range = range_of(weights + c, n);
        if (!range.finite) return non_finite_element(weights + c, n, row, c, where);
        if (!search.run(weights + c, importance == nullptr ? nullptr : importance + c, n, numbers,
                        c / S::group_cols, codes + c)) {
            return scale_too_large<S>(range, row, c, where);
        }
    }
    return {};
}

/// Quantizes one row that shares its scales with no other. The first group with a weight that is
/// not finite, or with a scale that does not fit, is an error.
template <quantization_scheme S>
[[nodiscard]] result<void> quantize_row(const float* weights, std::size_t cols, std::size_t row,
                                        const row_numbers<S, true>& numbers, std::uint8_t* codes,
                                        const quantize_options& options,
                                        const char* where) noexcept {
    const float* importance = options.importance.empty() ? nullptr : options.importance.data();
    if constexpr (S::is_two_level) {
        return search_two_levels<S>(weights, importance, cols, row, numbers, codes, where);
    } else {
        if (options.range == range_estimator::mse) {
            return search_row<S>(weights, importance, cols, row, numbers, codes, where);
        }
        if (quantize_batches<S>(weights, cols, numbers.scales, numbers.offsets, codes)) return {};
        return what_is_wrong<S>(weights, cols, row, where);
    }
}

/// Writes the codes of one row whose scales are known.
template <quantization_scheme S>
void encode_row(const float* weights, std::size_t cols, const typename S::scale_type* scales,
                const typename S::offset_type* offsets, std::uint8_t* codes) noexcept {
    for_each_batch<S>(cols, [&](std::size_t g, std::size_t groups, std::size_t c, std::size_t n) {
        const auto stored =
            stored_groups<S>::load(scales + g, S::has_offset ? offsets + g : nullptr, groups);
        group_grids grids;
        grids.set(stored, inverse_of(stored.scale));
        encode_batch<S>(weights + c, n, grids, codes + c);
    });
}

/// Fits scales that several rows share: ranges of all rows first, then the rows of each block
/// merged. `scales` and `offsets` hold scale_rows × groups_per_row elements.
template <quantization_scheme S, class T, class E>
[[nodiscard]] result<void> fit_shared(const matrix_view<T>& w, typename S::scale_type* scales,
                                      typename S::offset_type* offsets, E&& run,
                                      const char* where) noexcept {
    const std::size_t groups = S::groups_per_row(w.cols());
    auto ranges = buffer<group_range>::uninitialized(w.rows() * groups, where);
    if (!ranges) return ranges.failure();
    const std::size_t per_task = rows_per_task(w.rows(), w.cols(), concurrency_of(run), 1);
    auto measured = for_each_row_range(
        run, w.rows(), per_task, where, [&](std::size_t first, std::size_t last) -> result<void> {
            auto scratch = buffer<float>::uninitialized(rows_are_floats(w) ? 0 : w.cols(), where);
            if (!scratch) return scratch.failure();
            for (std::size_t r = first; r < last; ++r) {
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
    for (std::size_t r = 0; r < w.rows();) {
        const std::size_t block = S::scale_row(r);
        const std::size_t first = r;
        while (r < w.rows() && S::scale_row(r) == block) ++r;
        for (std::size_t g = 0; g < groups; ++g) {
            group_range range;
            for (std::size_t i = first; i < r; ++i) range.merge(ranges->data()[i * groups + g]);
            const auto stored = fit_min_max<S>(group_extents::of(range));
            if (!stored.fit) {
                return scale_too_large<S>(range, first, g * S::group_size(w.cols()), where);
            }
            const std::size_t at = block * groups + g;
            stored.store(scales + at, S::has_offset ? offsets + at : nullptr, 1);
        }
    }
    return {};
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
