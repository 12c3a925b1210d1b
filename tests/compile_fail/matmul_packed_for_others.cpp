// expect-error: packed for other groups; use pack_activations<A, S>\(x\)
#include <quant/quant.hpp>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<5>, quant::fp16>;

void f(quant::matrix_view<const float> x, quant::packed_view<w4> w, quant::matrix_view<float> y) {
    quant::matmul(quant::pack_activations<quant::activations::fp32>(x), w, y);
}
