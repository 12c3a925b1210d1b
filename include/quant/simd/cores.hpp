// What instruction sets do not tell of a CPU's cores, and what products do otherwise for it.
#pragma once

#include <quant/core/config.hpp>
#include <quant/simd/isa.hpp>

#include <cstdint>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

namespace quant::inline QUANT_ABI {
namespace simd {

/// AMD's number of a family of CPUs, 0x19 for Zen 3 and 4, 0x1A for Zen 5, by CPUID's signature.
[[nodiscard]] constexpr std::uint32_t family_of(std::uint32_t signature) noexcept {
    const std::uint32_t base = signature >> 8 & 0xF, extended = signature >> 20 & 0xFF;
    return base == 0xF ? base + extended : base;
}

#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64)
struct cpuid_words {
    std::uint32_t a, b, c, d;
};

/// CPUID's answer. (cpu.hpp has the same for dispatch, in a namespace that files compiled for
/// different instruction sets share; kernels' files must not define anything there.)
[[nodiscard]] inline cpuid_words ask_cpuid(std::uint32_t leaf) noexcept {
#if defined(_MSC_VER) && !defined(__clang__)
    int words[4];
    __cpuid(words, static_cast<int>(leaf));
    return {static_cast<std::uint32_t>(words[0]), static_cast<std::uint32_t>(words[1]),
            static_cast<std::uint32_t>(words[2]), static_cast<std::uint32_t>(words[3])};
#else
    cpuid_words words{leaf, 0, 0, 0};
    __asm__("cpuid" : "+a"(words.a), "=b"(words.b), "+c"(words.c), "=d"(words.d));
    return words;
#endif
}

/// The family of an AMD CPU, 0 of what others make. Not inlined where it is asked for: CPUID takes
/// registers that loops need.
[[nodiscard]] QUANT_DETAIL_OUTLINE inline std::uint32_t amd_family() noexcept {
    const cpuid_words vendor = ask_cpuid(0);
    if (vendor.b != 0x68747541 || vendor.d != 0x69746E65 || vendor.c != 0x444D4163) return 0;
    return family_of(ask_cpuid(1).a);
}

/// Whether the CPU has AMX for bytes, which tells Intel's cores of 2023 and later from others,
/// whether or not the operating system lets a program use it.
[[nodiscard]] QUANT_DETAIL_OUTLINE inline bool has_amx() noexcept {
    constexpr std::uint32_t tile_and_int8 = 1u << 24 | 1u << 25; // leaf 7: edx
    return ask_cpuid(0).a >= 7 && (ask_cpuid(7).d & tile_and_int8) == tile_and_int8;
}
#else
[[nodiscard]] inline std::uint32_t amd_family() noexcept { return 0; }
[[nodiscard]] inline bool has_amx() noexcept { return false; }
#endif

// The CPU is asked once for each instruction set that kernels are compiled for; tests may set what
// follows, while nothing multiplies.

/// Whether the cores are AMD's, where they have AVX-512. That is the reason of two choices:
/// * least_tiles_ahead_here: two of four vector units multiply, and the others decode meanwhile. In
///   Intel's cores all that work on 512 bits multiply, and decoding takes turns with products.
/// * for_each_part of integers: sums that are kept in memory from step to step cost products more
///   than reading activations twice does.
/// Measured on a Zen 4 and a Zen 5.
[[nodiscard]] inline bool& on_amd_cores() noexcept {
    static bool value = isa::current::vector_bytes == 64 && amd_family() != 0;
    return value;
}

/// Whether float activations are multiplied with four panels in two parts (for_each_part). A Zen 4
/// stores 512 bits every other cycle, and parts leave outputs in registers. A Zen 5 stores as many
/// in each, and multiplies bf16 up to a tenth faster when activations are read once.
[[nodiscard]] inline bool& parts_float_panels() noexcept {
    static bool value = isa::current::vector_bytes == 64 && amd_family() == 0x19;
    return value;
}

/// Whether one token of integer activations asks for weights some way before it reads them
/// (ahead_within_panel), where it takes panels in turn. A Zen 5 reads memory a tenth to a half
/// faster so, the more the fewer the bits, and an Emerald Rapids a quarter to two fifths, 8 bits
/// but for a fortieth; a Zen 4 reads as fast as it can by itself. What AMD makes later is taken to
/// be like a Zen 5, Intel's with AMX like an Emerald Rapids.
[[nodiscard]] inline bool& asks_within_panels() noexcept {
    static bool value = isa::current::vector_bytes == 64 && (amd_family() >= 0x1A || has_amx());
    return value;
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
