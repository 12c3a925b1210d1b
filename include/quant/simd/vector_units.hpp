// What instruction sets do not tell of a CPU's vector units.
#pragma once

#include <quant/core/config.hpp>
#include <quant/simd/cpu.hpp>

namespace quant::inline QUANT_ABI {
namespace simd {

/// Whether the cores are AMD's, to whose vector units two choices are due:
/// * Two of four multiply, and the others decode meanwhile; in Intel's, all that work on 512 bits
///   multiply, and decoding takes turns with products.
/// * They store 512 bits every other cycle (Zen 4), and products wait for sums that are kept in
///   memory from step to step.
/// False for all others. The CPU is asked once; tests may set it, while nothing multiplies.
[[nodiscard]] inline bool& on_amd_cores() noexcept {
    static bool value = [] {
#if defined(__x86_64__) || defined(_M_X64)
        const auto vendor = core_detail::cpuid(0, 0);
        return vendor.ebx == 0x68747541 && vendor.edx == 0x69746E65 && // "Auth", "enti", "cAMD"
               vendor.ecx == 0x444D4163;
#else
        return false;
#endif
    }();
    return value;
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
