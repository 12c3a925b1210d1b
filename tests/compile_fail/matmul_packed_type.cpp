// expect-error: the activations were packed as another type
#include <quant/quant.hpp>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;

void f(quant::matrix_view<const float> x, quant::packed_view<w4> w, quant::matrix_view<float> y) {
    const auto packed = quant::pack_activations<quant::activations::fp32>(x);
    quant::matmul<quant::activations::int16>(packed, w, y);
}
