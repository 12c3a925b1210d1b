// expect-error: products and pack_activations take one scratch at most
#include <quant/quant.hpp>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;

void f(quant::matrix_view<const float> x, quant::packed_view<w4> w, quant::matrix_view<float> y,
       quant::scratch memory) {
    quant::matmul(x, w, y, memory, memory);
}
