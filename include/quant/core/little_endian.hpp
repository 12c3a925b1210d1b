// Little-endian numbers at any address, on any host.
#pragma once

#include <quant/core/config.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

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

/// Writes a number's bytes, little-endian, from `to` on.
template <class T>
inline void store_le(std::byte* to, T value) noexcept {
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
    std::memcpy(to, &value, sizeof value);
    if constexpr (std::endian::native != std::endian::little) {
        for (std::size_t i = 0; i < sizeof(T) / 2; ++i) std::swap(to[i], to[sizeof(T) - 1 - i]);
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
