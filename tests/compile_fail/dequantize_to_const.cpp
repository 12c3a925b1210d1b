// expect-error: quant::dequantize: the output view's elements are const
#include <quant/quant.hpp>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;

void f(const quant::quantized_matrix<w4>& q, quant::matrix_view<const float> out) {
    quant::dequantize(q, out);
}
