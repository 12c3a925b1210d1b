// 8-bit dot products on registers: what the CPU could do if there were nothing else to do. In
// assembly, so that every compiler runs the same loop.
#include "peaks.hpp"

#include <immintrin.h>

void peaks::vpdpbusd(int rounds) noexcept {
    const __m512i codes = _mm512_set1_epi32(0x01020304);
    const __m512i x = _mm512_set1_epi32(0x01010101);
    for (int r = 0; r < rounds; ++r) {
        asm volatile("vpdpbusd %1, %0, %%zmm0\n\t"
                     "vpdpbusd %1, %0, %%zmm1\n\t"
                     "vpdpbusd %1, %0, %%zmm2\n\t"
                     "vpdpbusd %1, %0, %%zmm3\n\t"
                     "vpdpbusd %1, %0, %%zmm4\n\t"
                     "vpdpbusd %1, %0, %%zmm5\n\t"
                     "vpdpbusd %1, %0, %%zmm6\n\t"
                     "vpdpbusd %1, %0, %%zmm7\n\t"
                     "vpdpbusd %1, %0, %%zmm8\n\t"
                     "vpdpbusd %1, %0, %%zmm9\n\t"
                     "vpdpbusd %1, %0, %%zmm10\n\t"
                     "vpdpbusd %1, %0, %%zmm11"
                     :
                     : "v"(codes), "v"(x)
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11");
    }
    _mm256_zeroupper();
}
