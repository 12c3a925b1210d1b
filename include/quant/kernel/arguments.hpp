// Telling the arguments of a product apart, whatever their order.
#pragma once

#include <quant/core/executor.hpp>
#include <quant/core/scratch.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <tuple>
#include <type_traits>

namespace quant::inline QUANT_ABI {
namespace detail {

template <class T>
concept scratch_argument = std::same_as<std::remove_cvref_t<T>, scratch>;

/// Where the only `true` is; the number of flags if there is none.
template <std::size_t N>
[[nodiscard]] consteval std::size_t index_of_true(const std::array<bool, N>& flags) noexcept {
    std::size_t i = 0;
    while (i < N && !flags[i]) ++i;
    return i;
}

/// The executor among the arguments, or serial.
template <class... Args>
[[nodiscard]] auto& find_executor(Args&... args) noexcept {
    static_assert((std::size_t{executor<Args>} + ... + 0) <= 1,
                  "quant: products and pack_activations take one executor at most");
    constexpr std::size_t which =
        index_of_true(std::array<bool, sizeof...(Args)>{executor<Args>...});
    if constexpr (which == sizeof...(Args)) {
        return serial;
    } else {
        return std::get<which>(std::tie(args...));
    }
}

/// The scratch among the arguments, or null.
template <class... Args>
[[nodiscard]] const scratch* find_scratch(const Args&... args) noexcept {
    static_assert((std::size_t{scratch_argument<Args>} + ... + 0) <= 1,
                  "quant: products and pack_activations take one scratch at most");
    constexpr std::size_t which =
        index_of_true(std::array<bool, sizeof...(Args)>{scratch_argument<Args>...});
    if constexpr (which == sizeof...(Args)) {
        return nullptr;
    } else {
        return &std::get<which>(std::tie(args...));
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
