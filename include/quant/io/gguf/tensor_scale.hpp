// The factor that a GGUF file has for all weights of a tensor, in a tensor of its own.
#pragma once

#include <quant/core/utf8.hpp>
#include <quant/io/gguf/blocks.hpp>
#include <quant/io/gguf/file.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string_view>

namespace quant::inline QUANT_ABI {
namespace detail {

/// The tensor that scales another: NAME.scale for NAME.weight, or for NAME.
[[nodiscard]] inline const gguf::tensor* gguf_find_scale(const gguf::file& from,
                                                         std::string_view name) noexcept {
    constexpr std::string_view weight = ".weight";
    constexpr std::string_view scale = ".scale";
    char text[64 + scale.size()]; // no name is longer than 64 bytes
    const auto look_for = [&](std::string_view stem) {
        char* const end = std::copy(stem.begin(), stem.end(), text);
        std::copy(scale.begin(), scale.end(), end);
        return from.find({text, stem.size() + scale.size()});
    };
    if (name.ends_with(weight)) {
        const auto* const found = look_for(name.substr(0, name.size() - weight.size()));
        if (found != nullptr) return found;
    }
    return look_for(name);
}

} // namespace detail

namespace gguf {

/// The factor of a tensor's weights: what the file says beside its blocks, as NVFP4 and BitNet
/// files do; 1 if it says nothing.
///
/// The weights are the blocks' times this factor, which load() and dequantize() do not apply:
/// the product of a block's scale and a float has more digits than any scale's type. A product of
/// the loaded weights takes epilogue::scale(factor), which rounds once, as the ggml project does.
///
/// @param from the tensor's file. @param of one of its tensors. @param matrix which of those that
/// are below each other in a tensor of three dimensions or more (the expert): each may have a
/// factor of its own.
///
/// The factor is in a tensor of f32, f16 or bf16, called as the other with "scale" for "weight"
/// ("blk.0.ffn_up.scale"), or NAME.scale; it has one element, or one for each matrix.
///
/// Errors, where names the other tensor: unsupported for another type of the factor;
/// shape_mismatch for another number of factors; non_finite; invalid_argument for a matrix that is
/// not there.
[[nodiscard]] inline result<float> try_scale_of(const file& from, const tensor& of,
                                                std::size_t matrix = 0) noexcept {
    const auto dims = of.shape();
    const std::size_t matrices = dims.size() < 3 ? 1 : of.elements() / (dims[0] * dims[1]);
    char where[96];
    std::snprintf(where, sizeof where, "gguf::scale_of: %s",
                  detail::printable_name(of.name()).text);
    if (matrix >= matrices) {
        return detail::make_error(errc::invalid_argument, where, "matrix %zu of %zu", matrix,
                                  matrices);
    }
    const tensor* const factors = detail::gguf_find_scale(from, of.name());
    if (factors == nullptr) return 1.0f;
    const type which = factors->type();
    if (which != type::f32 && which != type::f16 && which != type::bf16) {
        return detail::make_error(errc::unsupported, where, "its scale is %s", to_string(which));
    }
    const std::size_t count = factors->elements();
    if (count != 1 && count != matrices) {
        return detail::make_error(errc::shape_mismatch, where, "%zu scales for %zu matrices", count,
                                  matrices);
    }
    const std::size_t bytes = factors->data().size() / count;
    float factor = 0;
    auto decoded = try_dequantize(
        which, factors->data().subspan(count == 1 ? 0 : matrix * bytes, bytes), {&factor, 1});
    if (!decoded) return decoded.failure();
    if (!std::isfinite(factor)) {
        return detail::make_error(errc::non_finite, where, "scale %zu", matrix);
    }
    return factor;
}

#if QUANT_HAS_EXCEPTIONS
/// @copydoc try_scale_of
/// @throws quant::error
[[nodiscard]] inline float scale_of(const file& from, const tensor& of, std::size_t matrix = 0) {
    return try_scale_of(from, of, matrix).value();
}
#endif

} // namespace gguf
} // namespace quant::inline QUANT_ABI
