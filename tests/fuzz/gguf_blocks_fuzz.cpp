// libFuzzer target: whatever the bytes are, blocks of every GGUF type decode within their bounds,
// and each as it does alone. The first byte chooses the type.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
//       -Iinclude tests/fuzz/gguf_blocks_fuzz.cpp -o gguf_blocks_fuzz
//   tests/fuzz/seeds.py corpus
//   ./gguf_blocks_fuzz -max_len=4096 corpus/gguf_blocks_fuzz
#include "meter.hpp"

#include <quant/io/gguf.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace gguf = quant::gguf;
using fuzzing::require;

namespace {

bool same(float a, float b) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
    return quant::core_detail::bit_cast<std::uint32_t>(a) ==
           quant::core_detail::bit_cast<std::uint32_t>(b);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto which = static_cast<gguf::type>(data[0] % 64);
    const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
    const auto weights = gguf::try_block_size(which);
    if (!weights) {
        const auto refused = gguf::try_dequantize(which, bytes, {});
        require(!refused && refused.failure().code() == quant::errc::unsupported);
        return 0;
    }
    const std::size_t block_bytes = *gguf::try_block_bytes(which);
    const std::size_t count = bytes.size() / block_bytes;
    const auto blocks = bytes.first(count * block_bytes);
    if (blocks.size() != bytes.size()) {
        require(!gguf::try_dequantize(which, bytes, {}));
    }

    // On the heap, in the size that it must have, so that writing past its end is seen.
    std::vector<float> together(count * *weights);
    require(gguf::try_dequantize(which, blocks, together).has_value());
    std::vector<float> alone(*weights);
    for (std::size_t i = 0; i < count; ++i) {
        const auto block = blocks.subspan(i * block_bytes, block_bytes);
        require(gguf::try_dequantize(which, block, alone).has_value());
        for (std::size_t j = 0; j < *weights; ++j) {
            require(same(alone[j], together[i * *weights + j]));
        }
    }
    return 0;
}
