// Sizes that are too large for memory, or for arithmetic, whether sizes have 32 bits or 64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

inline constexpr int size_bits = std::numeric_limits<std::size_t>::digits;

/// Whether there are sizes beyond any address space.
inline constexpr bool has_endless_sizes = size_bits == 64;

/// 2^n; 0 where sizes have no more than n bits.
constexpr std::size_t two_to(int n) { return static_cast<std::size_t>(std::uint64_t{1} << n); }

/// Its square is no size.
inline constexpr std::size_t beyond_half = two_to(size_bits / 2 + 1);
