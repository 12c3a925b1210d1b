// The range of an array of floats.
#pragma once

#include <quant/core/matrix_view.hpp>
#include <quant/simd/lanes.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Least and greatest weight; `finite` is false if any weight is NaN or infinite.
struct group_range {
    float lowest = std::numeric_limits<float>::infinity();
    float highest = -std::numeric_limits<float>::infinity();
    bool finite = true;

    void merge(const group_range& other) noexcept {
        lowest = other.lowest < lowest ? other.lowest : lowest;
        highest = other.highest > highest ? other.highest : highest;
        finite = finite && other.finite;
    }
};

/// Whether no lane is NaN or infinite.
QUANT_DETAIL_INLINE bool all_finite(const simd::f32x16& values) noexcept {
    return !simd::any_greater(simd::float_to_bits(simd::abs(values)),
                              simd::broadcast<std::int32_t>(0x7F7FFFFF));
}

/// Range of n ≥ 1 floats at any address.
[[nodiscard]] inline group_range range_of(const float* weights, std::size_t n) noexcept {
    const float first = load_element(weights);
    simd::f32x16 lowest = simd::broadcast(first);
    simd::f32x16 highest = lowest;
    simd::f32x16 largest = simd::broadcast(0.0f);
    const auto include = [&](const simd::f32x16& w) QUANT_DETAIL_LAMBDA {
        lowest = simd::min(lowest, w);
        highest = simd::max(highest, w);
        // Magnitudes of non-finite numbers are the largest integers, NaN above infinity.
        largest = simd::bits_to_float(
            simd::max(simd::float_to_bits(largest), simd::float_to_bits(simd::abs(w))));
    };
    std::size_t i = 0;
    for (; i + 16 <= n; i += 16) include(simd::load<float>(weights + i));
    if (i < n) include(simd::load_partial(weights + i, n - i, first));

    group_range range;
    range.finite = all_finite(largest);
    range.lowest = simd::reduce_min(lowest);
    range.highest = simd::reduce_max(highest);
    return range;
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
