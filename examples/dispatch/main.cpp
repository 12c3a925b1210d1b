// One program for all CPUs of an architecture: its kernels are compiled once per instruction set,
// and the first call chooses. QUANT_MAX_ISA=sse2 in the environment limits the choice.
#include "kernels.hpp"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

// FNV-1a, to compare results of different CPUs.
std::uint64_t hash_of(std::span<const std::byte> bytes) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const std::byte b : bytes) {
        hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001b3;
    }
    return hash;
}

// 64-byte lines, which packed weights begin with.
struct alignas(64) line {
    std::byte bytes[64];
};

// Cheap numbers without libm, which may differ between machines.
std::vector<float> numbers(std::size_t count, std::uint32_t seed) {
    std::vector<float> made(count);
    for (float& value : made) {
        seed = seed * 1664525u + 1013904223u;
        value = static_cast<float>(static_cast<std::int32_t>(seed) >> 8) / 8388608.0f;
    }
    return made;
}

} // namespace

int main() {
    constexpr std::size_t tokens = 7, rows = 80, cols = 352;
    const std::vector<float> weights = numbers(rows * cols, 1), x = numbers(tokens * cols, 2);
    std::vector<float> y(tokens * rows);

    constexpr std::size_t size = quant::packed_size<app::w4>(rows, cols);
    std::vector<line> memory(size / sizeof(line));
    const std::span packed(memory.data()->bytes, size);

    const app::kernels& best = quant::dispatch<app::kernels>();
    const auto w = best.quantize(quant::matrix_view(weights.data(), rows, cols), packed);
    if (!w) return std::puts(w.failure().what()), 1;
    const auto done = best.multiply(quant::matrix_view(x.data(), tokens, cols), *w,
                                    quant::matrix_view(y.data(), tokens, rows));
    if (!done) return std::puts(done.failure().what()), 1;

    double error = 0, length = 0;
    for (std::size_t t = 0; t < tokens; ++t) {
        for (std::size_t r = 0; r < rows; ++r) {
            double exact = 0;
            for (std::size_t c = 0; c < cols; ++c) {
                exact += static_cast<double>(x[t * cols + c]) *
                         static_cast<double>(weights[r * cols + c]);
            }
            error += std::pow(static_cast<double>(y[t * rows + r]) - exact, 2);
            length += exact * exact;
        }
    }
    const double relative = std::sqrt(error / length);
    std::printf("%s: weights %016llx, products %016llx, relative error %.4f\n",
                to_string(quant::dispatched_isa<app::kernels>()),
                static_cast<unsigned long long>(hash_of(packed)),
                static_cast<unsigned long long>(hash_of(std::as_bytes(std::span(y)))), relative);
    return relative < 0.2 ? 0 : 1;
}
