// What the bytes of GGUF's block types mean: one codec per type, one function for callers.
//
// Every codec reproduces what is stored, NaN and infinity included. Results are bit-identical
// everywhere, also where the compiler fuses products into adds: the only products that feed an add
// here are an fp16 scale times an integer of few bits, which is exact in float, so that fusing
// changes nothing. Source: the ggml project's block definitions.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/core/half.hpp>
#include <quant/io/gguf/types.hpp>
#include <quant/core/little_endian.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace quant::inline QUANT_ABI {
namespace detail {

[[nodiscard]] inline float gguf_fp16_at(const std::byte* at) noexcept {
    return static_cast<float>(fp16::from_bits(load_le<std::uint16_t>(at)));
}

/// How a type's block decodes: a specialization for each type has
/// `static void decode(const std::byte* block, float* out)`, which reads the bytes and writes the
/// weights that gguf_blocks says.
template <gguf::type T>
struct gguf_codec;

template <>
struct gguf_codec<gguf::type::f32> {
    static void decode(const std::byte* block, float* out) noexcept {
        *out = load_le<float>(block);
    }
};

template <>
struct gguf_codec<gguf::type::f16> {
    static void decode(const std::byte* block, float* out) noexcept { *out = gguf_fp16_at(block); }
};

template <>
struct gguf_codec<gguf::type::bf16> {
    static void decode(const std::byte* block, float* out) noexcept {
        *out = static_cast<float>(bf16::from_bits(load_le<std::uint16_t>(block)));
    }
};

/// w = d·q: fp16 d, then 32 bytes of signed q. The product is exact: 11 bits times 8.
template <>
struct gguf_codec<gguf::type::q8_0> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        for (std::size_t j = 0; j < 32; ++j) {
            out[j] = d * static_cast<float>(load_le<std::int8_t>(block + 2 + j));
        }
    }
};

/// w = d·(q − 8): fp16 d, then 16 bytes of q: weight j in the low half of byte j, weight j + 16 in
/// the high half. The product is exact.
template <>
struct gguf_codec<gguf::type::q4_0> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        for (std::size_t j = 0; j < 16; ++j) {
            const int pair = std::to_integer<int>(block[2 + j]);
            out[j] = d * static_cast<float>((pair & 15) - 8);
            out[j + 16] = d * static_cast<float>((pair >> 4) - 8);
        }
    }
};

/// w = d·q + m: fp16 d, fp16 m, then q as in q4_0. The product has 15 bits, so is exact; the sum
/// is rounded once, fused or not.
template <>
struct gguf_codec<gguf::type::q4_1> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block);
        const float m = gguf_fp16_at(block + 2);
        for (std::size_t j = 0; j < 16; ++j) {
            const int pair = std::to_integer<int>(block[4 + j]);
            out[j] = d * static_cast<float>(pair & 15) + m;
            out[j + 16] = d * static_cast<float>(pair >> 4) + m;
        }
    }
};

/// w = (d·s)·(q − 32): 128 bytes with the low four bits of q, 64 with the high two, 16 signed
/// scales s for 16 weights each, fp16 d.
///
/// In each half of 128 weights, weight 32·k + l has its low bits in byte 32·(k mod 2) + l, in the
/// low half for k < 2, and its high bits in byte l at bit 2·k. d·s is exact (11 bits times 8), the
/// second product rounded, no sum follows.
template <>
struct gguf_codec<gguf::type::q6_k> {
    static void decode(const std::byte* block, float* out) noexcept {
        const float d = gguf_fp16_at(block + 208);
        for (std::size_t half = 0; half < 2; ++half) {
            for (std::size_t k = 0; k < 4; ++k) {
                const std::byte* const low = block + 64 * half + 32 * (k % 2);
                const std::byte* const high = block + 128 + 32 * half;
                const std::byte* const scales = block + 192 + 8 * half + 2 * k;
                for (std::size_t l = 0; l < 32; ++l) {
                    const int low_bits = (std::to_integer<int>(low[l]) >> (k < 2 ? 0 : 4)) & 15;
                    const int high_bits = (std::to_integer<int>(high[l]) >> (2 * k)) & 3;
                    const float scale =
                        d * static_cast<float>(load_le<std::int8_t>(scales + l / 16));
                    out[128 * half + 32 * k + l] =
                        scale * static_cast<float>((low_bits | high_bits << 4) - 32);
                }
            }
        }
    }
};

/// Decodes a whole number of blocks; the sizes have been checked.
template <gguf::type T>
void gguf_decode_all(std::span<const std::byte> blocks, float* out) noexcept {
    constexpr gguf_block block = *gguf_find_block(T);
    for (std::size_t at = 0; at < blocks.size(); at += block.bytes, out += block.weights) {
        gguf_codec<T>::decode(blocks.data() + at, out);
    }
}

using gguf_decoder = void (*)(std::span<const std::byte> blocks, float* out) noexcept;

/// The decoder of a type, null for types without a codec.
[[nodiscard]] constexpr gguf_decoder gguf_find_decoder(gguf::type which) noexcept {
    using enum gguf::type;
    switch (which) {
    case f32: return &gguf_decode_all<f32>;
    case f16: return &gguf_decode_all<f16>;
    case bf16: return &gguf_decode_all<bf16>;
    case q4_0: return &gguf_decode_all<q4_0>;
    case q4_1: return &gguf_decode_all<q4_1>;
    case q8_0: return &gguf_decode_all<q8_0>;
    case q6_k: return &gguf_decode_all<q6_k>;
    default: return nullptr;
    }
}

} // namespace detail

namespace gguf {

/// Decodes blocks into floats, exactly as the format defines them.
///
/// @param which type of the blocks: f32, f16, bf16, q8_0, q4_0, q4_1 or q6_k.
/// @param blocks a whole number of blocks, at any address.
/// @param out as many floats as the blocks hold weights; must not overlap `blocks`.
///
/// Non-finite values and scales are reproduced, as NaN where a product is NaN. Bit-identical on
/// all machines, payloads of NaN excepted. Errors: unsupported for other types (named) and for ids
/// that are none; shape_mismatch if the sizes do not fit. Nothing is written on error.
[[nodiscard]] inline result<void> try_dequantize(type which, std::span<const std::byte> blocks,
                                                 std::span<float> out) noexcept {
    const auto* const block = detail::gguf_find_block(which);
    if (block == nullptr) return detail::gguf_not_a_type(which, "gguf::dequantize: type");
    const auto decode = detail::gguf_find_decoder(which);
    if (decode == nullptr) {
        return detail::make_error(errc::unsupported, "gguf::dequantize: type", "no decoder for %s",
                                  block->name);
    }
    if (blocks.size() % block->bytes != 0) {
        return detail::make_error(errc::shape_mismatch, "gguf::dequantize: blocks",
                                  "%zu bytes are no whole blocks of %zu (%s)", blocks.size(),
                                  block->bytes, block->name);
    }
    const auto weights = detail::checked_mul(blocks.size() / block->bytes, block->weights);
    if (!weights || *weights != out.size()) {
        return detail::make_error(errc::shape_mismatch, "gguf::dequantize: out",
                                  "room for %zu weights; %zu blocks of %zu (%s)", out.size(),
                                  blocks.size() / block->bytes, block->weights, block->name);
    }
    decode(blocks, out.data());
    return {};
}

#if QUANT_HAS_EXCEPTIONS
/// @copydoc try_dequantize
/// @throws quant::error
inline void dequantize(type which, std::span<const std::byte> blocks, std::span<float> out) {
    try_dequantize(which, blocks, out).value();
}
#endif

} // namespace gguf
} // namespace quant::inline QUANT_ABI
