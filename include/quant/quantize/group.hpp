// One group of weights that share a scale: its range, its grid, its codes and back.
//
// reference/quantize.hpp defines the same in scalar code; the bytes are equal on every instruction
// set. Products never feed an addition here, so there is nothing that a compiler could fuse.
#pragma once

#include <quant/core/matrix_view.hpp>
#include <quant/policy/scheme.hpp>
#include <quant/simd/convert.hpp>

#include <algorithm>
#include <cmath>
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

    float magnitudes[16];
    simd::store(magnitudes, largest);
    group_range range;
    for (const float m : magnitudes) range.finite = range.finite && std::isfinite(m);
    range.lowest = simd::reduce_min(lowest);
    range.highest = simd::reduce_max(highest);
    return range;
}

/// What a group stores, and whether that fits the scale's type.
template <quantization_scheme S>
struct stored_group {
    typename S::scale_type scale{};
    typename S::offset_type offset{};
    bool fits = true;
};

/// What a stored scale and offset mean for the codes of their group.
struct group_grid {
    float scale = 0;
    float inverse = 0; ///< 1 / scale, or 0 for a zero scale
    float minimum = 0;
    std::int32_t zero_point = 0;

    template <quantization_scheme S>
    [[nodiscard]] static group_grid of(typename S::scale_type scale,
                                       typename S::offset_type offset) noexcept {
        group_grid grid;
        grid.scale = static_cast<float>(scale);
        grid.inverse = grid.scale == 0 ? 0 : 1.0f / grid.scale;
        if constexpr (S::has_minimum) grid.minimum = static_cast<float>(offset);
        if constexpr (S::has_zero_point) grid.zero_point = offset;
        return grid;
    }
};

/// The scale before it is stored: the min-max rule of each mapping.
template <quantization_scheme S>
[[nodiscard]] float min_max_scale(const group_range& range) noexcept {
    using mapping = typename S::mapping_type;
    constexpr float n = static_cast<float>(S::max_code);
    if constexpr (std::is_same_v<mapping, symmetric>) {
        // The weight of largest magnitude sits on the outermost level, −2^(B−1); the scale takes
        // its sign. Uses all levels: 5 to 10 % less error at 4 bits than a positive scale.
        const float extreme = range.highest > -range.lowest ? range.highest : range.lowest;
        return -extreme / static_cast<float>(S::offset);
    } else if constexpr (std::is_same_v<mapping, midrise>) {
        return (range.highest > -range.lowest ? range.highest : -range.lowest) / n;
    } else if constexpr (std::is_same_v<mapping, asymmetric>) {
        // The levels include zero, so that it stays exact.
        const float highest = range.highest > 0 ? range.highest : 0;
        const float lowest = range.lowest < 0 ? range.lowest : 0;
        return highest / n - lowest / n;
    } else {
        return range.highest / n - range.lowest / n; // the difference itself may overflow
    }
}

/// Rounds a group's scale and offset to what is stored. Scales below 2^-126, whose reciprocal
/// would overflow, become zero.
template <quantization_scheme S>
[[nodiscard]] stored_group<S> store_group(float scale, float lowest) noexcept {
    using scale_type = typename S::scale_type;
    stored_group<S> stored;
    stored.scale = scale_type(scale);
    float rounded = static_cast<float>(stored.scale);
    if (std::fabs(rounded) < 0x1p-126f) {
        stored.scale = scale_type(0.0f);
        rounded = 0;
    }
    int farthest = std::max(S::offset, S::multiplier * S::max_code - S::offset); // level, in steps
    if constexpr (S::has_minimum) {
        stored.offset = scale_type(lowest);
        const float minimum = static_cast<float>(stored.offset);
        if (minimum == 0) stored.offset = scale_type(0.0f); // never −0
        if (!std::isfinite(minimum)) stored.fits = false;
    }
    if constexpr (S::has_zero_point) {
        const float below = lowest < 0 ? -lowest : 0;
        const float nearest = rounded == 0 ? 0 : std::nearbyint(below * (1.0f / rounded));
        constexpr float n = static_cast<float>(S::max_code);
        stored.offset = static_cast<std::uint8_t>(nearest < n ? nearest : n);
        farthest = std::max(int{stored.offset}, S::max_code - int{stored.offset});
    }
    // Levels, too, must be finite, or weights near the largest float would come back infinite.
    float extent = rounded * static_cast<float>(farthest);
    if constexpr (S::has_minimum) extent += static_cast<float>(stored.offset);
    if (!std::isfinite(extent)) stored.fits = false;
    return stored;
}

/// Scale and offset that cover a range.
template <quantization_scheme S>
[[nodiscard]] stored_group<S> fit_min_max(const group_range& range) noexcept {
    return store_group<S>(min_max_scale<S>(range), range.lowest);
}

/// Codes of sixteen weights on a grid.
template <quantization_scheme S>
QUANT_DETAIL_INLINE simd::i32x16 encode(const simd::f32x16& weights,
                                        const group_grid& grid) noexcept {
    using mapping = typename S::mapping_type;
    const auto zero = simd::broadcast<std::int32_t>(0);
    const auto last = simd::broadcast<std::int32_t>(S::max_code);
    const auto inverse = simd::broadcast(grid.inverse);
    simd::i32x16 code;
    if constexpr (std::is_same_v<mapping, symmetric>) {
        code = simd::nearest(weights * inverse) + simd::broadcast<std::int32_t>(S::offset);
    } else if constexpr (std::is_same_v<mapping, midrise>) {
        const auto pair = simd::floor(weights * inverse * simd::broadcast(0.5f));
        code = simd::nearest(pair) + simd::broadcast<std::int32_t>(S::zero_code);
    } else if constexpr (std::is_same_v<mapping, asymmetric>) {
        code = simd::nearest(weights * inverse) + simd::broadcast(grid.zero_point);
    } else {
        // The difference may overflow to infinity; clamped, it still means the last code.
        const auto steps = (weights - simd::broadcast(grid.minimum)) * inverse;
        return simd::nearest(simd::min(simd::max(steps, simd::broadcast(0.0f)),
                                       simd::broadcast(static_cast<float>(S::max_code))));
    }
    return simd::min(simd::max(code, zero), last);
}

/// Codes of n weights at any address.
template <quantization_scheme S>
void encode_group(const float* weights, std::size_t n, const group_grid& grid,
                  std::uint8_t* codes) noexcept {
    if (grid.scale == 0) {
        std::memset(codes, S::zero_code, n);
        return;
    }
    std::size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        simd::store_u8(codes + i, encode<S>(simd::load<float>(weights + i), grid));
    }
    if (i < n) {
        std::uint8_t last[16];
        simd::store_u8(last, encode<S>(simd::load_partial(weights + i, n - i, 0.0f), grid));
        std::memcpy(codes + i, last, n - i);
    }
}

/// Weights of sixteen codes on a grid: s·t, plus the minimum where there is one.
template <quantization_scheme S>
QUANT_DETAIL_INLINE simd::f32x16 decode(const simd::i32x16& codes,
                                        const group_grid& grid) noexcept {
    const auto shift = simd::broadcast<std::int32_t>(S::offset + grid.zero_point);
    const auto level = (S::multiplier == 1 ? codes : codes + codes) - shift;
    const auto scaled = simd::rounded_product(simd::broadcast(grid.scale), simd::to_float(level));
    if constexpr (S::has_minimum) return scaled + simd::broadcast(grid.minimum);
    return scaled;
}

/// Weights of n codes, to any address.
template <quantization_scheme S>
void decode_group(const std::uint8_t* codes, std::size_t n, const group_grid& grid,
                  float* weights) noexcept {
    std::size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        simd::store(weights + i, decode<S>(simd::load_u8(codes + i), grid));
    }
    if (i < n) {
        std::uint8_t last[16] = {};
        std::memcpy(last, codes + i, n - i);
        simd::store_partial(weights + i, decode<S>(simd::load_u8(last), grid), n - i);
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
