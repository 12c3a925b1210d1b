// gguf_decode ID: blocks of the GGUF type of this id on standard input, their floats as raw bytes
// on standard output. What gguf_oracle.py compares.
#include <quant/io/gguf/blocks.hpp>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: gguf_decode ID < blocks > floats\n", stderr);
        return 2;
    }
    const auto which = static_cast<quant::gguf::type>(std::strtoul(argv[1], nullptr, 10));
    std::vector<std::byte> blocks;
    std::byte piece[4096];
    while (const std::size_t got = std::fread(piece, 1, sizeof piece, stdin)) {
        blocks.insert(blocks.end(), piece, piece + got);
    }
    const auto size = quant::gguf::try_block_size(which);
    if (!size) {
        std::fprintf(stderr, "gguf_decode: %s\n", size.failure().what());
        return 1;
    }
    std::vector<float> floats(blocks.size() / *quant::gguf::try_block_bytes(which) * *size);
    const auto done = quant::gguf::try_dequantize(which, blocks, floats);
    if (!done) {
        std::fprintf(stderr, "gguf_decode: %s\n", done.failure().what());
        return 1;
    }
    return std::fwrite(floats.data(), sizeof(float), floats.size(), stdout) == floats.size() ? 0
                                                                                             : 1;
}
