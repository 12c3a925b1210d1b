// Products with float matrices: the model that the quantized ones are compared with.
#pragma once

#include <quant/core/matrix_view.hpp>
#include <quant/core/thread_pool.hpp>

namespace lm {

/// y = x · wᵀ: y[t][o] = Σₖ x[t][k]·w[o][k], for x [tokens × in], w [out × in], y [tokens × out],
/// all with contiguous rows.
///
/// Each output is summed in an order that depends on the columns alone, not on the number of
/// tokens or threads.
void dense_product(quant::matrix_view<const float> x, quant::matrix_view<const float> w,
                   quant::matrix_view<float> y, quant::thread_pool& pool);

} // namespace lm
