// expect-error: this code's levels are not exact in these activations' numbers
#include <quant/quant.hpp>

using w4 = quant::presets::nf4_64;

void f(quant::matrix_view<const float> x, quant::packed_view<w4> w, quant::matrix_view<float> y) {
    quant::matmul<quant::activations::int8<quant::group_wise<64>>>(x, w, y);
}
