// What quantize_to_*.cpp instantiate.
#pragma once

#include "quantize_to.hpp"

#include <quant/io/gguf/quantize.hpp>

namespace quantizer {

using quant::gguf::type;

template <type Type>
void quantize_to<Type>::run(quant::matrix_view<const float> rows, std::span<std::byte> blocks,
                            const quant::quantize_options& options, quant::thread_pool& pool) {
    quant::gguf::quantize<Type>(rows, blocks, options, pool);
}

} // namespace quantizer
