// Matrices in the library's presets, with scales of least squared error. A preset's quantizer and
// products take seconds to compile: searched_*.cpp share them out.
#pragma once

#include "schemes.hpp"

#include <quant/policy/presets.hpp>

namespace lm {

/// A matrix_maker for a preset.
template <class Preset>
weight_pointer pack_searched(const float_matrix& weights, quant::thread_pool& pool);

/// A matrix_opener for a preset.
template <class Preset>
weight_pointer open_searched(const quant::packed_tensor& stored);

} // namespace lm
