// The scheme is known only at run time: a list of those that the program was compiled for, one
// switch inside.
#include <quant/quant.hpp>

#include <cmath>
#include <cstdio>
#include <vector>

using w8 = quant::scheme<quant::int8, quant::symmetric, quant::per_channel, float>;
using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;
using w3 = quant::scheme<quant::int3, quant::asymmetric_min, quant::group_wise<32>, quant::fp16>;
using w2 = quant::scheme<quant::int2, quant::asymmetric_min, quant::group_wise<16>, quant::fp16>;

using any_weights = quant::any_packed_matrix<w8, w4, w3>;

int main() {
    constexpr std::size_t rows = 64, cols = 256;
    std::vector<float> weights(rows * cols), y(rows);
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = std::sin(static_cast<float>(i));
    const std::vector<float> x(weights.begin(), weights.begin() + cols);
    const quant::matrix_view w_view(weights.data(), rows, cols);

    int wrong = 0;
    for (const quant::scheme_descriptor& scheme : {quant::describe<w8>(), quant::describe<w4>(),
                                                   quant::describe<w3>(), quant::describe<w2>()}) {
        const auto w = any_weights::try_quantize(scheme, w_view);
        if (!w) {
            std::printf("%s: %s\n", to_string(scheme).c_str(), w.failure().what());
            wrong += scheme != quant::describe<w2>(); // w2 is not in the list
            continue;
        }
        quant::matmul(quant::matrix_view(x.data(), 1, cols), *w,
                      quant::matrix_view(y.data(), 1, rows));
        double error = 0, length = 0;
        for (std::size_t r = 0; r < rows; ++r) {
            double exact = 0;
            for (std::size_t c = 0; c < cols; ++c) {
                exact += static_cast<double>(x[c]) * static_cast<double>(weights[r * cols + c]);
            }
            error += std::pow(static_cast<double>(y[r]) - exact, 2);
            length += exact * exact;
        }
        const double relative = std::sqrt(error / length);
        std::printf("%s: %.2f bits per weight, relative error %.4f\n", to_string(scheme).c_str(),
                    w->nominal_bits() / (rows * cols), relative);
        wrong += relative > 0.1;
    }
    return wrong;
}
