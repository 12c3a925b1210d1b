// The compiler's intrinsics, where lanes are vector registers. Included by simd/ alone.
#pragma once

#include <quant/simd/isa.hpp>

#if !QUANT_DETAIL_SCALAR
#if defined(__SSE2__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#else
#include <arm_neon.h>
#endif
#endif
