#pragma once

#include <quant/quant.hpp>

// The same quantization in a second translation unit: links only if all of the library is inline.
quant::quantized_matrix<
    quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>>
second_translation_unit(quant::matrix_view<const float> weights);
