// The range of numbers that levels are to cover, and the scale that follows from it.
#pragma once

#include <quant/core/config.hpp>

#include <algorithm>
#include <cmath>

namespace quant::inline QUANT_VOCABULARY {

/// Numbers from `lowest` to `highest`, both finite.
struct value_range {
    float lowest = 0;
    float highest = 0;

    /// The largest magnitude in the range.
    [[nodiscard]] QUANT_DETAIL_INLINE float max_abs() const noexcept {
        return std::max(std::fabs(lowest), std::fabs(highest));
    }
    /// The least range around zero that holds this one: −max_abs() … max_abs().
    [[nodiscard]] QUANT_DETAIL_INLINE value_range symmetrized() const noexcept {
        return {0.0f - max_abs(), max_abs()};
    }
    /// Scale of static int8 activations, whose codes go from −127 to 127: max_abs() / 127, rounded
    /// to float; subnormal below 127·2^−126, 0 of a range that is zero.
    [[nodiscard]] QUANT_DETAIL_INLINE float int8_scale() const noexcept {
        return max_abs() / 127.0f;
    }

    friend constexpr bool operator==(const value_range&, const value_range&) noexcept = default;
};

/// Whether levels lie around zero.
enum class range_symmetry {
    symmetric,  ///< −a … a
    asymmetric, ///< both ends for themselves
};

} // namespace quant::inline QUANT_VOCABULARY
