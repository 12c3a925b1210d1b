// Where the levels of weights change as their scale does, in order: what a sweep over all scales
// goes through.
#pragma once

#include <quant/core/bit_cast.hpp>
#include <quant/core/buffer.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Levels of a group in ascending order, `last` + 1 of them.
struct level_window {
    const double* steps;
    int last;
    double spacing; ///< 1 or 2 between all of them; 0 where it varies

    [[nodiscard]] QUANT_DETAIL_INLINE double middle(int i) const noexcept {
        return (steps[i] + steps[i + 1]) * 0.5;
    }
    /// How many middles lie below y: the number of the level nearest to it.
    [[nodiscard]] QUANT_DETAIL_INLINE int nearest(double y) const noexcept {
        if (spacing != 0) {
            const double place = (y - steps[0]) * (spacing == 1 ? 1.0 : 0.5) - 0.5;
            const double inside = std::min(std::max(place, 0.0), static_cast<double>(last));
            const int whole = static_cast<int>(inside);
            return whole + (inside > static_cast<double>(whole) ? 1 : 0);
        }
        int from = 0, count = last;
        while (count > 0) {
            const int half = count / 2;
            const bool below = middle(from + half) < y;
            from = below ? from + half + 1 : from;
            count = below ? count - half - 1 : half;
        }
        return from;
    }
};

/// A place x = 1/s where a weight's level changes, and what that adds to the sums.
struct level_change {
    double place, a, q;
};

/// Memory for a sweep.
class sweep_room {
public:
    /// For groups of n weights of up to `levels` levels.
    [[nodiscard]] static result<sweep_room> make(std::size_t n, std::size_t levels,
                                                 const char* where) noexcept {
        constexpr std::size_t most = std::size_t{1} << 14;
        sweep_room made;
        made.capacity_ = n >= most ? most : std::min(most, n * levels);
        auto changes = buffer<level_change>::uninitialized(2 * made.capacity_, where);
        if (!changes) return changes.failure();
        auto starts = buffer<std::uint32_t>::uninitialized(2 * made.capacity_ + 2, where);
        if (!starts) return starts.failure();
        made.changes_ = std::move(*changes);
        made.starts_ = std::move(*starts);
        return made;
    }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] level_change* collected() noexcept { return changes_.data(); }

    /// The n changes that were collected, all of them at places from `from` to `to`, in ascending
    /// order; of equal ones the first stays first, so that sums are the same everywhere. What was
    /// collected is overwritten.
    [[nodiscard]] const level_change* sorted(std::size_t n, double from, double to) noexcept {
        // Buckets by the upper bits of a place: evenly spread or by magnitude, few share one.
        const auto first = core_detail::bit_cast<std::uint64_t>(from);
        const std::uint64_t range = core_detail::bit_cast<std::uint64_t>(to) - first;
        const int shift = std::max(0, static_cast<int>(std::bit_width(range)) -
                                          static_cast<int>(std::bit_width(n)));
        const std::size_t buckets = static_cast<std::size_t>(range >> shift) + 1;
        level_change* const in = changes_.data();
        level_change* const out = changes_.data() + capacity_;
        std::uint32_t* const start = starts_.data();
        const auto bucket_of = [&](const level_change& change) {
            const auto bits = core_detail::bit_cast<std::uint64_t>(change.place);
            return static_cast<std::size_t>((bits - first) >> shift);
        };
        std::fill_n(start, buckets, 0u);
        for (std::size_t i = 0; i < n; ++i) ++start[bucket_of(in[i])];
        std::uint32_t sum = 0;
        for (std::size_t b = 0; b < buckets; ++b) sum += std::exchange(start[b], sum);
        for (std::size_t i = 0; i < n; ++i) out[start[bucket_of(in[i])]++] = in[i];
        std::size_t begin = 0;
        for (std::size_t b = 0; b < buckets; begin = start[b], ++b) {
            sort(out + begin, out + start[b], in);
        }
        return out;
    }

private:
    /// Sorts stably, with as many elements at `room` to merge into: std::stable_sort asks for
    /// memory.
    static void sort(level_change* begin, level_change* end, level_change* room) noexcept {
        if (end - begin <= 24) return sort_few(begin, end);
        level_change* const middle = begin + (end - begin) / 2;
        sort(begin, middle, room);
        sort(middle, end, room);
        level_change* const room_end = std::merge(
            begin, middle, middle, end, room,
            [](const level_change& a, const level_change& b) { return a.place < b.place; });
        std::copy(room, room_end, begin);
    }
    static void sort_few(level_change* begin, level_change* end) noexcept {
        if (end - begin < 2) return;
        for (level_change* next = begin + 1; next < end; ++next) {
            const level_change moved = *next;
            level_change* to = next;
            for (; to != begin && (to - 1)->place > moved.place; --to) *to = *(to - 1);
            *to = moved;
        }
    }

    std::size_t capacity_ = 0;
    buffer<level_change> changes_;
    buffer<std::uint32_t> starts_;
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
