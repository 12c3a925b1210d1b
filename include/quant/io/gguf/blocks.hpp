// Decodes the blocks of any GGUF tensor type into floats.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/io/gguf/codecs/few_bits.hpp>
#include <quant/io/gguf/codecs/iq.hpp>
#include <quant/io/gguf/codecs/k_quants.hpp>
#include <quant/io/gguf/codecs/legacy.hpp>
#include <quant/io/gguf/codecs/plain.hpp>
#include <quant/io/gguf/codecs/tables4.hpp>
#include <quant/io/gguf/types.hpp>

#include <array>
#include <cstddef>
#include <iterator>
#include <span>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Decodes a whole number of blocks; the sizes have been checked.
template <gguf::type T>
void gguf_decode_all(std::span<const std::byte> blocks, float* out) noexcept {
    constexpr gguf_block block = *gguf_find_block(T);
    std::size_t at = 0;
    if constexpr (requires { &gguf_codec<T>::decode_sixteen; }) {
        constexpr std::size_t bytes = 16 * block.bytes;
        for (; at + bytes <= blocks.size(); at += bytes, out += 16 * block.weights) {
            gguf_codec<T>::decode_sixteen(blocks.data() + at, out);
        }
    }
    for (; at < blocks.size(); at += block.bytes, out += block.weights) {
        if constexpr (gguf_is_composition<T>) {
            gguf_decode_composition<T>(blocks.data() + at, out);
        } else {
            gguf_codec<T>::decode(blocks.data() + at, out);
        }
    }
}

using gguf_decoder = void (*)(std::span<const std::byte> blocks, float* out) noexcept;

/// The decoder of a type, null for an id that is none.
template <gguf::type T>
[[nodiscard]] consteval gguf_decoder gguf_decoder_of() {
    if constexpr (gguf_find_block(T) != nullptr) {
        return &gguf_decode_all<T>;
    } else {
        return nullptr;
    }
}

template <std::size_t... Ids>
[[nodiscard]] consteval auto gguf_make_decoders(std::index_sequence<Ids...>) {
    return std::array<gguf_decoder, sizeof...(Ids)>{
        gguf_decoder_of<static_cast<gguf::type>(Ids)>()...};
}

/// By id. A type without a codec does not compile.
inline constexpr auto gguf_decoders =
    gguf_make_decoders(std::make_index_sequence<std::size(gguf_blocks)>());

} // namespace detail

namespace gguf {

/// Decodes blocks into floats, exactly as the format defines them.
///
/// @param which type of the blocks, any.
/// @param blocks a whole number of blocks, at any address.
/// @param out as many floats as the blocks hold weights; must not overlap `blocks`.
///
/// Each type's formula is in docs/formats.md. f64, i32 and i64 are rounded to nearest, ties to
/// even; a double beyond float's range becomes infinite. Non-finite values and scales are
/// reproduced, as NaN where a product is NaN; so are the NaN scales of mxfp4 (255) and nvfp4 (127),
/// which the ggml project decodes to numbers. Bit-identical on all machines, payloads of NaN
/// excepted.
///
/// Errors: unsupported for ids that are none; shape_mismatch if the sizes do not fit. Nothing is
/// written on error.
[[nodiscard]] inline result<void> try_dequantize(type which, std::span<const std::byte> blocks,
                                                 std::span<float> out) noexcept {
    const auto* const block = detail::gguf_find_block(which);
    if (block == nullptr) return detail::gguf_not_a_type(which, "gguf::dequantize: type");
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
    detail::gguf_decoders[static_cast<std::size_t>(which)](blocks, out.data());
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
