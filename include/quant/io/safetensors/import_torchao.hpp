// Imports layers that torchao wrote as integers of 4 bits.
#pragma once

#include <quant/io/safetensors/import.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

template <class S>
[[nodiscard]] result<safetensors::imported_matrix<S>> st_import_torchao(const st_layer& layer) {
    const auto qdata =
        layer.find_matrix("_weight_qdata", {safetensors::dtype::u8, safetensors::dtype::i8});
    if (!qdata) return qdata.failure();
    const auto scales = layer.find_matrix("_weight_scale", st_floats);
    if (!scales) return scales.failure();
    const auto zeros = layer.find_matrix("_weight_zero_point", st_floats);
    if (!zeros) return zeros.failure();
    const std::size_t rows = (*qdata)->rows();
    const std::size_t cols = (*qdata)->cols() * 2;
    const std::size_t groups = (*scales)->rows();
    if (auto fits = layer.check_shape("_weight_scale", **scales, groups, rows); !fits) {
        return fits.failure();
    }
    if (auto fits = layer.check_shape("_weight_zero_point", **zeros, groups, rows); !fits) {
        return fits.failure();
    }
    auto columns = st_order_columns(layer, "", nullptr, cols, groups);
    if (!columns) return columns.failure();
    const std::byte* const codes = (*qdata)->data().data();
    return st_fill<S>(
        layer, rows, cols, groups, *std::move(columns),
        [&](std::size_t n, std::size_t k) {
            const auto byte = std::to_integer<unsigned>(codes[(n * cols + k) / 2]);
            return (byte >> k % 2 * 4 & 15u) ^ 8u; // signed, so that its code is 8 more
        },
        [&](std::size_t n, std::size_t g) {
            const float scale = st_number(**scales, g * rows + n);
            const float zero = st_number(**zeros, g * rows + n);
            if constexpr (S::has_minimum) {
                // q·s + z = (u − 8)·s + z; 8·s is exact.
                return st_group{scale, 0, zero - 8 * scale};
            } else {
                return st_group{scale, zero == 0 ? S::offset : -1};
            }
        });
}

} // namespace detail

namespace safetensors {

/// Imports a linear layer that torchao quantized to 4 bits with floating-point zeros:
/// w = q·scale + zero, q from −8 to 7.
///
/// @param from an open file. @param prefix of the layer's tensors: _weight_qdata u8 or i8 [N, K/2],
/// the even column in the low half; _weight_scale and _weight_zero_point [K/g, N] of f16, bf16 or
/// f32.
///
/// S is int4 in groups of g columns (or of a divisor of g): asymmetric_min with scales of float,
/// whose minimum is zero − 8·scale, rounded once to float (exact where float holds it, as it does
/// for f16 and for bf16 that differ by less than a factor of 2^13); or symmetric if all zeros are
/// 0, exactly, with scales of the file's type or float.
///
/// Errors: not_found, unsupported, shape_mismatch, non_finite, out_of_memory, as try_import_gptq.
///
/// Source: the torchao project's Int4Tensor.
template <quantization_scheme S>
[[nodiscard]] result<imported_matrix<S>> try_import_torchao(const file& from,
                                                            std::string_view prefix) noexcept {
    static_assert(S::is_linear && S::bits == 4 &&
                      ((S::has_minimum && std::is_same_v<typename S::scale_type, float>) ||
                       (S::multiplier == 1 && !S::has_offset)),
                  "quant::safetensors::import_torchao: int4, asymmetric_min with float, or "
                  "symmetric");
    constexpr const char* where = "safetensors::import_torchao";
    return detail::guarded(
        where, [&] { return detail::st_import_torchao<S>(detail::st_layer(from, prefix, where)); });
}

#if QUANT_HAS_EXCEPTIONS
/// @copydoc try_import_torchao
/// @throws quant::error
template <quantization_scheme S>
[[nodiscard]] imported_matrix<S> import_torchao(const file& from, std::string_view prefix) {
    return try_import_torchao<S>(from, prefix).value();
}
#endif

} // namespace safetensors
} // namespace quant::inline QUANT_ABI
