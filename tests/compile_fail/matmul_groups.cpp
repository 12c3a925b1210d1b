// expect-error: an activation group and a weight group must divide one another
#include <quant/quant.hpp>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;

void f(quant::matrix_view<const float> x, quant::packed_view<w4> w, quant::matrix_view<float> y) {
    quant::matmul<quant::activations::int8<quant::group_wise<48>>>(x, w, y);
}
