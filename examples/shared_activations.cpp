// Q, K and V multiply the same activations: quantize those once.
#include <quant/quant.hpp>

#include <cmath>
#include <cstdio>
#include <vector>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;
using w6 = quant::scheme<quant::int6, quant::asymmetric, quant::group_wise<64>, quant::fp16>;

static std::vector<float> wave(std::size_t n, float step) {
    std::vector<float> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = std::sin(step * static_cast<float>(i));
    return values;
}

int main() {
    constexpr std::size_t tokens = 3, width = 256, heads = 128;
    const auto x = wave(tokens * width, 0.7f), wq = wave(width * width, 1.1f),
               wk = wave(heads * width, 1.3f), wv = wave(heads * width, 1.7f);
    const auto q = quant::quantize_packed<w4>(quant::matrix_view(wq.data(), width, width));
    const auto k = quant::quantize_packed<w4>(quant::matrix_view(wk.data(), heads, width));
    const auto v = quant::quantize_packed<w6>(quant::matrix_view(wv.data(), heads, width));
    const quant::matrix_view x_view(x.data(), tokens, width);

    // Groups of 32 columns serve weights in groups of 32, of 64, or of whole rows.
    using a8 = quant::activations::int8<quant::group_wise<32>>;
    const auto packed_x = quant::pack_activations<a8>(x_view);

    std::vector<float> yq(tokens * width), yk(tokens * heads), yv(tokens * heads);
    quant::matmul(packed_x, q, quant::matrix_view(yq.data(), tokens, width));
    quant::matmul(packed_x, k, quant::matrix_view(yk.data(), tokens, heads));
    quant::matmul(packed_x, v, quant::matrix_view(yv.data(), tokens, heads));

    // The same bits as from activations that each product quantizes for itself.
    std::vector<float> again(tokens * heads);
    quant::matmul<a8>(x_view, v, quant::matrix_view(again.data(), tokens, heads));
    std::printf("y_v %s\n", yv == again ? "agrees" : "differs");
    return yv == again ? 0 : 1;
}
