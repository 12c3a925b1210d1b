// What the program does with weights of one scheme: declared here, compiled in weights.cpp.
#pragma once

#include <quant/quant.hpp>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;

extern template quant::packed_matrix<w4>
    quant::quantize_packed<w4>(quant::matrix_view<const float>);
extern template void quant::matmul(const quant::matrix_view<const float>&,
                                   const quant::packed_matrix<w4>&, quant::matrix_view<float>);
