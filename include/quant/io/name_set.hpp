// The names that a file under construction has used.
#pragma once

#include <quant/io/growing.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <string_view>

namespace quant::inline QUANT_ABI {
namespace detail {

/// A set of names that grows without throwing, and whose time no choice of names spoils.
///
/// The names' places stand in sorted runs, one for each bit set in their number, the longest first.
/// A new name is a run of one; two runs of a length are merged, as in binary addition. So
/// contains() takes O(log² n) comparisons, and n insertions as many each on average.
class name_set {
public:
    [[nodiscard]] bool contains(std::string_view name) const noexcept {
        const std::span<const place> places = places_.span();
        for (std::size_t first = 0; first < places.size();) {
            const auto run = places.subspan(first, std::bit_floor(places.size() - first));
            const auto found = std::lower_bound(
                run.begin(), run.end(), name,
                [&](const place& each, std::string_view wanted) { return at(each) < wanted; });
            if (found != run.end() && at(*found) == name) return true;
            first += run.size();
        }
        return false;
    }

    /// Adds a name that is not contained.
    [[nodiscard]] result<void> insert(std::string_view name, const char* where) noexcept {
        const place added{text_.size(), name.size()};
        const auto text = text_.extend(name.size(), where);
        if (!text) return text.failure();
        std::copy(name.begin(), name.end(), text->begin());
        if (auto kept = places_.push(added, PTRDIFF_MAX, where); !kept) {
            text_.shrink(added.first);
            return kept;
        }
        merge_runs();
        return {};
    }

private:
    struct place {
        std::size_t first;
        std::size_t size;
    };

    [[nodiscard]] std::string_view at(const place& which) const noexcept {
        return {text_.span().data() + which.first, which.size};
    }

    /// The runs that the last name, and then every run so made, meets with its own length.
    void merge_runs() noexcept {
        const std::span<place> places = places_.span();
        const std::size_t run = std::size_t{1} << std::countr_zero(places.size());
        // Sorted anew: std::inplace_merge asks for memory, by a function that is deprecated.
        std::sort(places.end() - static_cast<std::ptrdiff_t>(run), places.end(),
                  [&](const place& a, const place& b) { return at(a) < at(b); });
    }

    growing<char> text_;
    growing<place> places_;
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
