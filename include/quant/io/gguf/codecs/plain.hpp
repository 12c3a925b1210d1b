// GGUF's types without blocks: numbers, widened or rounded to float.
#pragma once

#include <quant/io/gguf/codecs/codec.hpp>

#include <cfloat>
#include <limits>

namespace quant::inline QUANT_ABI {
namespace detail {

template <>
struct gguf_codec<gguf::type::f32> {
    static void decode(const std::byte* block, float* out) noexcept {
        *out = load_le<float>(block);
    }
};

template <>
struct gguf_codec<gguf::type::f16> {
    static void decode(const std::byte* block, float* out) noexcept {
        *out = static_cast<float>(gguf_fp16_at(block));
    }
    static void decode_sixteen(const std::byte* blocks, float* out) noexcept {
        simd::store(out, simd::load_stored<fp16>(blocks));
    }
};

template <>
struct gguf_codec<gguf::type::bf16> {
    static void decode(const std::byte* block, float* out) noexcept {
        *out = static_cast<float>(bf16::from_bits(load_le<std::uint16_t>(block)));
    }
};

/// To nearest, ties to even; from 2^128 − 2^103 on the nearest is infinity.
template <>
struct gguf_codec<gguf::type::f64> {
    static void decode(const std::byte* block, float* out) noexcept {
        constexpr double half_way = 0x1.FFFFFFp127;
        constexpr float infinity = std::numeric_limits<float>::infinity();
        const double value = load_le<double>(block);
        const double size = value < 0 ? -value : value;
        // Narrowing a finite double beyond float's range is undefined in C++.
        if (size > double{FLT_MAX} && size <= DBL_MAX) {
            const float nearest = size < half_way ? FLT_MAX : infinity;
            *out = value < 0 ? -nearest : nearest;
        } else {
            *out = static_cast<float>(value);
        }
    }
};

/// Exact to 16 bits; beyond 2^24 to nearest, ties to even.
template <class Integer>
struct gguf_integer_codec {
    static void decode(const std::byte* block, float* out) noexcept {
        *out = static_cast<float>(load_le<Integer>(block));
    }
};

template <>
struct gguf_codec<gguf::type::i8> : gguf_integer_codec<std::int8_t> {};
template <>
struct gguf_codec<gguf::type::i16> : gguf_integer_codec<std::int16_t> {};
template <>
struct gguf_codec<gguf::type::i32> : gguf_integer_codec<std::int32_t> {};
template <>
struct gguf_codec<gguf::type::i64> : gguf_integer_codec<std::int64_t> {};

} // namespace detail
} // namespace quant::inline QUANT_ABI
