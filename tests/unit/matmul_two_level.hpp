// Products of weights under two-level scales, against the reference.
#pragma once

#include "matmul_cases.hpp"
#include "two_level_cases.hpp"

namespace cases {

template <class S, class A>
void check_two_level_products() {
    CAPTURE(quant::to_string(quant::describe<S>()));
    quant::thread_pool pool(3);
    for (const shape size : two_level_shapes) {
        const auto [rows, cols] = size;
        const auto w = numbers(rows + cols).vector(rows * cols);
        const auto q = quant::quantize<S>(quant::matrix_view<const float>{w.data(), rows, cols});
        const auto meant = as_reference(q);
        const auto packed = quant::pack(q);
        for (const std::size_t tokens : {1u, 3u, 6u}) {
            CAPTURE(rows, cols, tokens);
            const auto x = numbers(rows * cols + tokens).vector(tokens * cols);
            std::vector<float> y(tokens * rows, -1);
            quant::matmul<A>(quant::matrix_view<const float>{x.data(), tokens, cols}, packed,
                             quant::matrix_view<float>{y.data(), tokens, rows}, pool);
            check_close<A>(y, x, tokens, meant);
        }
    }
}
} // namespace cases
