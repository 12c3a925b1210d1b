// What the search for two levels of scales knows of sixteen groups, lane by lane.
#pragma once

#include <quant/core/config.hpp>

#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// A way to quantize sixteen groups: which table, and whether scales are negative.
inline constexpr std::size_t most_ways = 4;

/// What is known of sixteen groups, way by way.
struct group_ways {
    alignas(64) float scale[most_ways][16];
    alignas(64) float squares[most_ways][16]; ///< Σ v·q²
    alignas(64) float gain[most_ways][16];
};

/// Lines w ≈ s·u + m through sixteen groups, and what leaving them costs.
struct group_lines {
    alignas(64) float scale[16];
    alignas(64) float minimum[16];
    alignas(64) float slope[16];   ///< Σ v·u / Σ v: how far the best minimum falls as s grows
    alignas(64) float squares[16]; ///< Σ v·u² − (Σ v·u)² / Σ v
    alignas(64) float weight[16];  ///< Σ v
};

/// The choice of sixteen groups.
struct group_choice {
    alignas(64) std::int32_t value[16];
    alignas(64) std::int32_t minimum[16];
    alignas(64) std::int32_t table[16];
    alignas(64) float vwq[16];
    alignas(64) float vqq[16];
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
