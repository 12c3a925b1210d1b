// What instruction sets do not tell of a CPU: which of its vector units do what.
#pragma once

#include <quant/core/config.hpp>
#include <quant/simd/cpu.hpp>

namespace quant::inline QUANT_ABI {
namespace simd {

/// Whether units that do not multiply decode while others do dot products: two of four in AMD's
/// cores. In Intel's, all units that work on 512 bits multiply, and decoding takes turns with
/// products. False for all others. Inlined, so that it is code of the caller's instruction set.
[[nodiscard]] QUANT_DETAIL_INLINE bool units_decode_beside_products() noexcept {
#if defined(__x86_64__) || defined(_M_X64)
    const auto vendor = core_detail::cpuid(0, 0); // "AuthenticAMD"
    return vendor.ebx == 0x68747541 && vendor.edx == 0x69746E65 && vendor.ecx == 0x444D4163;
#else
    return false;
#endif
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
