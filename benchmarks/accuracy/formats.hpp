// The presets by name, each with the function that measures it. They are spread over files since
// each is a quantizer of its own to compile.
#pragma once

#include <quant/calibrate/metrics.hpp>
#include <quant/core/matrix_view.hpp>
#include <quant/quantize/options.hpp>

#include <span>

namespace accuracy {

struct sample {
    quant::error_sums errors;
    double seconds = 0; ///< of quantize, by the thread's CPU clock
};

/// Quantizes, dequantizes into `decoded`, and compares.
using measurement = sample (*)(quant::matrix_view<const float> weights,
                               quant::range_estimator range, quant::matrix_view<float> decoded);

struct format {
    const char* name;
    const char* family;
    double bits;     ///< per weight, scales counted, of 4096 × 4096
    bool two_levels; ///< range estimators make no difference
    measurement measure;
};

std::span<const format> integer_formats();
std::span<const format> k_formats();
std::span<const format> table_formats();
std::span<const format> minifloat_formats();
std::span<const format> best_few_bits();
std::span<const format> best_many_bits();

} // namespace accuracy
