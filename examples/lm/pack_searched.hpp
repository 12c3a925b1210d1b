// What searched_*.cpp instantiate.
#pragma once

#include "packed_weights.hpp"
#include "searched.hpp"

namespace lm {

template <class Preset>
weight_pointer pack_searched(const float_matrix& weights, quant::thread_pool& pool) {
    quant::quantize_options options;
    options.range = quant::range_estimator::mse;
    return std::make_unique<packed_weights<quant::packed_matrix<Preset>>>(
        quant::quantize_packed<Preset>(weights.view(), options, pool));
}

} // namespace lm
