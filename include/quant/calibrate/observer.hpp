// What observers of activations have in common: channels, batches, merging, bytes.
#pragma once

#include <quant/calibrate/range.hpp>
#include <quant/core/buffer.hpp>
#include <quant/core/little_endian.hpp>
#include <quant/core/matrix_view.hpp>
#include <quant/simd/range.hpp>
#include <quant/simd/rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace quant::inline QUANT_ABI {
namespace detail {

/// a + b, unless that exceeds 64 bits.
[[nodiscard]] inline bool add_fits(std::uint64_t a, std::uint64_t b) noexcept {
    return b <= std::numeric_limits<std::uint64_t>::max() - a;
}

/// Least and greatest number of each channel: `lowest` of all channels, then `highest`.
class channel_extremes {
public:
    [[nodiscard]] static result<channel_extremes> make(std::size_t channels,
                                                       const char* where) noexcept {
        channel_extremes made;
        const maybe_size size = checked_mul(channels, 2);
        if (!size) return make_error(errc::size_overflow, where, "%zu channels", channels);
        auto numbers = buffer<float>::zeroed(*size, where);
        if (!numbers) return numbers.failure();
        made.numbers_ = *std::move(numbers);
        return made;
    }

    [[nodiscard]] std::size_t channels() const noexcept { return numbers_.size() / 2; }
    [[nodiscard]] float* lowest() noexcept { return numbers_.data(); }
    [[nodiscard]] float* highest() noexcept { return numbers_.data() + channels(); }
    [[nodiscard]] value_range operator[](std::size_t channel) const noexcept {
        return {numbers_.data()[channel], numbers_.data()[channels() + channel]};
    }
    void set(std::size_t channel, const value_range& range) noexcept {
        lowest()[channel] = range.lowest;
        highest()[channel] = range.highest;
    }
    /// Makes a channel's range hold another one, too.
    void include(std::size_t channel, const value_range& range) noexcept {
        const value_range old = (*this)[channel];
        set(channel, {std::min(old.lowest, range.lowest), std::max(old.highest, range.highest)});
    }

    /// Those of a batch, one channel per column or one for all. Zeros are positive.
    template <class T>
    [[nodiscard]] static result<channel_extremes> of(const matrix_view<T>& x, bool per_channel,
                                                     const char* where) noexcept {
        auto made = make(per_channel ? x.cols() : 1, where);
        if (!made) return made;
        auto scratch = buffer<float>::uninitialized(rows_are_floats(x) ? 0 : x.cols(), where);
        if (!scratch) return scratch.failure();
        for (std::size_t r = 0; r < x.rows(); ++r) {
            const float* row = row_as_floats(x, r, scratch->data());
            const bool finite = per_channel ? made->include_row(row, r == 0)
                                            : made->include_all(row, x.cols(), r == 0);
            if (!finite) return non_finite_element(row, x.cols(), r, 0, where, "token");
        }
        for (float& x_extreme : made->numbers_.span()) x_extreme += 0.0f;
        return made;
    }

private:
    [[nodiscard]] bool include_all(const float* row, std::size_t n, bool is_first) noexcept {
        const group_range range = range_of(row, n);
        if (is_first) {
            set(0, {range.lowest, range.highest});
        } else {
            include(0, {range.lowest, range.highest});
        }
        return range.finite;
    }
    [[nodiscard]] bool include_row(const float* row, bool is_first) noexcept {
        const std::size_t n = channels();
        float* const low = lowest();
        float* const high = highest();
        if (is_first) {
            std::memcpy(low, row, n * sizeof(float));
            std::memcpy(high, row, n * sizeof(float));
        }
        simd::i32x16 largest = simd::broadcast<std::int32_t>(0);
        std::size_t c = 0;
        for (; c + 16 <= n; c += 16) {
            const simd::f32x16 x = simd::load<float>(row + c);
            largest = simd::max(largest, simd::float_to_bits(simd::abs(x)));
            simd::store(low + c, simd::min(simd::load<float>(low + c), x));
            simd::store(high + c, simd::max(simd::load<float>(high + c), x));
        }
        if (c < n) {
            const simd::f32x16 x = simd::load_partial<float>(row + c, n - c);
            const auto lower = simd::min(simd::load_partial<float>(low + c, n - c), x);
            const auto upper = simd::max(simd::load_partial<float>(high + c, n - c), x);
            largest = simd::max(largest, simd::float_to_bits(simd::abs(x)));
            simd::store_partial(low + c, lower, n - c);
            simd::store_partial(high + c, upper, n - c);
        }
        return !simd::any_greater(largest, simd::broadcast<std::int32_t>(0x7F7FFFFF));
    }

    buffer<float> numbers_;
};

/// Whether a number is −0, which no observer writes: one that reads it would write other bytes.
template <class T>
[[nodiscard]] bool is_negative_zero(T x) noexcept {
    return x == 0 && std::signbit(x);
}

/// Whether a range is one that observers store: finite, in order, without −0.
[[nodiscard]] inline bool is_stored_range(const value_range& range) noexcept {
    return std::isfinite(range.lowest) && std::isfinite(range.highest) &&
           range.lowest <= range.highest && !is_negative_zero(range.lowest) &&
           !is_negative_zero(range.highest);
}

/// Kinds of observers in bytes.
enum class observer_kind : std::uint32_t { min_max = 1, moving_average = 2, histogram = 3 };

/// What the bytes of every observer begin with; docs/calibration.md has the table.
struct observer_header {
    static constexpr std::size_t size = 56;
    static constexpr std::uint32_t version = 1;
    static constexpr char magic[8] = {'Q', 'U', 'A', 'N', 'T', 'O', 'B', 'S'};

    observer_kind kind = observer_kind::min_max;
    bool per_channel = false;
    std::uint32_t bins = 0;
    std::uint64_t channels = 1;
    std::uint64_t tokens = 0;
    std::uint64_t count = 0; ///< batches of moving averages, numbers per channel of histograms
    double momentum = 0;

    void write(std::byte* to) const noexcept {
        std::memcpy(to, magic, sizeof magic);
        store_le(to + 8, version);
        store_le(to + 12, static_cast<std::uint32_t>(kind));
        store_le(to + 16, std::uint32_t{per_channel ? 1u : 0u});
        store_le(to + 20, bins);
        store_le(to + 24, channels);
        store_le(to + 32, tokens);
        store_le(to + 40, count);
        store_le(to + 48, momentum);
    }

    /// Reads the header of one kind.
    [[nodiscard]] static result<observer_header>
    read(std::span<const std::byte> bytes, observer_kind kind, const char* where) noexcept {
        const auto broken = [&](const char* why) { return error(errc::bad_format, where, why); };
        if (bytes.size() < size) {
            return make_error(errc::truncated, where, "%zu bytes, the header has %zu", bytes.size(),
                              size);
        }
        if (std::memcmp(bytes.data(), magic, sizeof magic) != 0) {
            return broken("no bytes of an observer");
        }
        const auto found = load_le<std::uint32_t>(bytes.data() + 8);
        if (found != version) {
            return make_error(errc::unsupported, where, "version %u, this library reads %u", found,
                              version);
        }
        if (load_le<std::uint32_t>(bytes.data() + 12) != static_cast<std::uint32_t>(kind)) {
            return broken("an observer of another kind");
        }
        observer_header h;
        h.kind = kind;
        const auto granularity = load_le<std::uint32_t>(bytes.data() + 16);
        h.per_channel = granularity == 1;
        h.bins = load_le<std::uint32_t>(bytes.data() + 20);
        h.channels = load_le<std::uint64_t>(bytes.data() + 24);
        h.tokens = load_le<std::uint64_t>(bytes.data() + 32);
        h.count = load_le<std::uint64_t>(bytes.data() + 40);
        h.momentum = load_le<double>(bytes.data() + 48);
        if (is_negative_zero(h.momentum)) return broken("a momentum of -0");
        if (granularity > 1 || h.channels == 0 || (granularity == 0 && h.channels != 1)) {
            return broken("channels that do not fit the granularity");
        }
        return h;
    }

    /// Bytes of an observer whose channels have `channel_bytes` each.
    [[nodiscard]] maybe_size total(std::size_t channel_bytes) const noexcept {
        if (channels > std::numeric_limits<std::size_t>::max()) return std::nullopt;
        return checked_add(checked_mul(static_cast<std::size_t>(channels), channel_bytes), size);
    }
    /// Whether the bytes are just as many. Asked before anything is allocated.
    [[nodiscard]] result<void> check_size(std::size_t bytes, std::size_t channel_bytes,
                                          const char* where) const noexcept {
        const maybe_size expected = total(channel_bytes);
        if (!expected || bytes < *expected) {
            return make_error(errc::truncated, where, "%zu bytes are too few for %llu channels",
                              bytes, static_cast<unsigned long long>(channels));
        }
        if (bytes > *expected) {
            return make_error(errc::bad_format, where, "%zu bytes after the last channel",
                              bytes - *expected);
        }
        return {};
    }
};

/// Members that all observers have; Derived has the try_ forms that differ.
template <class Derived>
class observer_base {
public:
    /// 1, or the number of columns.
    [[nodiscard]] std::size_t channels() const noexcept { return channels_; }
    /// Whether each column is observed for itself.
    [[nodiscard]] bool is_per_channel() const noexcept { return per_channel_; }
    /// Rows observed so far.
    [[nodiscard]] std::uint64_t tokens() const noexcept { return tokens_; }

#if QUANT_HAS_EXCEPTIONS
    /// As try_observe. @throws quant::error
    template <real_element T>
    void observe(matrix_view<T> x) {
        derived().try_observe(x).value();
    }
    /// As try_merge. @throws quant::error
    void merge(const Derived& other) { derived().try_merge(other).value(); }
    /// As try_range. @throws quant::error
    [[nodiscard]] value_range range(std::size_t channel = 0) const {
        return derived().try_range(channel).value();
    }
    /// The bytes of try_serialize. @throws quant::error, std::bad_alloc
    [[nodiscard]] std::vector<std::byte> serialize() const {
        std::vector<std::byte> bytes(derived().serialized_size());
        derived().try_serialize(bytes).value();
        return bytes;
    }
    /// As try_deserialize. @throws quant::error
    [[nodiscard]] static Derived deserialize(std::span<const std::byte> bytes) {
        return Derived::try_deserialize(bytes).value();
    }
#endif

protected:
    observer_base(bool per_channel, std::size_t channels) noexcept
        : channels_(channels), per_channel_(per_channel) {}

    [[nodiscard]] result<void> check_channel(std::size_t channel,
                                             const char* where) const noexcept {
        if (channel >= channels_) {
            return make_error(errc::invalid_argument, where, "channel %zu of %zu", channel,
                              channels_.value);
        }
        if (tokens_ == 0) return error(errc::empty, where, "nothing was observed");
        return {};
    }
    template <class T>
    [[nodiscard]] result<void> check_batch(const matrix_view<T>& x,
                                           const char* where) const noexcept {
        if (auto valid = check_readable(x, where); !valid) return valid;
        if (channels_ == 0) return error(errc::empty, where, "the observer was moved from");
        if (per_channel_ && x.cols() != channels_) {
            return make_error(errc::shape_mismatch, where, "%zu columns, the observer has %zu",
                              x.cols(), channels_.value);
        }
        return check_tokens(x.rows(), where);
    }
    [[nodiscard]] result<void> check_tokens(std::uint64_t more, const char* where) const noexcept {
        if (add_fits(tokens_, more)) return {};
        return error(errc::size_overflow, where, "more than 2^64 tokens");
    }
    [[nodiscard]] result<void> check_other(const observer_base& other,
                                           const char* where) const noexcept {
        if (other.per_channel_ != per_channel_ || other.channels_ != channels_) {
            return make_error(errc::shape_mismatch, where, "%zu channels, the observer has %zu",
                              other.channels_.value, channels_.value);
        }
        return check_tokens(other.tokens_, where);
    }
    [[nodiscard]] observer_header header(observer_kind kind) const noexcept {
        observer_header made;
        made.kind = kind;
        made.per_channel = per_channel_;
        made.channels = channels_.value;
        made.tokens = tokens_;
        return made;
    }
    [[nodiscard]] result<void> check_room(std::size_t size, const char* where) const noexcept {
        const std::size_t needed = derived().serialized_size();
        if (size == needed) return {};
        return make_error(errc::shape_mismatch, where, "%zu bytes where %zu are written", size,
                          needed);
    }

    moved_size channels_;
    bool per_channel_;
    std::uint64_t tokens_ = 0;

private:
    [[nodiscard]] Derived& derived() noexcept { return static_cast<Derived&>(*this); }
    [[nodiscard]] const Derived& derived() const noexcept {
        return static_cast<const Derived&>(*this);
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
