#include <quant/quant.hpp>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <vector>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;

int main() {
    std::vector<float> weights(64 * 128), y(2 * 64); // 64 outputs, 128 inputs; 2 tokens
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = std::sin(static_cast<float>(i));
    const std::vector<float> x(weights.begin(), weights.begin() + 2 * 128);

    auto w = quant::quantize_packed<w4>(quant::matrix_view(weights.data(), 64, 128));
    quant::matmul(quant::matrix_view(x.data(), 2, 128), w, quant::matrix_view(y.data(), 2, 64));

    const double exact = std::inner_product(x.begin(), x.begin() + 128, weights.begin(), 0.0);
    std::printf("y[0] = %.2f, in float %.2f\n", static_cast<double>(y[0]), exact);
    return std::fabs(static_cast<double>(y[0]) - exact) < 0.05 * exact ? 0 : 1;
}
