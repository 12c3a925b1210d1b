// The instruction set that this translation unit was compiled for, as compile-time facts.
#pragma once

#include <quant/core/config.hpp>

#include <cstddef>

#define QUANT_DETAIL_STRING_(x) #x
#define QUANT_DETAIL_STRING(x) QUANT_DETAIL_STRING_(x)

// The plain C++ path: asked for, or on a target that has no overloads here.
#if defined(QUANT_GENERIC) || \
    !(defined(__SSE2__) || defined(_M_X64) || defined(__aarch64__) || defined(__wasm_simd128__))
#define QUANT_DETAIL_SCALAR 1
#else
#define QUANT_DETAIL_SCALAR 0
#endif

namespace quant::inline QUANT_ABI {
namespace isa {

/// What the caller's compile flags selected.
struct current {
    /// Name of the instruction set, as in QUANT_ISA_NAME.
    static constexpr const char* name = QUANT_DETAIL_STRING(QUANT_ISA_NAME);

    /// Multiply-add rounds once. Products of integer activations have the same bits on all
    /// instruction sets for which this holds.
#if defined(__FMA__) || defined(__aarch64__) || defined(__FP_FAST_FMAF)
    static constexpr bool fused_multiply_add = true;
#else
    static constexpr bool fused_multiply_add = false;
#endif

    /// Bytes of a vector register, and how many registers there are.
#if QUANT_DETAIL_SCALAR
    static constexpr std::size_t vector_bytes = 16;
    static constexpr std::size_t registers = 16;
#elif defined(__AVX512BW__)
    static constexpr std::size_t vector_bytes = 64;
    static constexpr std::size_t registers = 32;
#elif defined(__AVX2__)
    static constexpr std::size_t vector_bytes = 32;
    static constexpr std::size_t registers = 16;
#elif defined(__aarch64__)
    static constexpr std::size_t vector_bytes = 16;
    static constexpr std::size_t registers = 32;
#else
    static constexpr std::size_t vector_bytes = 16;
    static constexpr std::size_t registers = 16;
#endif

    /// One instruction multiplies unsigned by signed bytes and adds four products to an int32.
#if !QUANT_DETAIL_SCALAR && (defined(__AVX512VNNI__) || defined(__AVXVNNI__))
    static constexpr bool dot_product = true;
#else
    static constexpr bool dot_product = false;
#endif

    /// One instruction multiplies pairs of bf16 and adds both products to a float.
#if !QUANT_DETAIL_SCALAR && \
    ((defined(__AVX512BF16__) && defined(__AVX512VNNI__) && defined(__AVX512VBMI__)) || \
     (defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC) && defined(__ARM_FEATURE_MATMUL_INT8) && \
      defined(__ARM_FEATURE_DOTPROD)))
    static constexpr bool bf16_dot_product = true;
#else
    static constexpr bool bf16_dot_product = false;
#endif
};

} // namespace isa
} // namespace quant::inline QUANT_ABI
