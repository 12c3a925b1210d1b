// Imports layers that the compressed-tensors project wrote.
#pragma once

#include <quant/io/safetensors/import.hpp>
#include <quant/io/safetensors/import_fp8.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Fields of B bits in rows of words: dense across words, or ⌊32/B⌋ to a word.
template <int B>
struct st_ct_packing {
    bool dense = true;

    static constexpr std::size_t per_word = 32 / B;

    /// Words of `count` fields.
    [[nodiscard]] std::size_t words(std::size_t count) const noexcept {
        return dense ? div_ceil(count * B, 32) : div_ceil(count, per_word);
    }
    [[nodiscard]] unsigned field(const std::byte* words, std::size_t i,
                                 std::size_t stride) const noexcept {
        if (dense) return st_field_of<B>(words, i, stride);
        return load_le<std::uint32_t>(words + i / per_word * stride) >>
                   i % per_word * std::size_t{B} &
               ((1u << B) - 1u);
    }
    /// The packing whose words for `count` fields are as many as there are.
    [[nodiscard]] static result<st_ct_packing> of(const st_layer& layer, const char* name,
                                                  std::size_t count, std::size_t words) {
        const st_ct_packing packings[] = {{true}, {false}};
        const bool is_dense = packings[0].words(count) == words;
        const bool is_padded = packings[1].words(count) == words;
        if (!is_dense && !is_padded) {
            return make_error(errc::shape_mismatch, layer.at(name).text,
                              "%zu words for %zu fields of %d bits, not %zu or %zu", words, count,
                              B, packings[0].words(count), packings[1].words(count));
        }
        if (is_dense && is_padded && 32 % B != 0 && count > per_word) {
            return make_error(errc::unsupported, layer.at(name).text,
                              "%zu words for %zu fields of %d bits do not tell the packing", words,
                              count, B);
        }
        return packings[is_dense ? 0 : 1];
    }
};

/// Rows and columns that weight_shape says.
struct st_ct_shape {
    std::size_t rows;
    std::size_t cols;
};
[[nodiscard]] inline result<st_ct_shape> st_ct_read_shape(const st_layer& layer) {
    const auto shape = layer.find("weight_shape", st_integers);
    if (!shape) return shape.failure();
    if ((*shape)->elements() != 2) {
        return make_error(errc::shape_mismatch, layer.at("weight_shape").text, "%zu numbers, not 2",
                          (*shape)->elements());
    }
    const std::int64_t rows = st_integer(**shape, 0);
    const std::int64_t cols = st_integer(**shape, 1);
    // Bounded, so that products with numbers of bits fit.
    if (rows <= 0 || cols <= 0 || rows > PTRDIFF_MAX / 64 || cols > PTRDIFF_MAX / 64) {
        return make_error(errc::invalid_argument, layer.at("weight_shape").text, "%lld x %lld",
                          static_cast<long long>(rows), static_cast<long long>(cols));
    }
    return st_ct_shape{static_cast<std::size_t>(rows), static_cast<std::size_t>(cols)};
}

/// weight_scale: one number, one per row, or one per row and group.
struct st_ct_scales {
    const safetensors::tensor* numbers;
    std::size_t groups;
    bool single;

    [[nodiscard]] float at(std::size_t row, std::size_t group) const noexcept {
        return st_number(*numbers, single ? 0 : row * groups + group);
    }
    [[nodiscard]] static result<st_ct_scales> of(const st_layer& layer, std::size_t rows) {
        const auto scales = layer.find("weight_scale", st_floats);
        if (!scales) return scales.failure();
        const std::size_t n = (*scales)->elements();
        if (n == 1) return st_ct_scales{*scales, 1, true};
        if (n == 0 || n % rows != 0 || (*scales)->shape()[0] != rows) {
            return make_error(errc::shape_mismatch, layer.at("weight_scale").text,
                              "%zu numbers for %zu rows", n, rows);
        }
        return st_ct_scales{*scales, n / rows, false};
    }
};

/// Zero points as stored codes: packed along the rows, or one byte each, or none.
template <int B>
struct st_ct_zeros {
    const safetensors::tensor* numbers = nullptr;
    st_ct_packing<B> packing;
    std::size_t groups = 1;

    [[nodiscard]] int at(std::size_t row, std::size_t group) const noexcept {
        if (numbers == nullptr) return 1 << (B - 1);
        const std::byte* const data = numbers->data().data();
        if (numbers->dtype() == safetensors::dtype::i8) {
            const std::size_t i = numbers->elements() == 1 ? 0 : row * groups + group;
            return load_le<std::int8_t>(data + i) + (1 << (B - 1));
        }
        return static_cast<int>(packing.field(data + 4 * group, row, 4 * groups));
    }
    [[nodiscard]] static result<st_ct_zeros> of(const st_layer& layer, std::size_t rows,
                                                const st_ct_scales& scales) {
        constexpr const char* name = "weight_zero_point";
        st_ct_zeros made;
        made.groups = scales.groups;
        if (layer.look_for(name) == nullptr) return made;
        const auto zeros = layer.find(name, {safetensors::dtype::i32, safetensors::dtype::i8});
        if (!zeros) return zeros.failure();
        made.numbers = *zeros;
        if ((*zeros)->dtype() == safetensors::dtype::i8) {
            if ((*zeros)->elements() != scales.numbers->elements()) {
                return make_error(errc::shape_mismatch, layer.at(name).text,
                                  "%zu numbers for %zu scales", (*zeros)->elements(),
                                  scales.numbers->elements());
            }
            for (const std::byte each : (*zeros)->data()) {
                const int zero = std::to_integer<std::int8_t>(each) + (1 << (B - 1));
                if (zero >= 0 && zero < 1 << B) continue;
                return make_error(errc::code_out_of_range, layer.at(name).text,
                                  "%d is no zero point of %d bits", zero - (1 << (B - 1)), B);
            }
            return made;
        }
        if (scales.single && rows > 1) {
            return make_error(errc::shape_mismatch, layer.at(name).text,
                              "packed for each row, and one scale for all");
        }
        if ((*zeros)->elements() == 0 || (*zeros)->cols() != scales.groups) {
            return make_error(errc::shape_mismatch, layer.at(name).text, "%zu columns, not %zu",
                              (*zeros)->cols(), scales.groups);
        }
        const auto packing = st_ct_packing<B>::of(layer, name, rows, (*zeros)->rows());
        if (!packing) return packing.failure();
        made.packing = *packing;
        return made;
    }
};

template <class S>
[[nodiscard]] result<st_columns> st_ct_columns(const st_layer& layer, std::size_t cols,
                                               std::size_t groups) {
    const auto* g_idx = layer.look_for("weight_g_idx");
    if (g_idx != nullptr) {
        if (const auto valid = layer.find("weight_g_idx", st_integers); !valid) {
            return valid.failure();
        }
        // Filled with −1 where it is not in use.
        if (g_idx->elements() > 0 && st_integer(*g_idx, 0) == -1) g_idx = nullptr;
    }
    return st_order_columns(layer, "weight_g_idx", g_idx, cols, groups);
}

/// weight_packed: integers of B bits, stored with 2^(B−1) added.
template <class S>
[[nodiscard]] result<safetensors::imported_matrix<S>> st_ct_packed(const st_layer& layer) {
    constexpr int bits = S::bits;
    const auto packed = layer.find_matrix("weight_packed", {safetensors::dtype::i32});
    if (!packed) return packed.failure();
    const auto shape = st_ct_read_shape(layer);
    if (!shape) return shape.failure();
    const auto [rows, cols] = *shape;
    if ((*packed)->rows() != rows) {
        return make_error(errc::shape_mismatch, layer.at("weight_packed").text, "%zu rows, not %zu",
                          (*packed)->rows(), rows);
    }
    const std::size_t words = (*packed)->cols();
    const auto packing = st_ct_packing<bits>::of(layer, "weight_packed", cols, words);
    if (!packing) return packing.failure();
    const auto scales = st_ct_scales::of(layer, rows);
    if (!scales) return scales.failure();
    const auto zeros = st_ct_zeros<bits>::of(layer, rows, *scales);
    if (!zeros) return zeros.failure();
    auto columns = st_ct_columns<S>(layer, cols, scales->groups);
    if (!columns) return columns.failure();
    const std::byte* const codes = (*packed)->data().data();
    return st_fill<S>(
        layer, rows, cols, scales->groups, *std::move(columns),
        [&, n_words = words](std::size_t n, std::size_t k) {
            return packing->field(codes + n * n_words * 4, k, 4);
        },
        [&](std::size_t n, std::size_t g) { return st_group{scales->at(n, g), zeros->at(n, g)}; });
}

/// weight: one byte for each element, i8 or f8_e4m3.
template <class S>
[[nodiscard]] result<safetensors::imported_matrix<S>> st_ct_bytes(const st_layer& layer) {
    const auto weight = layer.find_matrix(
        "weight", {S::is_linear ? safetensors::dtype::i8 : safetensors::dtype::f8_e4m3});
    if (!weight) return weight.failure();
    const std::size_t rows = (*weight)->rows();
    const std::size_t cols = (*weight)->cols();
    const auto scales = st_ct_scales::of(layer, rows);
    if (!scales) return scales.failure();
    auto columns = st_ct_columns<S>(layer, cols, scales->groups);
    if (!columns) return columns.failure();
    const std::byte* const data = (*weight)->data().data();
    if constexpr (S::is_linear) {
        const auto zeros = st_ct_zeros<8>::of(layer, rows, *scales);
        if (!zeros) return zeros.failure();
        return st_fill<S>(
            layer, rows, cols, scales->groups, *std::move(columns),
            [&](std::size_t n, std::size_t k) {
                return std::to_integer<unsigned>(data[n * cols + k]) ^ 128u;
            },
            [&](std::size_t n, std::size_t g) {
                return st_group{scales->at(n, g), zeros->at(n, g)};
            });
    } else {
        return st_fill<S>(
            layer, rows, cols, scales->groups, *std::move(columns),
            [&](std::size_t n, std::size_t k) {
                return std::to_integer<unsigned>(data[n * cols + k]);
            },
            [&](std::size_t n, std::size_t g) { return st_group{scales->at(n, g)}; });
    }
}

template <class S>
[[nodiscard]] result<safetensors::imported_matrix<S>> st_import_ct(const st_layer& layer) {
    if constexpr (!S::is_linear && S::group_rows != 1) {
        return st_import_fp8<S>(layer); // the strategies "tensor" and "block"
    } else {
        if constexpr (S::bits == 8) {
            if (layer.look_for("weight_packed") == nullptr) return st_ct_bytes<S>(layer);
        }
        if constexpr (S::is_linear) {
            return st_ct_packed<S>(layer);
        } else {
            return make_error(errc::unsupported, layer.at("weight_packed").text,
                              "integers, and the scheme's codes are none");
        }
    }
}

} // namespace detail

namespace safetensors {

/// Imports a linear layer of a compressed-tensors checkpoint, exactly: w = scale·(code − zero), or
/// scale·level for fp8_e4m3.
///
/// @param from an open file. @param prefix of the layer's tensors:
/// weight_packed i32 [N, words], integers of B bits plus 2^(B−1), dense across words or ⌊32/B⌋ to a
/// word, which the number of words tells; weight_shape i32 or i64, N and K; or, unpacked, weight i8
/// or f8_e4m3 [N, K]. Then weight_scale [N, K/g], [N, 1] or one number, of f16, bf16 or f32; and,
/// where there are any, weight_zero_point, packed along N, or i8 like the scales; weight_g_idx [K].
///
/// S is int_code<2 … 8>, asymmetric, or symmetric if all zero points are in the middle, or
/// fp8_e4m3; per_channel, or groups of g columns (or of a divisor of g), with scales of the file's
/// type or float; fp8_e4m3 also per_tensor, or block_wise<R, C> if weight_scale has a number for
/// each block, as try_import_fp8. Columns whose groups are scattered are sorted: see
/// imported_matrix::permutation.
///
/// Errors: not_found for a missing tensor; unsupported for a dtype or scheme that does not fit, or
/// a width that both packings share; shape_mismatch; invalid_argument for a shape or g_idx out of
/// range; code_out_of_range for a zero point, or a code that is NaN; non_finite; out_of_memory.
///
/// Source: the compressed-tensors project's formats pack-quantized, int-quantized, float-quantized.
template <quantization_scheme S>
[[nodiscard]] result<imported_matrix<S>>
try_import_compressed_tensors(const file& from, std::string_view prefix) noexcept {
    static_assert((detail::st_is_integer_scheme<S> && S::bits >= 2) ||
                      std::is_same_v<typename S::code_type, fp8_e4m3>,
                  "quant::safetensors::import_compressed_tensors: int_code<2 to 8>, symmetric or "
                  "asymmetric, or fp8_e4m3");
    constexpr const char* where = "safetensors::import_compressed_tensors";
    return detail::guarded(
        where, [&] { return detail::st_import_ct<S>(detail::st_layer(from, prefix, where)); });
}

#if QUANT_HAS_EXCEPTIONS
/// @copydoc try_import_compressed_tensors
/// @throws quant::error
template <quantization_scheme S>
[[nodiscard]] imported_matrix<S> import_compressed_tensors(const file& from,
                                                           std::string_view prefix) {
    return try_import_compressed_tensors<S>(from, prefix).value();
}
#endif

} // namespace safetensors
} // namespace quant::inline QUANT_ABI
