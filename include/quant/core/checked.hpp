// Size arithmetic that says when it does not fit.
#pragma once

#include <quant/core/config.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

namespace quant::inline QUANT_VOCABULARY {
namespace core_detail {

using maybe_size = std::optional<std::size_t>;

/// a·b, or nothing if it exceeds what a pointer difference can express.
[[nodiscard]] constexpr maybe_size checked_mul(maybe_size a, maybe_size b) noexcept {
    constexpr std::size_t limit = static_cast<std::size_t>(PTRDIFF_MAX);
    if (!a || !b) return std::nullopt;
    if (*a > limit || *b > limit || (*a != 0 && *b > limit / *a)) return std::nullopt;
    return *a * *b;
}

/// a+b, or nothing if it exceeds what a pointer difference can express.
[[nodiscard]] constexpr maybe_size checked_add(maybe_size a, maybe_size b) noexcept {
    constexpr std::size_t limit = static_cast<std::size_t>(PTRDIFF_MAX);
    if (!a || !b || *a > limit || *b > limit - *a) return std::nullopt;
    return *a + *b;
}

/// ⌈a / b⌉ without overflow; b > 0.
[[nodiscard]] constexpr std::size_t div_ceil(std::size_t a, std::size_t b) noexcept {
    return a / b + (a % b != 0 ? 1 : 0);
}

/// a rounded up to a multiple of b; the caller knows that it fits.
[[nodiscard]] constexpr std::size_t round_up(std::size_t a, std::size_t b) noexcept {
    return div_ceil(a, b) * b;
}

/// a rounded up to a multiple of b, or nothing if it does not fit.
[[nodiscard]] constexpr maybe_size checked_round_up(maybe_size a, std::size_t b) noexcept {
    if (!a) return std::nullopt;
    return checked_mul(div_ceil(*a, b), b);
}

} // namespace core_detail
} // namespace quant::inline QUANT_VOCABULARY
