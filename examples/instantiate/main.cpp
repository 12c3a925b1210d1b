// One of a large program's many files: it calls what weights.cpp has compiled, once for all.
#include "weights.hpp"

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <numeric>
#include <vector>

int main() {
    std::vector<float> weights(64 * 128), y(64);
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = std::sin(static_cast<float>(i));
    const std::vector<float> x(weights.begin(), weights.begin() + 128);

    const auto w =
        quant::quantize_packed<w4>(quant::matrix_view<const float>(weights.data(), 64, 128));
    quant::matmul(quant::matrix_view<const float>(x.data(), 1, 128), w,
                  quant::matrix_view<float>(y.data(), 1, 64));

    const double exact = std::inner_product(x.begin(), x.end(), weights.begin(), 0.0);
    std::printf("y[0] = %.2f, in float %.2f\n", static_cast<double>(y[0]), exact);
    return std::fabs(static_cast<double>(y[0]) - exact) < 0.05 * exact ? 0 : 1;
}
