// The least and the greatest activation: of all batches, or on average over them.
#pragma once

#include <quant/calibrate/observer.hpp>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace quant::inline QUANT_ABI {

/// Observes the least and the greatest activation, of whole batches or of each column. Move only.
///
/// Exact, and independent of the order of batches and merges, −0 counting as 0. May be used by one
/// thread at a time; observers of several threads merge. A failed call changes nothing.
class min_max_observer : public detail::observer_base<min_max_observer> {
public:
    /// One range for all columns. Errors: out_of_memory.
    [[nodiscard]] static result<min_max_observer> try_per_tensor() noexcept {
        return try_make(false, 1);
    }
    /// A range for each of `columns` ≥ 1 columns. Errors: empty, size_overflow, out_of_memory.
    [[nodiscard]] static result<min_max_observer> try_per_channel(std::size_t columns) noexcept {
        return try_make(true, columns);
    }
#if QUANT_HAS_EXCEPTIONS
    /// As try_per_tensor. @throws quant::error
    [[nodiscard]] static min_max_observer per_tensor() { return try_per_tensor().value(); }
    /// As try_per_channel. @throws quant::error
    [[nodiscard]] static min_max_observer per_channel(std::size_t columns) {
        return try_per_channel(columns).value();
    }
#endif

    /// Observes x, tokens × features: float, fp16 or bf16, any strides. Errors: empty, null_data,
    /// size_overflow; shape_mismatch for other columns than those of a per-channel observer;
    /// non_finite (names token and column); out_of_memory. Complexity: O(tokens·features).
    template <real_element T>
    [[nodiscard]] result<void> try_observe(matrix_view<T> x) noexcept {
        constexpr const char* where = "observe: x";
        if (auto valid = check_batch(x, where); !valid) return valid;
        auto batch = detail::channel_extremes::of(x, per_channel_, where);
        if (!batch) return batch.failure();
        include(*batch);
        tokens_ += x.rows();
        return {};
    }

    /// As if this had observed what `other` did, too. Errors: shape_mismatch, size_overflow.
    [[nodiscard]] result<void> try_merge(const min_max_observer& other) noexcept {
        if (auto valid = check_other(other, "merge: other"); !valid) return valid;
        if (other.tokens_ == 0) return {};
        include(other.extremes_);
        tokens_ += other.tokens_;
        return {};
    }

    /// Least and greatest activation of a channel. Errors: invalid_argument, empty if there was
    /// none.
    [[nodiscard]] result<value_range> try_range(std::size_t channel = 0) const noexcept {
        if (auto valid = check_channel(channel, "range"); !valid) return valid.failure();
        return extremes_[channel];
    }

    /// Bytes that try_serialize writes.
    [[nodiscard]] std::size_t serialized_size() const noexcept {
        return detail::observer_header::size + channels_ * channel_bytes;
    }
    /// Writes serialized_size() bytes, the same for the same observations on every machine:
    /// docs/calibration.md has their table. Errors: shape_mismatch if `bytes` is of another size.
    [[nodiscard]] result<void> try_serialize(std::span<std::byte> bytes) const noexcept {
        if (auto valid = check_room(bytes.size(), "serialize: bytes"); !valid) return valid;
        header(detail::observer_kind::min_max).write(bytes.data());
        std::byte* to = bytes.data() + detail::observer_header::size;
        for (std::size_t c = 0; c < channels_; ++c, to += channel_bytes) {
            detail::store_le(to, extremes_[c].lowest);
            detail::store_le(to + sizeof(float), extremes_[c].highest);
        }
        return {};
    }
    /// The observer that wrote the bytes. Errors: truncated, bad_format, unsupported (version);
    /// out_of_memory. The size is checked before anything is allocated, which is no more than about
    /// twice as much as there are bytes.
    [[nodiscard]] static result<min_max_observer>
    try_deserialize(std::span<const std::byte> bytes) noexcept {
        constexpr const char* where = "deserialize: min-max observer";
        const auto read =
            detail::observer_header::read(bytes, detail::observer_kind::min_max, where);
        if (!read) return read.failure();
        auto fits = read->check_size(bytes.size(), channel_bytes, where);
        if (!fits) return fits.failure();
        if (read->bins != 0 || read->count != 0 || !(read->momentum == 0)) {
            return error(errc::bad_format, where, "a header with what no such observer has");
        }
        auto made = try_make(read->per_channel, static_cast<std::size_t>(read->channels));
        if (!made) return made;
        made->tokens_ = read->tokens;
        const std::byte* from = bytes.data() + detail::observer_header::size;
        for (std::size_t c = 0; c < made->channels_; ++c, from += channel_bytes) {
            const value_range range = {detail::load_le<float>(from),
                                       detail::load_le<float>(from + sizeof(float))};
            if (!detail::is_stored_range(range) || (read->tokens == 0 && range != value_range{})) {
                return detail::make_error(errc::bad_format, where, "channel %zu has no range", c);
            }
            made->extremes_.set(c, range);
        }
        return made;
    }

private:
    static constexpr std::size_t channel_bytes = 2 * sizeof(float);

    min_max_observer(bool per_channel, detail::channel_extremes extremes) noexcept
        : observer_base(per_channel, extremes.channels()), extremes_(std::move(extremes)) {}

    [[nodiscard]] static result<min_max_observer> try_make(bool per_channel,
                                                           std::size_t channels) noexcept {
        constexpr const char* where = "min_max_observer";
        if (channels == 0) return error(errc::empty, where, "no columns");
        auto extremes = detail::channel_extremes::make(channels, where);
        if (!extremes) return extremes.failure();
        return min_max_observer(per_channel, *std::move(extremes));
    }

    void include(const detail::channel_extremes& batch) noexcept {
        for (std::size_t c = 0; c < channels_; ++c) {
            if (tokens_ == 0) {
                extremes_.set(c, batch[c]);
            } else {
                extremes_.include(c, batch[c]);
            }
        }
    }

    detail::channel_extremes extremes_;
};

/// Observes the exponential moving average of the batches' least and greatest activations, which
/// forgets outliers. Move only.
///
/// The first batch sets the averages; each further one, with least or greatest activation b, makes
/// of an average a
///
///     a + (1 − momentum)·(b − a) = momentum·a + (1 − momentum)·b,
///
/// in double, the difference rounded once and the rest once. Depends on the order of batches. May
/// be used by one thread at a time. A failed call changes nothing.
class moving_average_observer : public detail::observer_base<moving_average_observer> {
public:
    static constexpr double default_momentum = 0.99;

    /// One range for all columns. Errors: invalid_argument unless 0 ≤ momentum < 1, out_of_memory.
    [[nodiscard]] static result<moving_average_observer>
    try_per_tensor(double momentum = default_momentum) noexcept {
        return try_make(false, 1, momentum);
    }
    /// A range for each of `columns` ≥ 1 columns. Errors: empty, size_overflow, invalid_argument
    /// unless 0 ≤ momentum < 1, out_of_memory.
    [[nodiscard]] static result<moving_average_observer>
    try_per_channel(std::size_t columns, double momentum = default_momentum) noexcept {
        return try_make(true, columns, momentum);
    }
#if QUANT_HAS_EXCEPTIONS
    /// As try_per_tensor. @throws quant::error
    [[nodiscard]] static moving_average_observer per_tensor(double momentum = default_momentum) {
        return try_per_tensor(momentum).value();
    }
    /// As try_per_channel. @throws quant::error
    [[nodiscard]] static moving_average_observer per_channel(std::size_t columns,
                                                             double momentum = default_momentum) {
        return try_per_channel(columns, momentum).value();
    }
#endif

    /// The weight of what was observed before, 0 … 1.
    [[nodiscard]] double momentum() const noexcept { return momentum_; }
    /// Batches observed so far.
    [[nodiscard]] std::uint64_t batches() const noexcept { return batches_; }

    /// Observes a batch x, as min_max_observer::try_observe does; the same errors.
    template <real_element T>
    [[nodiscard]] result<void> try_observe(matrix_view<T> x) noexcept {
        constexpr const char* where = "observe: x";
        if (auto valid = check_batch(x, where); !valid) return valid;
        auto batch = detail::channel_extremes::of(x, per_channel_, where);
        if (!batch) return batch.failure();
        const double weight = tokens_ == 0 ? 1.0 : 1.0 - momentum_;
        for (std::size_t c = 0; c < channels_; ++c) {
            move_towards(
                c,
                {static_cast<double>((*batch)[c].lowest), static_cast<double>((*batch)[c].highest)},
                weight);
        }
        tokens_ += x.rows();
        ++batches_;
        return {};
    }

    /// The mean of both observers' averages, weighted by their batches. An approximation: averages
    /// depend on the order of batches, of which merged observers know nothing. Observers that saw
    /// nothing change nothing; a merge into one that saw nothing copies. Symmetric but for
    /// rounding. Errors: shape_mismatch, invalid_argument for another momentum, size_overflow.
    [[nodiscard]] result<void> try_merge(const moving_average_observer& other) noexcept {
        constexpr const char* where = "merge: other";
        if (auto valid = check_other(other, where); !valid) return valid;
        if (!(other.momentum_ == momentum_)) {
            return detail::make_error(errc::invalid_argument, where,
                                      "momentum %g, the observer has %g", other.momentum_,
                                      momentum_);
        }
        if (other.tokens_ == 0) return {};
        const auto mine = static_cast<double>(batches_);
        const auto theirs = static_cast<double>(other.batches_);
        const double weight = theirs / (mine + theirs);
        for (std::size_t c = 0; c < channels_; ++c)
            move_towards(c, other.averages_.data()[c], weight);
        tokens_ += other.tokens_;
        batches_ += other.batches_; // no more than tokens, whose sum fits
        return {};
    }

    /// The averages of a channel, rounded to float. Errors: invalid_argument, empty if there are
    /// none.
    [[nodiscard]] result<value_range> try_range(std::size_t channel = 0) const noexcept {
        if (auto valid = check_channel(channel, "range"); !valid) return valid.failure();
        const average& a = averages_.data()[channel];
        return value_range{static_cast<float>(a.lowest), static_cast<float>(a.highest)};
    }

    /// Bytes that try_serialize writes.
    [[nodiscard]] std::size_t serialized_size() const noexcept {
        return detail::observer_header::size + channels_ * sizeof(average);
    }
    /// As min_max_observer::try_serialize.
    [[nodiscard]] result<void> try_serialize(std::span<std::byte> bytes) const noexcept {
        if (auto valid = check_room(bytes.size(), "serialize: bytes"); !valid) return valid;
        auto written = header(detail::observer_kind::moving_average);
        written.count = batches_;
        written.momentum = momentum_;
        written.write(bytes.data());
        std::byte* to = bytes.data() + detail::observer_header::size;
        for (const average& one : averages_.span()) {
            detail::store_le(to, one.lowest);
            detail::store_le(to + sizeof(double), one.highest);
            to += sizeof(average);
        }
        return {};
    }
    /// As min_max_observer::try_deserialize.
    [[nodiscard]] static result<moving_average_observer>
    try_deserialize(std::span<const std::byte> bytes) noexcept {
        constexpr const char* where = "deserialize: moving average observer";
        const auto read =
            detail::observer_header::read(bytes, detail::observer_kind::moving_average, where);
        if (!read) return read.failure();
        auto fits = read->check_size(bytes.size(), sizeof(average), where);
        if (!fits) return fits.failure();
        if (read->bins != 0 || read->count > read->tokens ||
            (read->count == 0) != (read->tokens == 0) || !is_momentum(read->momentum)) {
            return error(errc::bad_format, where, "a header with what no such observer has");
        }
        auto made =
            try_make(read->per_channel, static_cast<std::size_t>(read->channels), read->momentum);
        if (!made) return made;
        made->tokens_ = read->tokens;
        made->batches_ = read->count;
        const std::byte* from = bytes.data() + detail::observer_header::size;
        for (std::size_t c = 0; c < made->channels_; ++c, from += sizeof(average)) {
            const average a = {detail::load_le<double>(from),
                               detail::load_le<double>(from + sizeof(double))};
            constexpr double most = static_cast<double>(FLT_MAX);
            const bool valid = a.lowest >= -most && a.lowest <= a.highest && a.highest <= most &&
                               !detail::is_negative_zero(a.lowest) &&
                               !detail::is_negative_zero(a.highest);
            if (!valid || (read->tokens == 0 && (a.lowest < 0 || a.highest > 0))) {
                return detail::make_error(errc::bad_format, where, "channel %zu has no range", c);
            }
            made->averages_.data()[c] = a;
        }
        return made;
    }

private:
    struct average {
        double lowest;
        double highest;
    };
    static_assert(sizeof(average) == 2 * sizeof(double));

    moving_average_observer(bool per_channel, double momentum,
                            detail::buffer<average> averages) noexcept
        : observer_base(per_channel, averages.size()), momentum_(momentum),
          averages_(std::move(averages)) {}

    [[nodiscard]] static bool is_momentum(double momentum) noexcept {
        return momentum >= 0 && momentum < 1;
    }
    [[nodiscard]] static result<moving_average_observer>
    try_make(bool per_channel, std::size_t channels, double momentum) noexcept {
        constexpr const char* where = "moving_average_observer";
        if (channels == 0) return error(errc::empty, where, "no columns");
        if (!is_momentum(momentum)) {
            return detail::make_error(errc::invalid_argument, where,
                                      "momentum %g, not 0 to below 1", momentum);
        }
        auto averages = detail::buffer<average>::zeroed(channels, where);
        if (!averages) return averages.failure();
        return moving_average_observer(per_channel, momentum + 0.0, *std::move(averages));
    }

    /// Weight 1 copies.
    void move_towards(std::size_t channel, const average& target, double weight) noexcept {
        average& a = averages_.data()[channel];
        if (weight >= 1) {
            a = target;
            return;
        }
        const auto move = [&](double from, double to) {
            // Rounding must not lead beyond the target, to a range that is none, or to −0.
            return std::clamp(std::fma(weight, to - from, from), std::min(from, to),
                              std::max(from, to)) +
                   0.0;
        };
        a = {move(a.lowest, target.lowest), move(a.highest, target.highest)};
    }

    double momentum_;
    std::uint64_t batches_ = 0;
    detail::buffer<average> averages_;
};

} // namespace quant::inline QUANT_ABI
