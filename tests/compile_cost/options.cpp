#include <quant/quant.hpp>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;

quant::packed_matrix<w4> packed(quant::matrix_view<const float> weights,
                                const quant::quantize_options& options);
quant::packed_matrix<w4> packed(quant::matrix_view<const float> weights,
                                const quant::quantize_options& options) {
    return quant::quantize_packed<w4>(weights, options);
}
