// What the decoders of all of GGUF's block types have in common.
//
// A codec reproduces what is stored, NaN and infinity included. Results are bit-identical
// everywhere, also where the compiler fuses products into adds: a product that feeds an add is
// always exact in float, so that fusing changes nothing. Source: the ggml project's definitions.
#pragma once

#include <quant/core/half.hpp>
#include <quant/core/little_endian.hpp>
#include <quant/io/gguf/types.hpp>

#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// How a type's block decodes: a specialization for each type has
/// `static void decode(const std::byte* block, float* out)`, which reads the bytes and writes the
/// weights that gguf_blocks says.
template <gguf::type T>
struct gguf_codec;

[[nodiscard]] inline float gguf_fp16_at(const std::byte* at) noexcept {
    return static_cast<float>(fp16::from_bits(load_le<std::uint16_t>(at)));
}

/// `count` bits of a byte, from bit `first` on.
[[nodiscard]] inline int gguf_bits(std::byte from, std::size_t first, int count) noexcept {
    return (std::to_integer<int>(from) >> first) & ((1 << count) - 1);
}

/// Code i of 4 bits each, two to a byte, the low half first.
[[nodiscard]] inline int gguf_nibble(const std::byte* from, std::size_t i) noexcept {
    return gguf_bits(from[i / 2], 4 * (i % 2), 4);
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
