// Tiles of sums or outputs that wait in memory from one stretch of columns to the next.
#pragma once

#include <quant/pack/layout.hpp>
#include <quant/simd/lanes.hpp>

#include <cstddef>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Sums or outputs of T tokens and P panels in memory: at[(p·T + t)·16 + lane].
template <std::size_t P, std::size_t T>
QUANT_DETAIL_INLINE void load_tile(simd::f32x16 (&tile)[P][T], const float* at) noexcept {
    QUANT_DETAIL_UNROLLED
    for (std::size_t p = 0; p < P; ++p) {
        QUANT_DETAIL_UNROLLED
        for (std::size_t t = 0; t < T; ++t) {
            tile[p][t] = simd::load<float>(at + (p * T + t) * panel_rows);
        }
    }
}
/// @copydoc load_tile
template <std::size_t P, std::size_t T>
QUANT_DETAIL_INLINE void store_tile(float* at, const simd::f32x16 (&tile)[P][T]) noexcept {
    QUANT_DETAIL_UNROLLED
    for (std::size_t p = 0; p < P; ++p) {
        QUANT_DETAIL_UNROLLED
        for (std::size_t t = 0; t < T; ++t) {
            simd::store(at + (p * T + t) * panel_rows, tile[p][t]);
        }
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
