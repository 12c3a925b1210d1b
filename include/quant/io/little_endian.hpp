// Little-endian numbers at any address, on any host.
#pragma once

#include <quant/core/config.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace quant::inline QUANT_ABI {
namespace detail {

/// The number of type T whose little-endian bytes start at `from`.
template <class T>
[[nodiscard]] inline T load_le(const std::byte* from) noexcept {
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
    T value;
    if constexpr (std::endian::native == std::endian::little) {
        std::memcpy(&value, from, sizeof value);
    } else {
        std::byte reversed[sizeof(T)];
        for (std::size_t i = 0; i < sizeof(T); ++i) reversed[i] = from[sizeof(T) - 1 - i];
        std::memcpy(&value, reversed, sizeof value);
    }
    return value;
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
