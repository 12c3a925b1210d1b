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
/// Rows of w that a task multiplies with all tokens: few enough to stay in the second cache.
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

/// Tokens [t, t + Tokens) × rows [first, last) of w.
template <std::size_t Tokens>
void strip(const input& x, const input& w, const output& y, std::size_t t, std::size_t first,
           std::size_t last) {
    std::size_t o = first;
    for (; o + tile_rows <= last; o += tile_rows) tile<Tokens, tile_rows>(x, w, y, t, o);
    for (; o < last; ++o) tile<Tokens, 1>(x, w, y, t, o);
}

} // namespace

void dense_product(input x, input w, output y, quant::thread_pool& pool) {
    const std::size_t tasks = (w.rows() + task_rows - 1) / task_rows;
    const std::size_t cost = 2 * x.rows() * x.cols() * task_rows;
    parallel_for(pool, tasks, cost, [&](std::size_t task) {
        const std::size_t first = task * task_rows;
        const std::size_t last = std::min(w.rows(), first + task_rows);
        std::size_t t = 0;
        for (; t + tile_tokens <= x.rows(); t += tile_tokens) {
            strip<tile_tokens>(x, w, y, t, first, last);
        }
        for (; t < x.rows(); ++t) strip<1>(x, w, y, t, first, last);
    });
}

} // namespace lm
