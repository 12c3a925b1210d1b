// libFuzzer target: whatever the bytes of a GGUF file are, its tensors load as packed weights or
// are refused by name, and loaded weights are those that gguf::dequantize decodes, bit for bit.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
//       -Iinclude tests/fuzz/gguf_load_fuzz.cpp -o gguf_load_fuzz
//   tests/fuzz/seeds.py corpus
//   ./gguf_load_fuzz -max_len=4096 corpus/gguf_load_fuzz
#include "meter.hpp"

#include <quant/io/gguf.hpp>
#include <quant/kernel/any_packed_matrix.hpp>
#include <quant/pack/dequantize_packed.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace gguf = quant::gguf;
namespace presets = quant::presets;
using fuzzing::meter;
using fuzzing::require;

namespace {

// Of each way in which a codec reads and panels are packed one; all types' bytes are read by
// gguf_blocks_fuzz.
using any_weights =
    quant::any_packed_matrix<presets::q4_1, presets::q6_k, presets::tq2_0, presets::mxfp4>;

bool same(float a, float b) {
    return quant::core_detail::bit_cast<std::uint32_t>(a) ==
           quant::core_detail::bit_cast<std::uint32_t>(b);
}

void check_loaded(const gguf::tensor& from, const any_weights& loaded) {
    require(loaded.rows() == from.rows() && loaded.cols() == from.cols());
    std::vector<float> expected(from.elements()), weights(from.elements());
    require(gguf::try_dequantize(from.type(), from.data(), expected).has_value());
    const quant::matrix_view out(weights.data(), from.rows(), from.cols());
    const auto done =
        loaded.visit([&](const auto& packed) { return quant::try_dequantize(packed, out); });
    require(done.has_value());
    for (std::size_t i = 0; i < weights.size(); ++i) require(same(weights[i], expected[i]));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto model = gguf::file::try_parse(std::as_bytes(std::span(data, size)));
    if (!model) return 0;
    const auto together = gguf::try_load_any<any_weights>(model->tensors());
    require(together || together.failure().where().starts_with("gguf::load: "));
    for (const gguf::tensor& each : model->tensors()) {
        meter::start();
        const auto loaded = gguf::try_load_any<any_weights>(each);
        // Panels have 16 rows of whole superblocks, however few the tensor has.
        require(meter::peak() <= 64 * each.data().size() + 65536);
        if (loaded) {
            check_loaded(each, *loaded);
        } else {
            require(loaded.failure().where().starts_with("gguf::load: "));
        }
        const auto factor = gguf::try_scale_of(*model, each);
        require(factor ? std::isfinite(*factor)
                       : factor.failure().where().starts_with("gguf::scale_of: "));
    }
    return 0;
}
