// expect-error: quant::matmul: x is packed already; give prologues to pack_activations
#include <quant/quant.hpp>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;

void f(const quant::packed_activations<quant::default_activations<w4>>& x, quant::packed_view<w4> w,
       quant::matrix_view<float> y, std::span<const float> factors) {
    quant::matmul(x, w, y, quant::prologue::column_scale{factors});
}
