// Version, configuration and the preconditions that the compiler must honour.
//
// Two namespaces carry the library:
//   quant::QUANT_VOCABULARY  trivial types that may cross between objects compiled for different
//                            instruction sets (views, number types, errors);
//   quant::QUANT_ABI         kernels, quantizers and packers, tagged with the instruction set they
//                            were compiled for, so that the one-definition rule cannot pick an
//                            AVX-512 kernel for a caller on an older CPU.
// Both are inline: users write quant::name.
#pragma once

#define QUANT_VERSION_MAJOR 0
#define QUANT_VERSION_MINOR 1
#define QUANT_VERSION_PATCH 0

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ + 0 > 0)
#error "quant: fast-math changes quantized bytes and hides NaN; compile without it"
#endif

// The x87 computes with more bits than a float has.
#if defined(__FLT_EVAL_METHOD__) && \
    (__FLT_EVAL_METHOD__ + 0 == 1 || __FLT_EVAL_METHOD__ + 0 == 2 || __FLT_EVAL_METHOD__ + 0 < 0)
#error "quant: sums must be rounded to float: 32-bit x86 needs -msse2 -mfpmath=sse"
#endif

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define QUANT_HAS_EXCEPTIONS 1
#else
#define QUANT_HAS_EXCEPTIONS 0
#endif

// Both are words that half of this library is written with.
#if defined(min) || defined(max)
#error "quant: min and max are macros; define NOMINMAX before windows.h is included"
#endif

// Kernels rely on inlining to keep vectors in registers; compilers give up on large bodies.
#if defined(_MSC_VER) && !defined(__clang__)
#define QUANT_DETAIL_INLINE __forceinline
#define QUANT_DETAIL_OUTLINE __declspec(noinline)
#define QUANT_DETAIL_PRINTF(format, values)
#else
#define QUANT_DETAIL_INLINE inline __attribute__((always_inline))
#define QUANT_DETAIL_OUTLINE __attribute__((noinline))
// (What the word printf means to g++ for Windows is the system's own, which the standard library's
// functions do not follow.)
#if defined(__MINGW32__) && !defined(__clang__)
#define QUANT_DETAIL_PRINTF(format, values) \
    __attribute__((__format__(__gnu_printf__, format, values)))
#else
#define QUANT_DETAIL_PRINTF(format, values) __attribute__((__format__(__printf__, format, values)))
#endif
#endif

// The instruction set that the compile flags allow, as a word. Every set for which this library or
// xsimd compiles different code has a word of its own.
#if defined(__AVX512F__) && \
    !(defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__) && defined(__FMA__))
#error "quant: AVX-512 is used with BW, VL, DQ and FMA (add -mavx512bw -mavx512vl -mavx512dq -mfma)"
#elif defined(__AVX512F__) && defined(__AVX512VNNI__) && defined(__AVX512VBMI__) && \
    defined(__AVX512BF16__)
#define QUANT_DETAIL_FLAGS avx512vnni_vbmi_bf16
#elif defined(__AVX512F__) && defined(__AVX512VNNI__) && defined(__AVX512VBMI__)
#define QUANT_DETAIL_FLAGS avx512vnni_vbmi
#elif defined(__AVX512F__) && defined(__AVX512VNNI__)
#define QUANT_DETAIL_FLAGS avx512vnni
#elif defined(__AVX512F__)
#define QUANT_DETAIL_FLAGS avx512bw
#elif defined(__AVX2__) && defined(__FMA__) && defined(__AVXVNNI__)
#define QUANT_DETAIL_FLAGS avxvnni
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define QUANT_DETAIL_FLAGS avx2
#elif defined(__AVX2__) && defined(__FMA__)
#define QUANT_DETAIL_FLAGS avx2_without_f16c
#elif defined(__AVX2__) && defined(__F16C__)
#define QUANT_DETAIL_FLAGS avx2_without_fma
#elif defined(__AVX2__)
#define QUANT_DETAIL_FLAGS avx2_alone
#elif defined(__AVX__) && defined(__FMA__)
#define QUANT_DETAIL_FLAGS avx_fma
#elif defined(__AVX__)
#define QUANT_DETAIL_FLAGS avx
#elif defined(__SSE4_2__)
#define QUANT_DETAIL_FLAGS sse42
#elif defined(__SSE4_1__)
#define QUANT_DETAIL_FLAGS sse41
#elif defined(__SSSE3__)
#define QUANT_DETAIL_FLAGS ssse3
#elif defined(__SSE3__)
#define QUANT_DETAIL_FLAGS sse3
#elif defined(__SSE2__) || defined(_M_X64)
#define QUANT_DETAIL_FLAGS sse2
#elif (defined(__aarch64__) || defined(_M_ARM64)) && defined(__ARM_FEATURE_DOTPROD) && \
    defined(__ARM_FEATURE_MATMUL_INT8) && defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#define QUANT_DETAIL_FLAGS neon_i8mm_bf16
#elif (defined(__aarch64__) || defined(_M_ARM64)) && defined(__ARM_FEATURE_DOTPROD) && \
    defined(__ARM_FEATURE_MATMUL_INT8)
#define QUANT_DETAIL_FLAGS neon_i8mm
#elif (defined(__aarch64__) || defined(_M_ARM64)) && defined(__ARM_FEATURE_DOTPROD)
#define QUANT_DETAIL_FLAGS neon_dotprod
#elif defined(__aarch64__) || defined(_M_ARM64)
#define QUANT_DETAIL_FLAGS neon
#elif defined(__wasm_simd128__)
#define QUANT_DETAIL_FLAGS wasm_simd128
#else
#define QUANT_DETAIL_FLAGS other
#endif

#define QUANT_DETAIL_JOIN_(a, b) a##_##b
#define QUANT_DETAIL_JOIN(a, b) QUANT_DETAIL_JOIN_(a, b)

// QUANT_GENERIC (set by the user): plain C++ instead of vector instructions.
#if defined(QUANT_GENERIC)
#define QUANT_ISA_NAME QUANT_DETAIL_JOIN(generic, QUANT_DETAIL_FLAGS)
#else
#define QUANT_ISA_NAME QUANT_DETAIL_FLAGS
#endif

// QUANT_NO_THREADS (set by the user, for a whole program): nothing that needs a threads library.
#if QUANT_HAS_EXCEPTIONS && defined(QUANT_NO_THREADS)
#define QUANT_DETAIL_CONFIGURATION ex_st
#elif QUANT_HAS_EXCEPTIONS
#define QUANT_DETAIL_CONFIGURATION ex
#elif defined(QUANT_NO_THREADS)
#define QUANT_DETAIL_CONFIGURATION nx_st
#else
#define QUANT_DETAIL_CONFIGURATION nx
#endif

#define QUANT_DETAIL_JOIN3(a, b, c) QUANT_DETAIL_JOIN(QUANT_DETAIL_JOIN(a, b), c)

// Bumped together with the version.
#define QUANT_DETAIL_VERSION_TAG v0_1
#define QUANT_VOCABULARY \
    QUANT_DETAIL_JOIN3(QUANT_DETAIL_VERSION_TAG, core, QUANT_DETAIL_CONFIGURATION)
// QUANT_NO_AMX (set by the user): no products by AMX, whose use changes a process, see
// simd/amx.hpp. Tiles of activations lie otherwise then.
#if defined(QUANT_NO_AMX)
#define QUANT_DETAIL_KERNELS QUANT_DETAIL_JOIN(QUANT_DETAIL_CONFIGURATION, no_amx)
#else
#define QUANT_DETAIL_KERNELS QUANT_DETAIL_CONFIGURATION
#endif
#define QUANT_ABI QUANT_DETAIL_JOIN3(QUANT_DETAIL_VERSION_TAG, QUANT_ISA_NAME, QUANT_DETAIL_KERNELS)

// Internals: core_detail of the vocabulary, detail of the rest, which sees the former.
namespace quant::inline QUANT_VOCABULARY {
namespace core_detail {}
} // namespace quant::inline QUANT_VOCABULARY
namespace quant::inline QUANT_ABI {
namespace detail {
using namespace core_detail;
}
} // namespace quant::inline QUANT_ABI
