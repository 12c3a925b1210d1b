// What quantize_to_*.cpp instantiate.
#pragma once

#include "quantize_to.hpp"

#include <quant/io/gguf/quantize.hpp>
#include <quant/pack/dequantize_packed.hpp>
#include <quant/pack/pack.hpp>

namespace quantizer {

using quant::gguf::type;
namespace presets = quant::presets;

template <type Type>
void quantize_to<Type>::run(quant::matrix_view<const float> rows, std::span<std::byte> blocks,
                            const quant::quantize_options& options, quant::thread_pool& pool) {
    quant::gguf::quantize<Type>(rows, blocks, options, pool);
}

template <quant::quantization_scheme S>
packer pack_to<S>::functions() {
    packer made;
    made.bytes = [](std::size_t rows, std::size_t cols) {
        return quant::packed_size<S>(rows, cols);
    };
    made.header = [](std::size_t rows, std::size_t cols) {
        return quant::packed_header_of<S>(rows, cols);
    };
    made.quantize = [](quant::matrix_view<const float> rows, std::vector<std::byte>& panels,
                       std::span<float> stored, const quant::quantize_options& options,
                       quant::thread_pool& pool) {
        const auto packed = quant::quantize_packed<S>(rows, options, pool);
        const auto bytes = packed.bytes().subspan(sizeof quant::packed_header_of<S>(1, 1));
        panels.assign(bytes.begin(), bytes.end());
        quant::dequantize(packed, quant::matrix_view(stored.data(), rows.rows(), rows.cols()),
                          pool);
    };
    return made;
}

} // namespace quantizer
