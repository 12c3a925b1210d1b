// One format's measurement.
#pragma once

#include "formats.hpp"

#include <quant/policy/presets.hpp>
#include <quant/quantize/dequantize.hpp>
#include <quant/quantize/quantize.hpp>

#include <ctime>

namespace accuracy {

inline double thread_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

template <quant::quantization_scheme S>
sample measure(quant::matrix_view<const float> weights, quant::range_estimator range,
               quant::matrix_view<float> decoded) {
    quant::quantize_options options;
    options.range = range;
    const double start = thread_seconds();
    const auto quantized = quant::quantize<S>(weights, options);
    const double seconds = thread_seconds() - start;
    quant::dequantize(quantized, decoded);
    return {quant::measure_error(weights, quant::matrix_view<const float>(decoded)), seconds};
}

template <quant::quantization_scheme S>
constexpr format entry(const char* name, const char* family) {
    constexpr double bits = S::nominal_bits(4096, 4096) / (4096.0 * 4096.0);
    return {name, family, bits, S::is_two_level, &measure<S>};
}

} // namespace accuracy
