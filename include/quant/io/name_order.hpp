// Named things of a file, found by name in a time that no choice of names spoils.
#pragma once

#include <quant/core/config.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

namespace quant::inline QUANT_ABI {
namespace detail {

/// What an item is called: its name() or key().
template <class T>
[[nodiscard]] std::string_view name_of(const T& item) noexcept {
    if constexpr (requires { item.name(); }) {
        return item.name();
    } else {
        return item.key();
    }
}

/// The numbers of the items, sorted by name and then by number. Sorting needs no more than
/// n·log n comparisons whatever the names are; a hash table's time could be chosen by the file.
template <class T>
void sort_by_name(std::span<const T> items, std::span<std::size_t> order) noexcept {
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        const int names = name_of(items[a]).compare(name_of(items[b]));
        return names != 0 ? names < 0 : a < b;
    });
}

/// The number of the first item, in the file's order, whose name an earlier one has;
/// items.size() if all names differ.
template <class T>
[[nodiscard]] std::size_t first_duplicate(std::span<const T> items,
                                          std::span<const std::size_t> order) noexcept {
    std::size_t first = items.size();
    for (std::size_t i = 1; i < order.size(); ++i) {
        const bool same = name_of(items[order[i - 1]]) == name_of(items[order[i]]);
        if (same) first = std::min(first, order[i]);
    }
    return first;
}

/// The item of a name, or null. Takes O(log n).
template <class T>
[[nodiscard]] const T* find_by_name(std::span<const T> items, std::span<const std::size_t> order,
                                    std::string_view name) noexcept {
    const auto found = std::lower_bound(
        order.begin(), order.end(), name,
        [&](std::size_t i, std::string_view wanted) { return name_of(items[i]) < wanted; });
    if (found == order.end() || name_of(items[*found]) != name) return nullptr;
    return &items[*found];
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
