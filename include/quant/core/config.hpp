// Version, configuration and the preconditions that the compiler must honour.
//
// Two namespaces carry the library:
//   quant::QUANT_VOCABULARY  trivial types that may cross between objects compiled for different
//                            instruction sets (views, number types, errors);
//   quant::QUANT_ABI         everything that holds code, tagged with the instruction set it was
//                            compiled for, so that the one-definition rule can never pick an
//                            AVX-512 body for a caller on an older CPU.
// Both are inline: users write quant::name.
#pragma once

#define QUANT_VERSION_MAJOR 0
#define QUANT_VERSION_MINOR 1
#define QUANT_VERSION_PATCH 0

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ + 0 > 0)
#error "quant: fast-math changes quantized bytes and hides NaN; compile without it"
#endif

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define QUANT_HAS_EXCEPTIONS 1
#else
#define QUANT_HAS_EXCEPTIONS 0
#endif

// Kernels rely on inlining to keep vectors in registers; compilers give up on large bodies.
#if defined(_MSC_VER) && !defined(__clang__)
#define QUANT_ALWAYS_INLINE __forceinline
#define QUANT_NOINLINE __declspec(noinline)
#define QUANT_PRINTF_LIKE(format, values)
#else
#define QUANT_ALWAYS_INLINE inline __attribute__((always_inline))
#define QUANT_NOINLINE __attribute__((noinline))
#define QUANT_PRINTF_LIKE(format, values) __attribute__((__format__(__printf__, format, values)))
#endif

// QUANT_GENERIC (set by the user): plain C++ instead of vector instructions.
#if defined(QUANT_GENERIC)
#define QUANT_ISA_NAME generic
#elif defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#if defined(__AVX512VNNI__) && defined(__AVX512VBMI__)
#define QUANT_ISA_NAME avx512vnni_vbmi
#elif defined(__AVX512VNNI__)
#define QUANT_ISA_NAME avx512vnni
#else
#define QUANT_ISA_NAME avx512bw
#endif
#elif defined(__AVX2__) && defined(__FMA__)
#if defined(__AVXVNNI__)
#define QUANT_ISA_NAME avxvnni
#else
#define QUANT_ISA_NAME avx2
#endif
#elif defined(__SSE4_2__)
#define QUANT_ISA_NAME sse42
#elif defined(__SSE2__) || defined(_M_X64)
#define QUANT_ISA_NAME sse2
#elif defined(__aarch64__) || defined(_M_ARM64)
#if defined(__ARM_FEATURE_DOTPROD)
#define QUANT_ISA_NAME neon_dotprod
#else
#define QUANT_ISA_NAME neon
#endif
#else
#define QUANT_ISA_NAME generic
#endif

#if QUANT_HAS_EXCEPTIONS
#define QUANT_DETAIL_CONFIGURATION ex
#else
#define QUANT_DETAIL_CONFIGURATION nx
#endif

#define QUANT_DETAIL_JOIN3_(a, b, c) a##_##b##_##c
#define QUANT_DETAIL_JOIN3(a, b, c) QUANT_DETAIL_JOIN3_(a, b, c)

// Bumped together with the version.
#define QUANT_DETAIL_VERSION_TAG v0_1
#define QUANT_VOCABULARY QUANT_DETAIL_JOIN3(QUANT_DETAIL_VERSION_TAG, core, QUANT_DETAIL_CONFIGURATION)
#define QUANT_ABI \
    QUANT_DETAIL_JOIN3(QUANT_DETAIL_VERSION_TAG, QUANT_ISA_NAME, QUANT_DETAIL_CONFIGURATION)

// Internals: core_detail of the vocabulary, detail of the rest, which sees the former.
namespace quant::inline QUANT_VOCABULARY {
namespace core_detail {}
} // namespace quant::inline QUANT_VOCABULARY
namespace quant::inline QUANT_ABI {
namespace detail {
using namespace core_detail;
}
} // namespace quant::inline QUANT_ABI
