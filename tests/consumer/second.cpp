#include "second.hpp"

quant::quantized_matrix<
    quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>>
second_translation_unit(quant::matrix_view<const float> weights) {
    return quant::quantize<
        quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>>(weights);
}
