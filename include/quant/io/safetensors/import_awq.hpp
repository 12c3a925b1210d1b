// Imports layers that AWQ tools wrote, in the packing called GEMM.
#pragma once

#include <quant/io/safetensors/import.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Column n of a row of words: nibble i of a word holds column [0, 2, 4, 6, 1, 3, 5, 7][i] of
/// eight.
[[nodiscard]] inline unsigned st_awq_field(const std::byte* words, std::size_t n) noexcept {
    const std::size_t nibble = n % 8 / 2 + n % 2 * 4;
    return load_le<std::uint32_t>(words + n / 8 * 4) >> 4 * nibble & 15u;
}

template <class S>
[[nodiscard]] result<safetensors::imported_matrix<S>> st_import_awq(const st_layer& layer) {
    const auto qweight = layer.find_matrix("qweight", {safetensors::dtype::i32});
    if (!qweight) return qweight.failure();
    const auto qzeros = layer.find_matrix("qzeros", {safetensors::dtype::i32});
    if (!qzeros) return qzeros.failure();
    const auto scales = layer.find_matrix("scales", st_floats);
    if (!scales) return scales.failure();
    const std::size_t cols = (*qweight)->rows();
    const std::size_t words = (*qweight)->cols();
    const std::size_t groups = (*scales)->rows();
    const std::size_t rows = words * 8;
    if (auto fits = layer.check_shape("scales", **scales, groups, rows); !fits) {
        return fits.failure();
    }
    if (auto fits = layer.check_shape("qzeros", **qzeros, groups, words); !fits) {
        return fits.failure();
    }
    auto columns = st_order_columns(layer, "", nullptr, cols, groups);
    if (!columns) return columns.failure();
    const std::byte* const codes = (*qweight)->data().data();
    const std::byte* const zeros = (*qzeros)->data().data();
    return st_fill<S>(
        layer, rows, cols, groups, *std::move(columns),
        [&](std::size_t n, std::size_t k) { return st_awq_field(codes + k * words * 4, n); },
        [&](std::size_t n, std::size_t g) {
            return st_group{st_number(**scales, g * rows + n),
                            static_cast<int>(st_awq_field(zeros + g * words * 4, n))};
        });
}

} // namespace detail

namespace safetensors {

/// Imports a linear layer of an AWQ checkpoint (version GEMM), exactly: w = scale·(code − zero).
///
/// @param from an open file. @param prefix of the layer's tensors: qweight i32 [K, N/8], qzeros i32
/// [K/g, N/8], scales f16, bf16 or f32 [K/g, N].
///
/// S is int4 in groups of g columns (or of a divisor of g), with scales of the file's type or
/// float; asymmetric, or symmetric if all zero points are 8.
///
/// Errors: not_found, unsupported, shape_mismatch, non_finite, out_of_memory, as try_import_gptq.
///
/// Source: the AutoAWQ project's linear layer "gemm".
template <quantization_scheme S>
[[nodiscard]] result<imported_matrix<S>> try_import_awq(const file& from,
                                                        std::string_view prefix) noexcept {
    static_assert(detail::st_is_integer_scheme<S> && S::bits == 4,
                  "quant::safetensors::import_awq: int4, symmetric or asymmetric");
    constexpr const char* where = "safetensors::import_awq";
    return detail::guarded(
        where, [&] { return detail::st_import_awq<S>(detail::st_layer(from, prefix, where)); });
}

#if QUANT_HAS_EXCEPTIONS
/// @copydoc try_import_awq
/// @throws quant::error
template <quantization_scheme S>
[[nodiscard]] imported_matrix<S> import_awq(const file& from, std::string_view prefix) {
    return try_import_awq<S>(from, prefix).value();
}
#endif

} // namespace safetensors
} // namespace quant::inline QUANT_ABI
