#include <quant/quant.hpp>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;

void project(quant::matrix_view<const float> x, quant::packed_view<w4> w,
             quant::matrix_view<float> y);
void project(quant::matrix_view<const float> x, quant::packed_view<w4> w,
             quant::matrix_view<float> y) {
    quant::matmul(x, w, y);
}
