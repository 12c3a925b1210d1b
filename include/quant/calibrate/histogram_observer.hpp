// Histograms of activations, from which clipped ranges are found.
#pragma once

#include <quant/calibrate/histogram.hpp>
#include <quant/calibrate/observer.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

namespace quant::inline QUANT_ABI {

/// Observes a histogram of activations, of whole batches or of each column. Move only.
///
/// Bins are as wide as the least power of two with which the numbers fit into `bins` of them, and
/// begin at multiples of it: less than 2·(greatest − least) / (bins − 1), but no less than
/// 2^(⌊log₂ max|x|⌋ − 22), about the spacing of floats of that size. When the range grows, pairs of
/// bins become one. That loses nothing beyond the width itself: counts are those of one pass over
/// all numbers with the final bins, whatever the order of batches and merges, and no number is
/// lost. Every number is known to within the width.
///
/// May be used by one thread at a time; observers of several threads merge. A failed call changes
/// nothing.
/// Memory: 8 bytes per bin and channel.
class histogram_observer : public detail::observer_base<histogram_observer> {
public:
    static constexpr std::size_t default_bins = 2048;
    static constexpr std::size_t most_bins = 1 << 16;

    /// One histogram for all columns. Errors: invalid_argument unless 2 ≤ bins ≤ most_bins,
    /// out_of_memory.
    [[nodiscard]] static result<histogram_observer>
    try_per_tensor(std::size_t bins = default_bins) noexcept {
        return try_make(false, 1, bins);
    }
    /// A histogram for each of `columns` ≥ 1 columns. Errors: empty, size_overflow,
    /// invalid_argument unless 2 ≤ bins ≤ most_bins, out_of_memory.
    [[nodiscard]] static result<histogram_observer>
    try_per_channel(std::size_t columns, std::size_t bins = default_bins) noexcept {
        return try_make(true, columns, bins);
    }
#if QUANT_HAS_EXCEPTIONS
    /// As try_per_tensor. @throws quant::error
    [[nodiscard]] static histogram_observer per_tensor(std::size_t bins = default_bins) {
        return try_per_tensor(bins).value();
    }
    /// As try_per_channel. @throws quant::error
    [[nodiscard]] static histogram_observer per_channel(std::size_t columns,
                                                        std::size_t bins = default_bins) {
        return try_per_channel(columns, bins).value();
    }
    /// As try_histogram. @throws quant::error
    [[nodiscard]] histogram_view histogram(std::size_t channel = 0) const {
        return try_histogram(channel).value();
    }
#endif

    /// The most bins that a histogram may have.
    [[nodiscard]] std::size_t bins() const noexcept { return bins_; }
    /// Numbers observed so far in each channel.
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

    /// Observes x, as min_max_observer::try_observe does; the same errors. Complexity: two passes.
    template <real_element T>
    [[nodiscard]] result<void> try_observe(matrix_view<T> x) noexcept {
        constexpr const char* where = "observe: x";
        if (auto valid = check_batch(x, where); !valid) return valid;
        const std::uint64_t more = per_channel_ ? x.rows() : x.rows() * x.cols();
        if (auto valid = check_count(more, where); !valid) return valid;
        // Rows are read for one histogram of all columns; channels are counted by columns.
        const std::size_t width = per_channel_ || detail::rows_are_floats(x) ? 0 : x.cols();
        auto scratch = detail::buffer<float>::uninitialized(width, where);
        if (!scratch) return scratch.failure();
        auto batch = detail::channel_extremes::of(x, per_channel_, where);
        if (!batch) return batch.failure();
        for (std::size_t c = 0; c < channels_; ++c) grow(c, (*batch)[c]);
        if (per_channel_) {
            count_columns(x);
        } else {
            count_rows(x, scratch->data());
        }
        tokens_ += x.rows();
        count_ += more;
        return {};
    }

    /// As if this had observed what `other` did, too: exactly, and in any order. Errors:
    /// shape_mismatch, invalid_argument for another number of bins, size_overflow.
    [[nodiscard]] result<void> try_merge(const histogram_observer& other) noexcept {
        constexpr const char* where = "merge: other";
        if (auto valid = check_other(other, where); !valid) return valid;
        if (other.bins_ != bins_) {
            return detail::make_error(errc::invalid_argument, where,
                                      "%zu bins, the observer has %zu", other.bins_.value,
                                      bins_.value);
        }
        if (auto valid = check_count(other.count_, where); !valid) return valid;
        if (other.tokens_ == 0) return {};
        for (std::size_t c = 0; c < channels_; ++c) {
            grow(c, other.extremes_[c]);
            detail::add_counts(other.used_counts(c), other.grids_.data()[c].bins, counts_of(c),
                               grids_.data()[c].bins);
        }
        tokens_ += other.tokens_;
        count_ += other.count_;
        return {};
    }

    /// Least and greatest activation of a channel, exactly. Errors: invalid_argument, empty if
    /// there was none.
    [[nodiscard]] result<value_range> try_range(std::size_t channel = 0) const noexcept {
        if (auto valid = check_channel(channel, "range"); !valid) return valid.failure();
        return extremes_[channel];
    }

    /// A channel's histogram, for percentile_range, mse_range and entropy_range; valid until the
    /// observer changes. Errors: invalid_argument, empty if nothing was observed.
    [[nodiscard]] result<histogram_view> try_histogram(std::size_t channel = 0) const noexcept {
        if (auto valid = check_channel(channel, "histogram"); !valid) return valid.failure();
        const detail::bin_grid& bins = grids_.data()[channel].bins;
        return histogram_view{extremes_[channel], bins.exponent, bins.first, used_counts(channel)};
    }

    /// Bytes that try_serialize writes.
    [[nodiscard]] std::size_t serialized_size() const noexcept {
        return detail::observer_header::size + channels_ * channel_bytes(bins_);
    }
    /// As min_max_observer::try_serialize.
    [[nodiscard]] result<void> try_serialize(std::span<std::byte> bytes) const noexcept {
        if (auto valid = check_room(bytes.size(), "serialize: bytes"); !valid) return valid;
        auto written = header(detail::observer_kind::histogram);
        written.bins = static_cast<std::uint32_t>(bins_);
        written.count = count_;
        written.write(bytes.data());
        std::byte* to = bytes.data() + detail::observer_header::size;
        for (std::size_t c = 0; c < channels_; ++c) {
            detail::store_le(to, extremes_[c].lowest);
            detail::store_le(to + sizeof(float), extremes_[c].highest);
            to += 2 * sizeof(float);
            for (std::size_t i = 0; i < bins_; ++i, to += sizeof(std::uint64_t)) {
                detail::store_le(to, counts_of(c)[i]);
            }
        }
        return {};
    }
    /// As min_max_observer::try_deserialize.
    [[nodiscard]] static result<histogram_observer>
    try_deserialize(std::span<const std::byte> bytes) noexcept {
        constexpr const char* where = "deserialize: histogram observer";
        const auto read =
            detail::observer_header::read(bytes, detail::observer_kind::histogram, where);
        if (!read) return read.failure();
        if (!is_bins(read->bins) || !(read->momentum == 0) ||
            (read->count == 0) != (read->tokens == 0) ||
            (read->per_channel ? read->count != read->tokens : read->count < read->tokens)) {
            return error(errc::bad_format, where, "a header with what no such observer has");
        }
        auto fits = read->check_size(bytes.size(), channel_bytes(read->bins), where);
        if (!fits) return fits.failure();
        auto made =
            try_make(read->per_channel, static_cast<std::size_t>(read->channels), read->bins);
        if (!made) return made;
        made->tokens_ = read->tokens;
        made->count_ = read->count;
        const std::byte* from = bytes.data() + detail::observer_header::size;
        for (std::size_t c = 0; c < made->channels_; ++c, from += channel_bytes(read->bins)) {
            if (!made->read_channel(c, from)) {
                return detail::make_error(errc::bad_format, where, "channel %zu is no histogram",
                                          c);
            }
        }
        return made;
    }

private:
    struct channel_grid {
        detail::bin_grid bins;
        double inverse_width;
    };

    histogram_observer(bool per_channel, std::size_t bins, detail::channel_extremes extremes,
                       detail::buffer<channel_grid> grids,
                       detail::buffer<std::uint64_t> counts) noexcept
        : observer_base(per_channel, extremes.channels()), bins_(bins),
          extremes_(std::move(extremes)), grids_(std::move(grids)), counts_(std::move(counts)) {}

    [[nodiscard]] static bool is_bins(std::size_t bins) noexcept {
        return bins >= 2 && bins <= most_bins;
    }
    [[nodiscard]] static std::size_t channel_bytes(std::size_t bins) noexcept {
        return 2 * sizeof(float) + bins * sizeof(std::uint64_t);
    }
    [[nodiscard]] static result<histogram_observer> try_make(bool per_channel, std::size_t channels,
                                                             std::size_t bins) noexcept {
        constexpr const char* where = "histogram_observer";
        if (channels == 0) return error(errc::empty, where, "no columns");
        if (!is_bins(bins)) {
            return detail::make_error(errc::invalid_argument, where, "%zu bins, not 2 to %zu", bins,
                                      most_bins);
        }
        // The last `bins` are room to move counts in.
        const auto all_bins = detail::checked_mul(detail::checked_add(channels, 1), bins);
        if (!detail::checked_add(detail::checked_mul(channels, channel_bytes(bins)),
                                 detail::observer_header::size) ||
            !all_bins) {
            return detail::make_error(errc::size_overflow, where, "%zu channels", channels);
        }
        auto extremes = detail::channel_extremes::make(channels, where);
        if (!extremes) return extremes.failure();
        auto grids = detail::buffer<channel_grid>::zeroed(channels, where);
        if (!grids) return grids.failure();
        auto counts = detail::buffer<std::uint64_t>::zeroed(*all_bins, where);
        if (!counts) return counts.failure();
        return histogram_observer(per_channel, bins, *std::move(extremes), *std::move(grids),
                                  *std::move(counts));
    }

    [[nodiscard]] result<void> check_count(std::uint64_t more, const char* where) const noexcept {
        if (detail::add_fits(count_, more)) return {};
        return error(errc::size_overflow, where, "more than 2^64 numbers");
    }

    [[nodiscard]] std::uint64_t* counts_of(std::size_t channel) noexcept {
        return counts_.data() + channel * bins_;
    }
    [[nodiscard]] const std::uint64_t* counts_of(std::size_t channel) const noexcept {
        return counts_.data() + channel * bins_;
    }
    /// From the bin of the least number to that of the greatest.
    [[nodiscard]] std::span<const std::uint64_t> used_counts(std::size_t channel) const noexcept {
        const channel_grid& grid = grids_.data()[channel];
        const auto last = detail::bin_of(extremes_[channel].highest, grid.inverse_width);
        return {counts_of(channel), static_cast<std::size_t>(last - grid.bins.first) + 1};
    }
    void set_grid(std::size_t channel, const detail::bin_grid& bins) noexcept {
        grids_.data()[channel] = {bins, std::ldexp(1.0, -bins.exponent)};
    }

    /// Makes a channel's bins hold another range, too.
    void grow(std::size_t channel, const value_range& range) noexcept {
        if (tokens_ == 0) {
            extremes_.set(channel, range);
            set_grid(channel, detail::grid_of(range, bins_));
            return;
        }
        const auto old_counts = used_counts(channel);
        const detail::bin_grid old = grids_.data()[channel].bins;
        extremes_.include(channel, range);
        const detail::bin_grid grown = detail::grid_of(extremes_[channel], bins_);
        if (grown == old) return;
        std::uint64_t* const moved = counts_of(channels_);
        std::memset(moved, 0, bins_ * sizeof(std::uint64_t));
        detail::add_counts(old_counts, old, moved, grown);
        std::memcpy(counts_of(channel), moved, bins_ * sizeof(std::uint64_t));
        set_grid(channel, grown);
    }

    static void count_number(const channel_grid& grid, std::uint64_t* counts, float x) noexcept {
        ++counts[detail::bin_of(x, grid.inverse_width) - grid.bins.first];
    }
    template <class T>
    void count_rows(const matrix_view<T>& x, float* scratch) noexcept {
        const channel_grid grid = grids_.data()[0];
        std::uint64_t* const counts = counts_of(0);
        for (std::size_t r = 0; r < x.rows(); ++r) {
            const float* row = detail::row_as_floats(x, r, scratch);
            for (std::size_t c = 0; c < x.cols(); ++c) {
                count_number(grid, counts, detail::load_element(row + c));
            }
        }
    }
    /// Some rows of a cache line's columns at a time, in a copy that is counted column by column:
    /// the counts of one column fit the nearest cache, those of all do not.
    template <class T>
    void count_columns(const matrix_view<T>& x) noexcept {
        constexpr std::size_t most_rows = 64, most_cols = 16;
        float copy[most_cols][most_rows];
        for (std::size_t c = 0; c < x.cols(); c += most_cols) {
            const std::size_t cols = std::min(most_cols, x.cols() - c);
            for (std::size_t r = 0; r < x.rows(); r += most_rows) {
                const std::size_t rows = std::min(most_rows, x.rows() - r);
                for (std::size_t i = 0; i < rows; ++i) {
                    const auto* from = x.row(r + i) + c * x.col_stride();
                    for (std::size_t j = 0; j < cols; ++j) {
                        const auto value = detail::load_element(from + j * x.col_stride());
                        copy[j][i] = static_cast<float>(value);
                    }
                }
                for (std::size_t j = 0; j < cols; ++j) {
                    const channel_grid grid = grids_.data()[c + j];
                    std::uint64_t* const counts = counts_of(c + j);
                    for (std::size_t i = 0; i < rows; ++i) count_number(grid, counts, copy[j][i]);
                }
            }
        }
    }

    /// Whether the bytes are those of a channel that can have become so.
    [[nodiscard]] bool read_channel(std::size_t channel, const std::byte* from) noexcept {
        const value_range range = {detail::load_le<float>(from),
                                   detail::load_le<float>(from + sizeof(float))};
        if (!detail::is_stored_range(range)) return false;
        from += 2 * sizeof(float);
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < bins_; ++i, from += sizeof(std::uint64_t)) {
            const auto count = detail::load_le<std::uint64_t>(from);
            if (!detail::add_fits(sum, count)) return false;
            sum += count;
            counts_of(channel)[i] = count;
        }
        if (sum != count_) return false;
        if (tokens_ == 0) return range == value_range{};
        extremes_.set(channel, range);
        set_grid(channel, detail::grid_of(range, bins_));
        const auto used = used_counts(channel);
        std::uint64_t used_sum = 0;
        for (const std::uint64_t one : used) used_sum += one;
        return used_sum == sum && used.front() != 0 && used.back() != 0;
    }

    detail::moved_size bins_;
    std::uint64_t count_ = 0;
    detail::channel_extremes extremes_;
    detail::buffer<channel_grid> grids_;
    detail::buffer<std::uint64_t> counts_; ///< of each channel, then room to move them in
};

} // namespace quant::inline QUANT_ABI
