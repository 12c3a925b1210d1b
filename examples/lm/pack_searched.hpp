// What searched_*.cpp instantiate.
#pragma once

#include "packed_weights.hpp"
#include "searched.hpp"

namespace lm {

template <class Preset>
weight_pointer pack_searched(const float_matrix& weights, quant::thread_pool& pool) {
    quant::quantize_options options;
    options.range = quant::range_estimator::mse;
    return keep(quant::quantize_packed<Preset>(weights.view(), options, pool));
}

template <class Preset>
weight_pointer open_searched(const quant::packed_tensor& stored) {
    return open_as<Preset>(stored);
}

} // namespace lm
