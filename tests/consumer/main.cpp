// What every consumer builds: one product with 4-bit weights, compared with the same in float, and
// kernels that are chosen at run time.
#include <quant/dispatch.hpp>
#include <quant/quant.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <vector>

#include "kernels.hpp"
#include "second.hpp"

#if defined(EXPECT_NO_THREADS) != defined(QUANT_NO_THREADS)
#error "QUANT_NO_THREADS does not reach this program as its project says"
#endif

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;

int main() {
    constexpr std::size_t tokens = 3, rows = 16, cols = 64;
    std::vector<float> weights(rows * cols), x(tokens * cols), y(tokens * rows);
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = std::sin(static_cast<float>(i));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::cos(static_cast<float>(i));

    const quant::matrix_view<const float> w{weights.data(), rows, cols};
    const quant::quantized_matrix<w4> q = quant::quantize<w4>(w);
    const quant::packed_matrix<w4> p = quant::pack(q);
    quant::matmul(quant::matrix_view<const float>{x.data(), tokens, cols}, p,
                  quant::matrix_view<float>{y.data(), tokens, rows});

    // Half a step of 4 bits is 1/14 of the largest weight, 1; over 64 columns the errors of random
    // sign add up to a fraction of the bound.
    float largest_error = 0;
    for (std::size_t t = 0; t < tokens; ++t) {
        for (std::size_t r = 0; r < rows; ++r) {
            float sum = 0;
            for (std::size_t c = 0; c < cols; ++c) sum += x[t * cols + c] * weights[r * cols + c];
            largest_error = std::fmax(largest_error, std::fabs(sum - y[t * rows + r]));
        }
    }
    const bool same_elsewhere = second_translation_unit(w) == q;
    const consumer_kernels& kernels = quant::dispatch<consumer_kernels>();
    const bool kernels_agree = kernels.largest(weights.data(), weights.size()) ==
                               *std::max_element(weights.begin(), weights.end());
    std::printf("largest error %.3f, other translation unit %s, kernels for %s %s\n",
                static_cast<double>(largest_error), same_elsewhere ? "agrees" : "differs",
                kernels.compiled_for(), kernels_agree ? "agree" : "differ");
    return largest_error < 2.0f && same_elsewhere && kernels_agree ? 0 : 1;
}
