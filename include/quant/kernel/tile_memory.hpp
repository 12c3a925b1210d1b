// Tiles of sums or outputs that wait in memory from one stretch of columns to the next, and the
// parts in which a stretch is multiplied.
#pragma once

#include <quant/core/unroll.hpp>
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

/// f(panels, first) for P panels: all at once, or, if the kernels may (MayPart) and this CPU gains
/// by it (`parts`), for two at a time, whose outputs registers have room for.
template <std::size_t P, bool MayPart, class F>
QUANT_DETAIL_INLINE void for_each_part([[maybe_unused]] bool parts, F f) noexcept {
    if constexpr (MayPart && P == 4) {
        if (parts) {
            f(index_constant<2>{}, index_constant<0>{});
            f(index_constant<2>{}, index_constant<2>{});
            return;
        }
    }
    f(index_constant<P>{}, index_constant<0>{});
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
