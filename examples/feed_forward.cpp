// A gated feed-forward layer, x += (silu(x · gᵀ) · (x · uᵀ)) · dᵀ: three products, and no pass over
// memory but theirs.
#include <quant/quant.hpp>

#include <cmath>
#include <cstdio>
#include <vector>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;
using a8 = quant::default_activations<w4>;

static std::vector<float> wave(std::size_t n, float step) {
    std::vector<float> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = std::sin(step * static_cast<float>(i));
    return values;
}

int main() {
    constexpr std::size_t tokens = 3, width = 128, hidden = 320;
    const auto gate_weights = wave(hidden * width, 1.1f), up_weights = wave(hidden * width, 1.3f),
               down_weights = wave(width * hidden, 1.7f);
    const auto gate =
        quant::quantize_packed<w4>(quant::matrix_view(gate_weights.data(), hidden, width));
    const auto up =
        quant::quantize_packed<w4>(quant::matrix_view(up_weights.data(), hidden, width));
    const auto down =
        quant::quantize_packed<w4>(quant::matrix_view(down_weights.data(), width, hidden));

    std::vector<float> stream = wave(tokens * width, 0.7f), inner(tokens * hidden);
    const std::vector<float> before = stream;
    const quant::matrix_view x(stream.data(), tokens, width), h(inner.data(), tokens, hidden);
    const std::vector<float> norm_gains(width, 0.5f);

    // Gains per column are applied while x is quantized, once for both products.
    const auto packed_x = quant::pack_activations<a8>(x, quant::prologue::column_scale{norm_gains});
    quant::matmul(packed_x, gate, h, quant::epilogue::silu{});
    quant::matmul(packed_x, up, h, quant::epilogue::gate{h});
    quant::matmul(h, down, x, quant::epilogue::accumulate{});

    // The same by hand.
    std::vector<float> scaled(before), a(tokens * hidden), b(tokens * hidden), y(tokens * width);
    for (float& v : scaled) v *= 0.5f;
    const quant::matrix_view s(scaled.data(), tokens, width);
    quant::matmul(s, gate, quant::matrix_view(a.data(), tokens, hidden));
    quant::matmul(s, up, quant::matrix_view(b.data(), tokens, hidden));
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = a[i] / (1 + std::exp(-a[i])) * b[i];
    quant::matmul(quant::matrix_view(a.data(), tokens, hidden), down,
                  quant::matrix_view(y.data(), tokens, width));
    float largest = 0, difference = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
        const float expected = before[i] + y[i];
        largest = std::fmax(largest, std::fabs(expected));
        difference = std::fmax(difference, std::fabs(stream[i] - expected));
    }
    const bool agrees = difference < 1e-2f * largest;
    std::printf("by stages and by hand: %s\n", agrees ? "the same" : "different");
    return agrees ? 0 : 1;
}
