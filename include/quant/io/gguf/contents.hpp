// What a GGUF file says, once read: entries and tensors in the file's order and sorted by name.
#pragma once

#include <quant/core/buffer.hpp>
#include <quant/io/gguf/metadata.hpp>
#include <quant/io/gguf/tensor.hpp>
#include <quant/io/growing.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Views into the file's bytes and the arrays that hold them.
struct gguf_contents {
    std::uint32_t version = 0;
    std::size_t alignment = 32; // unless general.alignment says otherwise
    growing<gguf::entry> entries;
    growing<gguf::tensor> tensors;
    growing<std::size_t> strings;     // for each array of strings: where its elements stand
    buffer<std::size_t> entry_order;  // by key
    buffer<std::size_t> tensor_order; // by name
};

[[nodiscard]] inline std::string_view gguf_name(const gguf::entry& item) noexcept {
    return item.key();
}
[[nodiscard]] inline std::string_view gguf_name(const gguf::tensor& item) noexcept {
    return item.name();
}

/// The numbers of the items, sorted by name and then by number. Sorting needs no more than
/// n·log n comparisons whatever the names are; a hash table's time could be chosen by the file.
template <class T>
void gguf_sort_by_name(std::span<const T> items, std::span<std::size_t> order) noexcept {
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        const int names = gguf_name(items[a]).compare(gguf_name(items[b]));
        return names != 0 ? names < 0 : a < b;
    });
}

/// The number of the first item, in the file's order, whose name an earlier one has;
/// items.size() if all names differ.
template <class T>
[[nodiscard]] std::size_t gguf_first_duplicate(std::span<const T> items,
                                               std::span<const std::size_t> order) noexcept {
    std::size_t first = items.size();
    for (std::size_t i = 1; i < order.size(); ++i) {
        const bool same = gguf_name(items[order[i - 1]]) == gguf_name(items[order[i]]);
        if (same) first = std::min(first, order[i]);
    }
    return first;
}

/// The item of a name, or null. Takes O(log n).
template <class T>
[[nodiscard]] const T* gguf_find(std::span<const T> items, std::span<const std::size_t> order,
                                 std::string_view name) noexcept {
    const auto found = std::lower_bound(
        order.begin(), order.end(), name,
        [&](std::size_t i, std::string_view wanted) { return gguf_name(items[i]) < wanted; });
    if (found == order.end() || gguf_name(items[*found]) != name) return nullptr;
    return &items[*found];
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
