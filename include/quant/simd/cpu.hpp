// What the CPU can do that runs the program, and the operating system lets it.
#pragma once

#include <quant/core/config.hpp>

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(_M_X64)
#include <intrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace quant::inline QUANT_VOCABULARY {

/// Instruction sets that code may be compiled for and chosen by at run time. Within an architecture
/// later ones are preferred; those that have AVX-512 need not have avxvnni.
enum class instruction_set {
    generic,              ///< whatever the compile flags allow; runs wherever the program does
    sse2,                 ///< every x86-64
    sse42,                ///< SSE4.2, POPCNT
    avx2,                 ///< sse42 and AVX2, FMA, F16C
    avxvnni,              ///< avx2 and AVX-VNNI
    avx512bw,             ///< avx2 and AVX-512 F, BW, VL, DQ, CD
    avx512vnni,           ///< avx512bw and VNNI
    avx512vnni_vbmi,      ///< avx512vnni and VBMI, VBMI2, IFMA
    avx512vnni_vbmi_bf16, ///< avx512vnni_vbmi and BF16
    neon,                 ///< every AArch64
    neon_dotprod,         ///< ARMv8.2 and dot products of bytes
    neon_i8mm,            ///< neon_dotprod and products of byte matrices
    neon_i8mm_bf16,       ///< neon_i8mm and bfloat16
};

/// Name of an instruction set, as its enumerator is spelt.
[[nodiscard]] constexpr const char* to_string(instruction_set isa) noexcept {
    switch (isa) {
    case instruction_set::generic: return "generic";
    case instruction_set::sse2: return "sse2";
    case instruction_set::sse42: return "sse42";
    case instruction_set::avx2: return "avx2";
    case instruction_set::avxvnni: return "avxvnni";
    case instruction_set::avx512bw: return "avx512bw";
    case instruction_set::avx512vnni: return "avx512vnni";
    case instruction_set::avx512vnni_vbmi: return "avx512vnni_vbmi";
    case instruction_set::avx512vnni_vbmi_bf16: return "avx512vnni_vbmi_bf16";
    case instruction_set::neon: return "neon";
    case instruction_set::neon_dotprod: return "neon_dotprod";
    case instruction_set::neon_i8mm: return "neon_i8mm";
    case instruction_set::neon_i8mm_bf16: return "neon_i8mm_bf16";
    }
    return "unknown";
}

namespace core_detail {

#if defined(__x86_64__) || defined(_M_X64)

struct cpuid_registers {
    std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

/// CPUID's answer; zeros for a leaf beyond the highest.
[[nodiscard]] inline cpuid_registers cpuid(std::uint32_t leaf, std::uint32_t subleaf) noexcept {
    cpuid_registers r;
#if defined(__x86_64__) // Compilers of GNU's language for Windows define _M_X64, too.
    if (__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) return {};
#else
    int words[4];
    __cpuid(words, 0);
    if (static_cast<std::uint32_t>(words[0]) < leaf) return r;
    __cpuidex(words, static_cast<int>(leaf), static_cast<int>(subleaf));
    r = {static_cast<std::uint32_t>(words[0]), static_cast<std::uint32_t>(words[1]),
         static_cast<std::uint32_t>(words[2]), static_cast<std::uint32_t>(words[3])};
#endif
    return r;
}

/// Registers that the operating system saves (XCR0); 0 if it does not tell.
[[nodiscard]] inline std::uint32_t saved_registers() noexcept {
    constexpr std::uint32_t osxsave = 1u << 27;
    if ((cpuid(1, 0).ecx & osxsave) == 0) return 0;
#if defined(__x86_64__)
    std::uint32_t eax = 0, edx = 0;
    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return eax;
#else
    return static_cast<std::uint32_t>(_xgetbv(0));
#endif
}

/// All of `bits` are set.
[[nodiscard]] constexpr bool has_bits(std::uint32_t word, std::uint32_t bits) noexcept {
    return (word & bits) == bits;
}

[[nodiscard]] inline bool x86_has(instruction_set isa) noexcept {
    // Bits by Intel's manual, volume 2, CPUID.
    // With POPCNT, which compilers take from -msse4.2.
    constexpr std::uint32_t sse42 = 1u << 20 | 1u << 23;     // 1: ecx
    constexpr std::uint32_t fma = 1u << 12, f16c = 1u << 29; // 1: ecx
    constexpr std::uint32_t avx2 = 1u << 5;                  // 7, 0: ebx
    constexpr std::uint32_t avx512bw = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
    constexpr std::uint32_t ifma = 1u << 21;
    constexpr std::uint32_t vbmi = 1u << 1 | 1u << 6, vnni = 1u << 11; // 7, 0: ecx
    constexpr std::uint32_t avxvnni = 1u << 4, bf16 = 1u << 5;         // 7, 1: eax
    constexpr std::uint32_t ymm = 0x06, zmm = 0xE6;                    // XCR0

    if (isa == instruction_set::sse2) return true;
    const cpuid_registers first = cpuid(1, 0);
    if (isa == instruction_set::sse42) return has_bits(first.ecx, sse42);

    const cpuid_registers more = cpuid(7, 0);
    const std::uint32_t saved = saved_registers();
    if (!has_bits(first.ecx, sse42 | fma | f16c) || !has_bits(more.ebx, avx2) ||
        !has_bits(saved, ymm)) {
        return false;
    }
    if (isa == instruction_set::avx2) return true;
    const std::uint32_t last = more.eax >= 1 ? cpuid(7, 1).eax : 0;
    if (isa == instruction_set::avxvnni) return has_bits(last, avxvnni);

    if (!has_bits(more.ebx, avx512bw) || !has_bits(saved, zmm)) return false;
    const bool has_vnni = has_bits(more.ecx, vnni);
    const bool has_vbmi = has_vnni && has_bits(more.ecx, vbmi) && has_bits(more.ebx, ifma);
    switch (isa) {
    case instruction_set::avx512bw: return true;
    case instruction_set::avx512vnni: return has_vnni;
    case instruction_set::avx512vnni_vbmi: return has_vbmi;
    case instruction_set::avx512vnni_vbmi_bf16: return has_vbmi && has_bits(last, bf16);
    default: return false;
    }
}

#elif defined(__aarch64__)

struct aarch64_features {
    bool dotprod = false, i8mm = false, bf16 = false;
};

#if defined(__linux__)
[[nodiscard]] inline aarch64_features read_aarch64_features() noexcept {
    // Bits by Linux's asm/hwcap.h, whose names older systems lack.
    const std::uint64_t first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
    // What compilers take from ARMv8.2 besides: CRC32, atomics, rounding multiplications.
    constexpr std::uint64_t armv8_2 = 1u << 7 | 1u << 8 | 1u << 12;
    const bool dotprod = (first & armv8_2) == armv8_2 && (first >> 20 & 1) != 0;
    return {dotprod, (second >> 13 & 1) != 0, (second >> 14 & 1) != 0};
}
#elif defined(__APPLE__)
[[nodiscard]] inline bool sysctl_is_set(const char* name) noexcept {
    int value = 0;
    std::size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}
[[nodiscard]] inline aarch64_features read_aarch64_features() noexcept {
    return {sysctl_is_set("hw.optional.arm.FEAT_DotProd"),
            sysctl_is_set("hw.optional.arm.FEAT_I8MM"), sysctl_is_set("hw.optional.arm.FEAT_BF16")};
}
#else
[[nodiscard]] inline aarch64_features read_aarch64_features() noexcept { return {}; }
#endif

[[nodiscard]] inline bool aarch64_has(instruction_set isa) noexcept {
    const aarch64_features has = read_aarch64_features();
    switch (isa) {
    case instruction_set::neon: return true;
    case instruction_set::neon_dotprod: return has.dotprod;
    case instruction_set::neon_i8mm: return has.dotprod && has.i8mm;
    case instruction_set::neon_i8mm_bf16: return has.dotprod && has.i8mm && has.bf16;
    default: return false;
    }
}

#endif

} // namespace core_detail

/// Whether code compiled for an instruction set runs here: the CPU has it, and the operating system
/// saves its registers. False for those of other architectures. Asks anew at each call.
[[nodiscard]] inline bool cpu_has(instruction_set isa) noexcept {
    if (isa == instruction_set::generic) return true;
#if defined(__x86_64__) || defined(_M_X64)
    return core_detail::x86_has(isa);
#elif defined(__aarch64__)
    return core_detail::aarch64_has(isa);
#else
    return false;
#endif
}

} // namespace quant::inline QUANT_VOCABULARY
