// The quantizers behind the table of schemes. Each takes seconds to compile: quantize_to_*.cpp
// share them out.
#pragma once

#include "schemes.hpp"

#include <quant/policy/presets.hpp>

namespace quantizer {

template <quant::gguf::type Type>
struct quantize_to {
    /// A row_quantizer.
    static void run(quant::matrix_view<const float> rows, std::span<std::byte> blocks,
                    const quant::quantize_options& options, quant::thread_pool& pool);
};

template <quant::quantization_scheme S>
struct pack_to {
    static packer functions();
};

} // namespace quantizer
