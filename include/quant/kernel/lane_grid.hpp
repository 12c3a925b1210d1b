// What groups of packed weights store for the lanes of a panel.
#pragma once

#include <quant/pack/packed_matrix.hpp>
#include <quant/quantize/group.hpp>
#include <quant/simd/convert.hpp>

#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// What a group stores for the 16 lanes of one panel. Read when needed, not kept: registers are
/// for sums.
template <quantization_scheme S>
struct lane_grid {
    const std::byte* scales;           ///< 16 of scale_type
    const std::byte* offsets;          ///< 16 of offset_type, if the scheme has offsets
    const std::byte* supers = nullptr; ///< 16 of super_type for scales, then for minimums

    /// Numbers of group g of a panel.
    [[nodiscard]] QUANT_DETAIL_INLINE static lane_grid of(const std::byte* panel,
                                                          std::size_t g) noexcept {
        using at = layout<S>;
        return {panel + at::scales_at(g), panel + at::offsets_at(g), panel + at::supers_at(g)};
    }

    [[nodiscard]] QUANT_DETAIL_INLINE simd::f32x16 scale() const noexcept {
        if constexpr (S::is_two_level) {
            return times_unit<S>(super(0) * simd::to_float(scale_values<S>(simd::load_u8(scales))));
        } else {
            return times_unit<S>(simd::load_stored<typename S::scale_type>(scales));
        }
    }
    [[nodiscard]] QUANT_DETAIL_INLINE simd::f32x16 minimum() const noexcept
        requires(S::has_minimum)
    {
        if constexpr (S::is_two_level) {
            return simd::rounded_product(super(1), simd::to_float(simd::load_u8(offsets)));
        } else {
            return simd::load_stored<typename S::scale_type>(offsets);
        }
    }
    /// Of two tables the chosen one: 0 or 2^bits, in each byte of a lane.
    [[nodiscard]] QUANT_DETAIL_INLINE simd::i32x16 table() const noexcept {
        auto chosen =
            simd::shift_left<S::bits>(simd::load_u8(scales) & simd::broadcast<std::int32_t>(1));
        chosen = chosen | simd::shift_left<8>(chosen);
        return chosen | simd::shift_left<16>(chosen);
    }
    [[nodiscard]] QUANT_DETAIL_INLINE simd::i32x16 zero_point() const noexcept
        requires(S::has_zero_point)
    {
        return simd::load_u8(offsets);
    }

private:
    [[nodiscard]] QUANT_DETAIL_INLINE simd::f32x16 super(std::size_t i) const noexcept {
        return simd::load_stored<typename S::super_type>(supers +
                                                         i * panel_rows * layout<S>::super_bytes);
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
