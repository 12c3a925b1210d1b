#include "dense.hpp"

#include "lanes.hpp"
#include "parallel.hpp"

#include <algorithm>
#include <cstddef>

namespace lm {
namespace {

using input = quant::matrix_view<const float>;
using output = quant::matrix_view<float>;

constexpr std::size_t tile_tokens = 4;
constexpr std::size_t tile_rows = 4;
/// Rows of w that one task multiplies with all tokens: few enough to stay in the second cache.
constexpr std::size_t task_rows = 32;

/// Outputs [t, t + Tokens) × [o, o + Rows); the accumulators stay in registers.
template <std::size_t Tokens, std::size_t Rows>
[[gnu::always_inline]] inline void tile(const input& x, const input& w, const output& y,
                                        std::size_t t, std::size_t o) {
    const std::size_t size = x.cols();
    const float* const x0 = x.row(t);
    const float* const w0 = w.row(o);
    lanes sums[Tokens][Rows] = {};
    std::size_t k = 0;
    for (; k + lane_count <= size; k += lane_count) {
        lanes weights[Rows];
#pragma GCC unroll 4
        for (std::size_t r = 0; r < Rows; ++r) {
            load_lanes(weights[r], w0 + r * w.row_stride() + k);
        }
#pragma GCC unroll 4
        for (std::size_t i = 0; i < Tokens; ++i) {
            lanes values;
            load_lanes(values, x0 + i * x.row_stride() + k);
#pragma GCC unroll 4
            for (std::size_t r = 0; r < Rows; ++r) sums[i][r] += values * weights[r];
        }
    }
#pragma GCC unroll 4
    for (std::size_t i = 0; i < Tokens; ++i) {
#pragma GCC unroll 4
        for (std::size_t r = 0; r < Rows; ++r) {
            float total = sum_lanes(sums[i][r]);
            for (std::size_t j = k; j < size; ++j) {
                total += x0[i * x.row_stride() + j] * w0[r * w.row_stride() + j];
            }
            y.row(t + i)[o + r] = total;
        }
    }
}

/// All tokens × Rows rows of w from o on.
template <std::size_t Rows>
void strip(const input& x, const input& w, const output& y, std::size_t o) {
    std::size_t t = 0;
    for (; t + tile_tokens <= x.rows(); t += tile_tokens) tile<tile_tokens, Rows>(x, w, y, t, o);
    for (; t < x.rows(); ++t) tile<1, Rows>(x, w, y, t, o);
}

} // namespace

void dense_product(input x, input w, output y, quant::thread_pool& pool) {
    const std::size_t tasks = (w.rows() + task_rows - 1) / task_rows;
    const std::size_t cost = 2 * x.rows() * x.cols() * task_rows;
    parallel_for(pool, tasks, cost, [&](std::size_t task) {
        const std::size_t end = std::min(w.rows(), (task + 1) * task_rows);
        std::size_t o = task * task_rows;
        for (; o + tile_rows <= end; o += tile_rows) strip<tile_rows>(x, w, y, o);
        for (; o < end; ++o) strip<1>(x, w, y, o);
    });
}

} // namespace lm
