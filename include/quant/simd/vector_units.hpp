// What instruction sets do not tell of a CPU's vector units.
#pragma once

#include <quant/core/config.hpp>
#include <quant/simd/isa.hpp>

#include <cstdint>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

namespace quant::inline QUANT_ABI {
namespace simd {

#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64)
/// Whether CPUID calls the vendor "AuthenticAMD". Not by cpu.hpp's function: that is one for all
/// instruction sets, and must not be compiled for those of kernels; its header is no user's need.
[[nodiscard]] inline bool vendor_is_amd() noexcept {
    std::uint32_t b = 0, c = 0, d = 0;
#if defined(_MSC_VER) && !defined(__clang__)
    int words[4];
    __cpuid(words, 0);
    b = static_cast<std::uint32_t>(words[1]);
    c = static_cast<std::uint32_t>(words[2]);
    d = static_cast<std::uint32_t>(words[3]);
#else
    std::uint32_t leaf = 0;
    __asm__("cpuid" : "+a"(leaf), "=b"(b), "+c"(c), "=d"(d));
#endif
    return b == 0x68747541 && d == 0x69746E65 && c == 0x444D4163;
}
#else
[[nodiscard]] inline bool vendor_is_amd() noexcept { return false; }
#endif

/// Whether the cores are AMD's, where they have AVX-512. Their vector units are the reason of two
/// choices:
/// * least_tiles_ahead_here: two of four units multiply, and the others decode meanwhile. In
///   Intel's cores all that work on 512 bits multiply, and decoding takes turns with products.
/// * for_each_part: sums that are kept in memory from step to step cost products more than reading
///   activations twice does. A Zen 4 stores 512 bits every other cycle.
/// Measured on a Zen 4. The CPU is asked once for each instruction set that kernels are compiled
/// for; tests may set it, while nothing multiplies.
[[nodiscard]] inline bool& on_amd_cores() noexcept {
    static bool value = isa::current::vector_bytes == 64 && vendor_is_amd();
    return value;
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
