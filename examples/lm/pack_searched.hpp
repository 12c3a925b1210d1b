// What searched_*.cpp instantiate.
#pragma once

#include "packed_weights.hpp"
#include "searched.hpp"

namespace lm {

template <class Preset>
weight_pointer pack_searched(quant::matrix_view<const float> weights, quant::thread_pool& pool) {
    quant::quantize_options options;
    options.range = quant::range_estimator::mse;
    return std::make_unique<packed_weights<Preset>>(
        quant::quantize_packed<Preset>(weights, options, pool));
}

} // namespace lm
