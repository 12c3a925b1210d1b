// What products mean: scalar code in the documented order of operations. Integer-activation
// kernels with fused multiply-add give the same bits; float activations too.
#pragma once

#include <quant/policy/activations.hpp>
#include <quant/reference/quantize.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace quant::inline QUANT_ABI {
namespace reference {

/// One row of activations in A's numbers: codes (or floats) and their scale per column.
struct activation_row {
    std::vector<float> values; ///< integer codes, or real numbers for bf16 and fp32
    std::vector<float> scales; ///< per column; 1 for bf16 and fp32
    bool finite = true;
};

template <activation A>
[[nodiscard]] activation_row quantize_activations(const float* x, std::size_t cols) {
    activation_row row{std::vector<float>(x, x + cols), std::vector<float>(cols, 1.0f), true};
    for (std::size_t k = 0; k < cols; ++k) row.finite = row.finite && std::isfinite(x[k]);
    if (!row.finite) return row;
    if constexpr (std::is_same_v<A, activations::bf16>) {
        for (float& v : row.values) v = static_cast<float>(bf16(v));
    }
    if constexpr (is_integer_activation<A>) {
        const std::size_t size = A::group_cols == all ? cols : A::group_cols;
        const float last = static_cast<float>(A::max_code);
        for (std::size_t first = 0; first < cols; first += size) {
            const std::size_t end = std::min(cols, first + size);
            float largest = 0;
            for (std::size_t k = first; k < end; ++k) largest = std::max(largest, std::fabs(x[k]));
            const float scale = flush_tiny(largest / last);
            for (std::size_t k = first; k < end; ++k) {
                const float code = scale == 0 ? 0 : std::nearbyint(x[k] * (1.0f / scale));
                row.values[k] = std::clamp(code, -last, last);
                row.scales[k] = scale;
            }
        }
    }
    return row;
}

/// Σ x of a block of float activations: sixteen sums of every sixteenth column each, then sums of
/// those 8, 4, 2 and 1 apart.
struct block_sum {
    float partial[16] = {};

    [[nodiscard]] float total() const {
        float sums[16];
        std::copy_n(partial, 16, sums);
        for (std::size_t apart = 8; apart > 0; apart /= 2) {
            for (std::size_t i = 0; i < apart; ++i) sums[i] += sums[i + apart];
        }
        return sums[0];
    }
};

/// One output: row `r` of the weights times one row of activations.
template <activation A, quantization_scheme S>
[[nodiscard]] float dot(const quantized<S>& w, std::size_t r, const activation_row& x) {
    constexpr bool integer = is_integer_activation<A>;
    constexpr std::size_t longest_step = 65536;
    // Blocks of 32 columns carry one sum where weight groups allow it, else steps do.
    constexpr bool sums_by_32 = S::group_cols == all || S::group_cols % 32 == 0;
    std::size_t act_group = all;
    if constexpr (integer) act_group = A::group_cols;
    const bool per_token = act_group == all;
    float y = 0;
    const std::size_t size = S::group_size(w.cols);
    for (std::size_t c = 0; c < w.cols; c += size) {
        const std::size_t end = std::min(w.cols, c + size);
        const std::size_t g = w.group_index(r, c);
        const float scale = w.scale(g);
        const int z = w.zero_point(g), table = w.table(g);
        for (std::size_t k = c; k < end;) {
            std::size_t step_end = std::min(end, k + longest_step);
            if (!per_token) step_end = std::min(step_end, (k / act_group + 1) * act_group);
            const float x_scale = per_token ? 1.0f : x.scales[k];
            std::int64_t exact = 0, exact_sum = 0;
            std::int64_t low = 0, high = 0;
            float chained = 0, sum = 0;
            block_sum block;
            const std::size_t first = k;
            for (; k < step_end; ++k) {
                const float step = level<S>(w.codes[r * w.cols + k], z, table);
                if constexpr (integer) {
                    const auto t = static_cast<std::int64_t>(step);
                    const auto code = static_cast<std::int64_t>(x.values[k]);
                    const std::int64_t upper = A::halves == 2 ? (code + 128) >> 8 : 0;
                    high += t * upper;
                    low += t * (code - 256 * upper);
                    exact += t * code;
                    exact_sum += code;
                } else {
                    chained = std::fma(step, x.values[k], chained);
                    block.partial[(k - first) % 16] += x.values[k];
                    if (sums_by_32 && (k - first) % 32 == 31) {
                        sum += block.total();
                        block = {};
                    }
                }
            }
            sum += block.total();
            float d = chained;
            if constexpr (integer) {
                d = A::halves == 2
                        ? std::fma(static_cast<float>(high), 256.0f, static_cast<float>(low))
                        : static_cast<float>(exact);
                sum = rounded_product(static_cast<float>(exact_sum), x_scale);
            }
            y = std::fma(d, rounded_product(scale, x_scale), y);
            if constexpr (S::has_minimum) y = std::fma(sum, w.minimum(g), y);
        }
    }
    return integer && per_token ? rounded_product(y, x.scales[0]) : y;
}

/// y[tokens × rows] = x[tokens × cols] · wᵀ.
template <activation A, quantization_scheme S>
[[nodiscard]] std::vector<float> matmul(const std::vector<float>& x, std::size_t tokens,
                                        const quantized<S>& w) {
    std::vector<float> y(tokens * w.rows);
    for (std::size_t t = 0; t < tokens; ++t) {
        const auto row = quantize_activations<A>(x.data() + t * w.cols, w.cols);
        for (std::size_t r = 0; r < w.rows; ++r) {
            y[t * w.rows + r] =
                row.finite ? dot<A>(w, r, row) : std::numeric_limits<float>::quiet_NaN();
        }
    }
    return y;
}

} // namespace reference
} // namespace quant::inline QUANT_ABI
