// Imports layers of 8-bit floating-point numbers with scales for blocks, rows or the whole layer.
#pragma once

#include <quant/io/safetensors/import.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// The scales of an FP8 layer: one number, one for each row, or one for each block of the scheme.
struct st_fp8_scales {
    const safetensors::tensor* numbers;
    enum class kind { single, rows, blocks } is;

    template <class S>
    [[nodiscard]] static result<st_fp8_scales> of(const st_layer& layer, std::size_t rows,
                                                  std::size_t cols) {
        constexpr const char *plain = "weight_scale", *blocks = "weight_scale_inv";
        const bool is_blocks = layer.look_for(blocks) != nullptr;
        if (is_blocks && layer.look_for(plain) != nullptr) {
            return make_error(errc::invalid_argument, layer.at(plain).text,
                              "there is a weight_scale_inv, too");
        }
        const char* const name = is_blocks ? blocks : plain;
        const auto found = layer.find(name, st_floats);
        if (!found) return found.failure();
        const safetensors::tensor& has = **found;
        if (has.elements() == 1) return st_fp8_scales{*found, kind::single};
        const std::size_t block_rows = S::scale_rows(rows), per_row = S::groups_per_row(cols);
        if (has.elements() > 0 && has.rows() == block_rows && has.cols() == per_row) {
            return st_fp8_scales{*found, kind::blocks};
        }
        const bool is_row = has.elements() == rows && (has.shape().size() == 1 || has.cols() == 1);
        if (is_row && S::group_rows == 1) return st_fp8_scales{*found, kind::rows};
        return make_error(errc::shape_mismatch, layer.at(name).text,
                          "%zu x %zu; %zu x %zu weights in the scheme's blocks have %zu x %zu",
                          has.rows(), has.cols(), rows, cols, block_rows, per_row);
    }

    [[nodiscard]] float at(std::size_t row, std::size_t group, std::size_t per_row) const noexcept {
        const std::size_t i = is == kind::single ? 0
                              : is == kind::rows ? row
                                                 : row * per_row + group;
        return st_number(*numbers, i);
    }
};

template <class S>
[[nodiscard]] result<safetensors::imported_matrix<S>> st_import_fp8(const st_layer& layer) {
    constexpr bool is_e4m3 = std::is_same_v<typename S::code_type, fp8_e4m3>;
    const auto weight = layer.find_matrix(
        "weight", {is_e4m3 ? safetensors::dtype::f8_e4m3 : safetensors::dtype::f8_e5m2});
    if (!weight) return weight.failure();
    const std::size_t rows = (*weight)->rows(), cols = (*weight)->cols();
    const auto scales = st_fp8_scales::of<S>(layer, rows, cols);
    if (!scales) return scales.failure();
    auto made = matrix_internals::make<quantized_matrix<S>>(rows, cols, layer.where());
    if (!made) return made.failure();

    const std::byte* const from = (*weight)->data().data();
    std::uint8_t* const codes = made->mutable_codes().data();
    for (std::size_t i = 0; i < rows * cols; ++i) {
        codes[i] = std::to_integer<std::uint8_t>(from[i]);
        if (S::is_level(codes[i])) continue;
        return make_error(errc::code_out_of_range, layer.at("weight").text,
                          "code %d at row %zu, column %zu is no finite number", int{codes[i]},
                          i / cols, i % cols);
    }
    const std::size_t per_row = made->groups_per_row();
    for (std::size_t r = 0; r < S::scale_rows(rows); ++r) {
        for (std::size_t g = 0; g < per_row; ++g) {
            auto stored =
                st_store(scales->at(r, g, per_row), made->mutable_scales()[r * per_row + g], layer,
                         "the scale", r, g);
            if (!stored) return stored.failure();
        }
    }
    return safetensors::imported_matrix<S>(*std::move(made), {});
}

/// Schemes whose weights are scale · 8-bit floating-point number.
template <class S>
inline constexpr bool st_is_fp8_scheme = (std::is_same_v<typename S::code_type, fp8_e4m3> ||
                                          std::is_same_v<typename S::code_type, fp8_e5m2>) &&
                                         !S::is_two_level;

} // namespace detail

namespace safetensors {

/// Imports a linear layer of 8-bit floating-point numbers, exactly: w = scale·number.
///
/// @param from an open file. @param prefix of the layer's tensors: weight f8_e4m3 or f8_e5m2
/// [N, K], and weight_scale or weight_scale_inv (which multiplies, too), f16, bf16 or f32: one
/// number; [N] or [N, 1], one for each row; or [⌈N/R⌉, ⌈K/C⌉], one for each block of R × C weights.
/// Other tensors, such as the input_scale of static activations, are not looked at.
///
/// S is fp8_e4m3 or fp8_e5m2 with scales of the file's type or float: per_tensor for one number,
/// per_channel for rows, block_wise<R, C> or group_wise<C> for blocks, which only S says how large
/// they are (128 × 128 as a rule, by quantization_config.weight_block_size of the model's
/// config.json). One number serves every granularity, rows serve groups within a row: they are
/// repeated.
///
/// Errors: not_found for a missing tensor; unsupported for a dtype, or a scale that S's type does
/// not hold; shape_mismatch; invalid_argument if there are both kinds of scales; code_out_of_range
/// for NaN and infinity among the weights, non_finite among the scales; out_of_memory.
///
/// Source: DeepSeek-V3's checkpoints, vLLM's "fp8", compressed-tensors' "float-quantized".
template <quantization_scheme S>
[[nodiscard]] result<imported_matrix<S>> try_import_fp8(const file& from,
                                                        std::string_view prefix) noexcept {
    static_assert(detail::st_is_fp8_scheme<S>,
                  "quant::safetensors::import_fp8: fp8_e4m3 or fp8_e5m2, scales of one level");
    constexpr const char* where = "safetensors::import_fp8";
    return detail::guarded(
        where, [&] { return detail::st_import_fp8<S>(detail::st_layer(from, prefix, where)); });
}

#if QUANT_HAS_EXCEPTIONS
/// @copydoc try_import_fp8
/// @throws quant::error
template <quantization_scheme S>
[[nodiscard]] imported_matrix<S> import_fp8(const file& from, std::string_view prefix) {
    return try_import_fp8<S>(from, prefix).value();
}
#endif

} // namespace safetensors
} // namespace quant::inline QUANT_ABI
