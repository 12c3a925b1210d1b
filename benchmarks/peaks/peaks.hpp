// Loops on registers that are compiled for instruction sets of their own. Their files include no
// header of the standard library: an inline function compiled there for AVX-512 could replace
// everybody's.
#pragma once

namespace peaks {

inline constexpr int chains = 12; // independent sums: latency times instructions per cycle, or more

#if defined(__x86_64__)
/// rounds · chains instructions vpdpbusd zmm, 128 operations each.
void vpdpbusd(int rounds) noexcept;
/// rounds · chains instructions vdpbf16ps zmm, 64 operations each.
void vdpbf16ps(int rounds) noexcept;
#endif

} // namespace peaks
