// Imports layers that GPTQ tools wrote: AutoGPTQ, GPTQModel.
#pragma once

#include <quant/io/safetensors/import.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace safetensors {

/// How a GPTQ file stores zero points.
enum class gptq_zeros {
    detect,    ///< as their values tell: all 2^(B−1) − 1, minus one; all 2^(B−1), as they are
    minus_one, ///< less one, modulo 2^B: the format "gptq"
    direct,    ///< as they are: the format "gptq_v2"
};

} // namespace safetensors

namespace detail {

/// What is added to stored zero points.
template <int B>
[[nodiscard]] result<unsigned> st_gptq_offset(const st_layer& layer,
                                              const safetensors::tensor& qzeros, std::size_t rows,
                                              safetensors::gptq_zeros how) {
    if (how != safetensors::gptq_zeros::detect) {
        return how == safetensors::gptq_zeros::minus_one ? 1u : 0u;
    }
    constexpr unsigned middle = 1u << (B - 1);
    bool all_below = true;
    bool all_middle = true;
    for (std::size_t g = 0; g < qzeros.rows(); ++g) {
        for (std::size_t n = 0; n < rows; ++n) {
            const unsigned zero =
                st_field_of<B>(qzeros.data().data() + g * qzeros.cols() * 4, n, 4);
            all_below = all_below && zero == middle - 1;
            all_middle = all_middle && zero == middle;
        }
    }
    if (all_below) return 1u;
    if (all_middle) return 0u;
    return make_error(errc::invalid_argument, layer.at("qzeros").text,
                      "do not tell whether they are stored less one; say gptq_zeros::minus_one or "
                      "direct");
}

template <class S>
[[nodiscard]] result<safetensors::imported_matrix<S>> st_import_gptq(const st_layer& layer,
                                                                     safetensors::gptq_zeros how) {
    constexpr int bits = S::bits;
    const auto qweight = layer.find_matrix("qweight", {safetensors::dtype::i32});
    if (!qweight) return qweight.failure();
    const auto qzeros = layer.find_matrix("qzeros", {safetensors::dtype::i32});
    if (!qzeros) return qzeros.failure();
    const auto scales = layer.find_matrix("scales", st_floats);
    if (!scales) return scales.failure();

    const std::size_t rows = (*qweight)->cols();
    const std::size_t words = (*qweight)->rows();
    const std::size_t groups = (*scales)->rows();
    if (words % bits != 0 && 32 % bits != 0) {
        return make_error(errc::shape_mismatch, layer.at("qweight").text,
                          "%zu words are no whole fields of %d bits", words, bits);
    }
    const std::size_t zero_words = div_ceil(rows * static_cast<std::size_t>(bits), 32);
    if (auto fits = layer.check_shape("scales", **scales, groups, rows); !fits) {
        return fits.failure();
    }
    if (auto fits = layer.check_shape("qzeros", **qzeros, groups, zero_words); !fits) {
        return fits.failure();
    }
    const std::size_t cols = words * 32 / static_cast<std::size_t>(bits);

    const auto* g_idx = layer.look_for("g_idx");
    if (g_idx != nullptr) {
        if (const auto valid = layer.find("g_idx", st_integers); !valid) return valid.failure();
    }
    auto columns = st_order_columns(layer, "g_idx", g_idx, cols, groups);
    if (!columns) return columns.failure();
    const auto added = st_gptq_offset<bits>(layer, **qzeros, rows, how);
    if (!added) return added.failure();

    const std::byte* const codes = (*qweight)->data().data();
    const std::byte* const zeros = (*qzeros)->data().data();
    return st_fill<S>(
        layer, rows, cols, groups, *std::move(columns),
        [&](std::size_t n, std::size_t k) { return st_field_of<bits>(codes + 4 * n, k, 4 * rows); },
        [&](std::size_t n, std::size_t g) {
            const unsigned zero = st_field_of<bits>(zeros + g * zero_words * 4, n, 4) + *added;
            return st_group{st_number(**scales, g * rows + n),
                            static_cast<int>(zero & ((1u << bits) - 1u))};
        });
}

} // namespace detail

namespace safetensors {

/// Imports a linear layer of a GPTQ checkpoint, exactly: w = scale·(code − zero).
///
/// @param from an open file. @param prefix of the layer's tensors, "model.layers.0.mlp.up_proj":
/// qweight i32 [K·B/32, N], qzeros i32 [K/g, N·B/32], scales f16, bf16 or f32 [K/g, N], and, if
/// there is one, g_idx i32 [K]. @param zeros how zero points are stored; the format's two versions
/// differ, and metadata about it cannot be relied upon.
///
/// S is int_code<2, 3, 4 or 8> in groups of g columns (or of a divisor of g), with scales of the
/// file's type or float; asymmetric, or symmetric if all zero points are 2^(B−1). Columns whose
/// groups are scattered (act-order) are sorted by group: see imported_matrix::permutation.
///
/// Errors: not_found for a missing tensor, unsupported for a dtype or scheme that does not fit,
/// shape_mismatch, invalid_argument for a g_idx out of range or zero points that do not tell how
/// they are stored, non_finite for a scale, out_of_memory.
///
/// Source: the formats "gptq" and "gptq_v2" of AutoGPTQ and GPTQModel.
template <quantization_scheme S>
[[nodiscard]] result<imported_matrix<S>>
try_import_gptq(const file& from, std::string_view prefix,
                gptq_zeros zeros = gptq_zeros::detect) noexcept {
    static_assert(
        detail::st_is_integer_scheme<S> &&
            (S::bits == 2 || S::bits == 3 || S::bits == 4 || S::bits == 8),
        "quant::safetensors::import_gptq: int_code<2, 3, 4 or 8>, symmetric or asymmetric");
    constexpr const char* where = "safetensors::import_gptq";
    return detail::guarded(where, [&] {
        return detail::st_import_gptq<S>(detail::st_layer(from, prefix, where), zeros);
    });
}

#if QUANT_HAS_EXCEPTIONS
/// @copydoc try_import_gptq
/// @throws quant::error
template <quantization_scheme S>
[[nodiscard]] imported_matrix<S> import_gptq(const file& from, std::string_view prefix,
                                             gptq_zeros zeros = gptq_zeros::detect) {
    return try_import_gptq<S>(from, prefix, zeros).value();
}
#endif

} // namespace safetensors
} // namespace quant::inline QUANT_ABI
