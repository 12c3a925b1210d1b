// Telling the arguments of a product apart, whatever their order.
#pragma once

#include <quant/core/executor.hpp>

#include <cstddef>
#include <tuple>

namespace quant::inline QUANT_ABI {
namespace detail {

/// The executor among the arguments, or serial.
template <class... Args>
[[nodiscard]] auto& find_executor(Args&... args) noexcept {
    constexpr std::size_t executors = (std::size_t{executor<Args>} + ... + 0);
    static_assert(executors <= 1, "quant: products and pack_activations take one executor at most");
    if constexpr (executors == 0) {
        return serial;
    } else {
        constexpr bool is_executor[] = {executor<Args>...};
        constexpr std::size_t which = [&] {
            std::size_t i = 0;
            while (!is_executor[i]) ++i;
            return i;
        }();
        return std::get<which>(std::tie(args...));
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
