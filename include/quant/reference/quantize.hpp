// What quantization means: scalar code that favours clarity over everything. Tests compare the
// vectorized code with it, byte by byte.
#pragma once

#include <quant/policy/scheme.hpp>

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace quant::inline QUANT_ABI {
namespace reference {

/// Product rounded to float before anything is added to it.
[[nodiscard]] inline float rounded_product(float a, float b) {
    volatile float product = a * b;
    return product;
}

/// Codes, scales and offsets of a matrix, all row-major.
template <quantization_scheme S>
struct quantized {
    std::size_t rows = 0;
    std::size_t cols = 0;
    std::vector<std::uint8_t> codes;              ///< rows × cols
    std::vector<typename S::scale_type> scales;   ///< scale_rows × groups_per_row
    std::vector<typename S::offset_type> offsets; ///< as scales, empty if S has none
    std::vector<typename S::super_type> supers{}; ///< two levels: rows × supers_per_row
    std::vector<typename S::super_type> super_minimums{};

    [[nodiscard]] std::size_t group_index(std::size_t row, std::size_t col) const {
        return S::scale_row(row) * S::groups_per_row(cols) + col / S::group_size(cols);
    }
    /// What group g's steps are multiplied by.
    [[nodiscard]] float scale(std::size_t g) const {
        if constexpr (S::is_two_level) {
            return static_cast<float>(supers[super_of(g)]) *
                   static_cast<float>(S::scale_value(scales[g])) * S::unit;
        } else {
            return static_cast<float>(scales[g]) * S::unit;
        }
    }
    /// What is added in group g.
    [[nodiscard]] float minimum(std::size_t g) const {
        if constexpr (!S::has_minimum) {
            return 0;
        } else if constexpr (S::is_two_level) {
            return rounded_product(static_cast<float>(super_minimums[super_of(g)]),
                                   static_cast<float>(offsets[g]));
        } else {
            return static_cast<float>(offsets[g]);
        }
    }
    [[nodiscard]] int zero_point(std::size_t g) const {
        if constexpr (S::has_zero_point) return offsets[g];
        return 0;
    }
    /// The table that group g chose.
    [[nodiscard]] int table(std::size_t g) const {
        if constexpr (S::tables == 2) return S::scale_table(scales[g]);
        return 0;
    }
    [[nodiscard]] std::size_t super_of(std::size_t g) const {
        const std::size_t groups = S::groups_per_row(cols);
        return g / groups * S::supers_per_row(cols) + g % groups / S::super_groups;
    }
};

/// Scales below the least normal float count as zero: their reciprocal would overflow.
[[nodiscard]] inline float flush_tiny(float scale) {
    return std::fabs(scale) < 0x1p-126f ? 0.0f : scale;
}

/// What steps are multiplied by, given the scale as it is stored: flushed, and times the unit.
template <quantization_scheme S>
[[nodiscard]] float step_size(typename S::scale_type scale) {
    return flush_tiny(static_cast<float>(scale) * S::unit);
}

/// The scale that is stored for a wanted one: the nearest number of its type; of powers of two,
/// which lie so far apart that the nearest would cut off weights, the next greater one.
template <class Scale>
[[nodiscard]] Scale scale_to_store(float wanted) {
    const Scale nearest(wanted);
    if constexpr (std::is_same_v<Scale, e8m0>) {
        if (wanted > static_cast<float>(nearest)) return e8m0(2 * static_cast<float>(nearest));
    }
    return nearest;
}

/// Scale and offset of a group that spans [lowest, highest], before they are stored.
struct fitted {
    float scale = 0;
    float minimum = 0; ///< asymmetric_min only
};

/// The min-max rule: every mapping's levels just cover [lowest, highest].
template <quantization_scheme S>
[[nodiscard]] fitted fit_min_max(float lowest, float highest) {
    const float n = static_cast<float>(S::max_code);
    using mapping = typename S::mapping_type;
    if constexpr (std::is_same_v<mapping, symmetric>) {
        const float extreme = highest > -lowest ? highest : lowest;
        if constexpr (!has_signed_scales<typename S::scale_type>) {
            // Both ends just fit; levels that begin at zero reach nothing below.
            if constexpr (S::least_step == 0) {
                return {std::max(highest / S::greatest_step, 0.0f) + 0.0f, 0};
            }
            return {std::max(highest / S::greatest_step, lowest / S::least_step) + 0.0f, 0};
        } else if constexpr (-S::least_step == S::greatest_step) {
            return {std::fabs(extreme) / S::greatest_step, 0};
        } else {
            // The element of largest magnitude sits on the farthest level, whatever its sign.
            constexpr bool below = -S::least_step > S::greatest_step;
            return {extreme / (below ? S::least_step : S::greatest_step), 0};
        }
    } else if constexpr (std::is_same_v<mapping, midrise>) {
        return {std::max(highest, -lowest) / n, 0};
    } else if constexpr (std::is_same_v<mapping, asymmetric>) {
        return {std::max(highest, 0.0f) / n - std::min(lowest, 0.0f) / n, 0};
    } else {
        return {highest / n - lowest / n, lowest};
    }
}

/// The code whose step is nearest to t. Of two equally near: the lower level of a table, the even
/// code of a minifloat. Beyond the ends, the end; −0 counts as 0.
template <quantization_scheme S>
[[nodiscard]] std::uint8_t nearest_step(float t) {
    if constexpr (S::levels == level_kind::table) {
        int code = 0;
        while (code < S::max_code && t > (S::step(code) + S::step(code + 1)) * 0.5f) ++code;
        return static_cast<std::uint8_t>(code);
    } else {
        using number = typename S::code_type;
        const float level = std::clamp(t, S::least_step, S::greatest_step) * S::unit;
        const number code(level);
        return static_cast<float>(code) == 0 ? std::uint8_t{0} : code.bits;
    }
}

/// The code nearest to `value` on a group's grid, whose levels are `scale` times steps.
template <quantization_scheme S>
[[nodiscard]] std::uint8_t encode(float value, float scale, float minimum, int zero_point) {
    using mapping = typename S::mapping_type;
    if (scale == 0) return static_cast<std::uint8_t>(S::zero_code);
    const float inverse = 1.0f / scale;
    const float n = static_cast<float>(S::max_code);
    float code = 0;
    if constexpr (!S::is_linear) {
        return nearest_step<S>(value * inverse);
    } else if constexpr (std::is_same_v<mapping, symmetric>) {
        code = std::nearbyint(value * inverse) + static_cast<float>(S::offset);
    } else if constexpr (std::is_same_v<mapping, midrise>) {
        code = std::floor(value * inverse * 0.5f) + static_cast<float>(S::zero_code);
    } else if constexpr (std::is_same_v<mapping, asymmetric>) {
        code = std::nearbyint(value * inverse) + static_cast<float>(zero_point);
    } else {
        code = std::nearbyint(std::clamp((value - minimum) * inverse, 0.0f, n));
    }
    return static_cast<std::uint8_t>(std::clamp(code, 0.0f, n));
}

/// The zero point of a group whose least element is `lowest`.
template <quantization_scheme S>
[[nodiscard]] int fit_zero_point(float lowest, float scale) {
    if (scale == 0) return 0;
    const float inverse = 1.0f / scale;
    const float z = std::nearbyint(-std::min(lowest, 0.0f) * inverse);
    return static_cast<int>(std::clamp(z, 0.0f, static_cast<float>(S::max_code)));
}

/// Quantizes finite weights, rows × cols, by the min-max rule. Scales must fit their type.
template <quantization_scheme S>
[[nodiscard]] quantized<S> quantize(const std::vector<float>& w, std::size_t rows,
                                    std::size_t cols) {
    using scale_type = typename S::scale_type;
    const std::size_t groups = S::scale_rows(rows) * S::groups_per_row(cols);
    quantized<S> q{
        rows, cols, std::vector<std::uint8_t>(rows * cols), std::vector<scale_type>(groups), {}};
    std::vector<float> lowest(groups, INFINITY), highest(groups, -INFINITY);
    for (std::size_t i = 0; i < w.size(); ++i) {
        const std::size_t g = q.group_index(i / cols, i % cols);
        lowest[g] = std::min(lowest[g], w[i]);
        highest[g] = std::max(highest[g], w[i]);
    }
    std::vector<float> minimum(groups, 0);
    std::vector<int> zero_point(groups, 0);
    for (std::size_t g = 0; g < groups; ++g) {
        const fitted fit = fit_min_max<S>(lowest[g], highest[g]);
        q.scales[g] = scale_type(
            flush_tiny(static_cast<float>(scale_to_store<scale_type>(fit.scale / S::unit))));
        minimum[g] = static_cast<float>(scale_type(fit.minimum)) + 0.0f; // −0 becomes 0
        zero_point[g] = fit_zero_point<S>(lowest[g], step_size<S>(q.scales[g]));
        if constexpr (S::has_minimum) q.offsets.push_back(scale_type(minimum[g]));
        if constexpr (S::has_zero_point) {
            q.offsets.push_back(static_cast<std::uint8_t>(zero_point[g]));
        }
    }
    for (std::size_t i = 0; i < w.size(); ++i) {
        const std::size_t g = q.group_index(i / cols, i % cols);
        q.codes[i] = encode<S>(w[i], step_size<S>(q.scales[g]), minimum[g], zero_point[g]);
    }
    return q;
}

/// What a group's step size multiplies; an integer where the scheme has integer steps.
template <quantization_scheme S>
[[nodiscard]] float level(int code, int zero_point, int table = 0) {
    return S::step(code, table) - static_cast<float>(zero_point);
}

/// The real numbers that codes stand for: s·t, plus the minimum where there is one.
template <quantization_scheme S>
[[nodiscard]] std::vector<float> dequantize(const quantized<S>& q) {
    std::vector<float> w(q.codes.size());
    for (std::size_t i = 0; i < w.size(); ++i) {
        const std::size_t g = q.group_index(i / q.cols, i % q.cols);
        w[i] = rounded_product(q.scale(g), level<S>(q.codes[i], q.zero_point(g), q.table(g)));
        if constexpr (S::has_minimum) w[i] += q.minimum(g);
    }
    return w;
}

} // namespace reference
} // namespace quant::inline QUANT_ABI
