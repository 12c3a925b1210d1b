#include "weights.hpp"

template quant::packed_matrix<w4> quant::quantize_packed<w4>(quant::matrix_view<const float>);
template void quant::matmul(const quant::matrix_view<const float>&, const quant::packed_matrix<w4>&,
                            quant::matrix_view<float>);
