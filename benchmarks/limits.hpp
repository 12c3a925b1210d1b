// What this machine can do at best, measured in the same run as the kernels.
#pragma once

#include <quant/simd/dot4.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace limits {

template <class F>
double best_seconds(int repetitions, F&& f) {
    double best = 1e30;
    for (int i = 0; i < repetitions; ++i) {
        const auto start = std::chrono::steady_clock::now();
        f();
        const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
        best = std::min(best, taken.count());
    }
    return best;
}

/// Keeps a value from being optimized away.
template <class T>
void use(const T& value) {
    asm volatile("" : : "g"(&value) : "memory");
}

/// Operations (multiplications and additions) per second of one thread that does nothing but
/// 8-bit dot products on registers.
inline double dot_product_peak() {
    constexpr std::size_t chains = quant::isa::current::vector_bytes == 64 ? 12 : 4;
    constexpr int rounds = 1 << 16;
    quant::simd::i32x16 sums[chains];
    quant::detail::unroll<chains>(
        [&](auto i) { sums[i] = quant::simd::broadcast<std::int32_t>(1); });
    auto codes = quant::simd::broadcast<std::int32_t>(0x01020304);
    std::int32_t quad = 0x01010101;
    const double seconds = best_seconds(20, [&] {
        for (int r = 0; r < rounds; ++r) {
            asm volatile("" : "+r"(quad)); // a new activation each time, as in a product
            quant::detail::unroll<chains>([&](auto i) QUANT_DETAIL_LAMBDA {
                sums[i] = quant::simd::dot4<4>(sums[i], codes, quad);
            });
        }
    });
    quant::detail::unroll<chains>([&](auto i) { use(sums[i]); });
    return 2.0 * 64 * chains * rounds / seconds;
}

/// Floating-point operations per second of one thread that does nothing but multiply-adds.
inline double multiply_add_peak() {
    constexpr std::size_t chains = quant::isa::current::vector_bytes == 64 ? 12 : 4;
    constexpr int rounds = 1 << 16;
    quant::simd::f32x16 sums[chains];
    quant::detail::unroll<chains>([&](auto i) { sums[i] = quant::simd::broadcast(1.0f); });
    auto factor = quant::simd::broadcast(0.5f);
    use(factor);
    const double seconds = best_seconds(20, [&] {
        for (int r = 0; r < rounds; ++r) {
            quant::detail::unroll<chains>([&](auto i) QUANT_DETAIL_LAMBDA {
                sums[i] = quant::simd::fma(sums[i], factor, factor);
            });
        }
    });
    quant::detail::unroll<chains>([&](auto i) { use(sums[i]); });
    return 2.0 * 16 * chains * rounds / seconds;
}

/// Bytes per second at which one thread reads `size` bytes over and over.
inline double read_bandwidth(std::size_t size) {
    std::vector<std::byte> memory(size + 64, std::byte{1});
    const std::byte* from = memory.data();
    const double seconds = best_seconds(10, [&] {
        quant::simd::i32x16 sums[4];
        quant::detail::unroll<4>(
            [&](auto i) { sums[i] = quant::simd::broadcast<std::int32_t>(0); });
        for (std::size_t at = 0; at + 256 <= size; at += 256) {
            quant::detail::unroll<4>([&](auto i) QUANT_DETAIL_LAMBDA {
                sums[i] = sums[i] + quant::simd::load<std::int32_t>(from + at + 64 * i);
            });
        }
        quant::detail::unroll<4>([&](auto i) { use(sums[i]); });
    });
    return static_cast<double>(size) / seconds;
}

} // namespace limits
