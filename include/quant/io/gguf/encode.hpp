// Quantized matrices as the blocks of a GGUF tensor type: the inverse of gguf::load.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/core/row_ranges.hpp>
#include <quant/io/gguf/blocks.hpp>
#include <quant/quantize/quantized_matrix.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Whether blocks of a type are written from codes and numbers.
template <gguf::type T>
[[nodiscard]] consteval bool gguf_writes_blocks() {
    if constexpr (gguf_find_block(T) == nullptr) {
        return false;
    } else {
        return requires { &gguf_codec<T>::write; };
    }
}

template <quantization_scheme S>
using gguf_block_writer = void (*)(const std::uint8_t* codes, const gguf_numbers<S, false>& from,
                                   std::byte* block) noexcept;

/// Writes a block of type T from codes and numbers of scheme S; null for types of other schemes.
template <gguf::type T, quantization_scheme S>
[[nodiscard]] consteval gguf_block_writer<S> gguf_writer_of() {
    if constexpr (gguf_writes_blocks<T>()) {
        if constexpr (std::is_same_v<typename gguf_codec<T>::scheme, S>) {
            return &gguf_codec<T>::write;
        } else {
            return nullptr;
        }
    } else {
        return nullptr;
    }
}

/// By id.
template <quantization_scheme S>
inline constexpr auto gguf_writers = []<std::size_t... Ids>(std::index_sequence<Ids...>) {
    return std::array<gguf_block_writer<S>, sizeof...(Ids)>{
        gguf_writer_of<static_cast<gguf::type>(Ids), S>()...};
}(std::make_index_sequence<std::size(gguf_blocks)>());

template <quantization_scheme S>
inline constexpr bool gguf_has_writer = std::any_of(gguf_writers<S>.begin(), gguf_writers<S>.end(),
                                                    [](auto writer) { return writer != nullptr; });

template <quantization_scheme S>
[[nodiscard]] constexpr gguf_block_writer<S> gguf_find_writer(gguf::type which) noexcept {
    const auto id = static_cast<std::size_t>(which);
    return id < gguf_writers<S>.size() ? gguf_writers<S>[id] : nullptr;
}

/// A matrix of scheme S cannot be of this type: an error that names those which it can be of.
template <quantization_scheme S>
[[nodiscard]] error gguf_cannot_be(gguf::type which) noexcept {
    constexpr const char* where = "gguf::encode: type";
    if (gguf_find_block(which) == nullptr) return gguf_not_a_type(which, where);
    char types[64] = "";
    std::size_t used = 0;
    for (std::size_t id = 0; id < gguf_writers<S>.size(); ++id) {
        if (gguf_writers<S>[id] == nullptr || used >= sizeof types) continue;
        const int written = std::snprintf(types + used, sizeof types - used, "%s%s",
                                          used == 0 ? "" : ", ", gguf_blocks[id].name);
        used += static_cast<std::size_t>(std::max(written, 0));
    }
    return make_error(errc::unsupported, where,
                      "%s is of another scheme than the matrix, which "
                      "is that of %s",
                      to_string(which), types);
}

/// Bytes of a row of whole blocks.
[[nodiscard]] inline result<std::size_t> gguf_row_bytes(const gguf_block& block, std::size_t cols,
                                                        const char* where) noexcept {
    if (cols % block.weights != 0) {
        return make_error(errc::shape_mismatch, where,
                          "rows of %zu columns are no whole blocks of %zu (%s)", cols,
                          block.weights, block.name);
    }
    const maybe_size bytes = checked_mul(cols / block.weights, block.bytes);
    if (!bytes) return make_error(errc::size_overflow, where, "rows of %zu columns", cols);
    return *bytes;
}

/// Checks a matrix's shape, and the room for it; returns the bytes of a row.
[[nodiscard]] inline result<std::size_t> gguf_check_room(const gguf_block& block, std::size_t rows,
                                                         std::size_t cols,
                                                         std::span<const std::byte> out,
                                                         const char* shape_where,
                                                         const char* out_where) noexcept {
    const auto row_bytes = gguf_row_bytes(block, cols, shape_where);
    if (!row_bytes) return row_bytes;
    const maybe_size bytes = checked_mul(rows, *row_bytes);
    if (!bytes || *bytes != out.size()) {
        return make_error(errc::shape_mismatch, out_where,
                          "room for %zu bytes; %zu rows of %zu (%s)", out.size(), rows, *row_bytes,
                          block.name);
    }
    if (out.data() == nullptr) return error(errc::null_data, out_where, "null pointer");
    return row_bytes;
}

/// Writes a row of whole blocks.
template <quantization_scheme S>
void gguf_encode_row(gguf_block_writer<S> write, const gguf_block& block, std::size_t cols,
                     const std::uint8_t* codes, const row_numbers<S, false>& row,
                     std::byte* to) noexcept {
    const std::size_t groups = block.weights / S::group_cols;
    gguf_numbers<S, false> numbers{row.scales, row.offsets, row.supers, row.super_minimums};
    for (std::size_t b = 0; b < cols / block.weights; ++b) {
        write(codes, numbers, to);
        to += block.bytes;
        codes += block.weights;
        numbers.advance(groups, groups / S::super_groups);
    }
}

/// Scales of fp8 have a sign that blocks have no room for.
template <quantization_scheme S>
[[nodiscard]] result<void> gguf_check_signs(const quantized_matrix<S>& q) noexcept {
    if constexpr (std::is_same_v<typename S::scale_type, fp8_e4m3>) {
        const auto scales = q.scales();
        const auto found = std::find_if(scales.begin(), scales.end(), [](fp8_e4m3 scale) {
            return (scale.bits & fp8_e4m3::sign_bit) != 0;
        });
        if (found != scales.end()) {
            const auto at = static_cast<std::size_t>(found - scales.begin());
            return make_error(errc::unsupported, "gguf::encode: q",
                              "the scale at row %zu, group %zu is negative, which its type cannot "
                              "be",
                              at / q.groups_per_row(), at % q.groups_per_row());
        }
    }
    return {};
}

} // namespace detail

namespace gguf {

/// How many bytes rows × cols weights have as a type, any.
///
/// Errors: unsupported for ids that are none; shape_mismatch if rows are no whole blocks;
/// size_overflow.
[[nodiscard]] inline result<std::size_t> try_encoded_bytes(type which, std::size_t rows,
                                                           std::size_t cols) noexcept {
    constexpr const char* where = "gguf::encoded_bytes";
    const auto* const block = detail::gguf_find_block(which);
    if (block == nullptr) return detail::gguf_not_a_type(which, where);
    const auto row_bytes = detail::gguf_row_bytes(*block, cols, where);
    if (!row_bytes) return row_bytes;
    const auto bytes = detail::checked_mul(rows, *row_bytes);
    if (!bytes) {
        return detail::make_error(errc::size_overflow, where, "%zu rows of %zu bytes", rows,
                                  *row_bytes);
    }
    return *bytes;
}

/// Codes and scales as the blocks of a type: what gguf::load_quantized makes of them is q again.
///
/// Exact: gguf::dequantize of the blocks is dequantize of q, bit for bit, but for zeros of MXFP4
/// and NVFP4, which have no minus zero: it is written as plus zero. Blocks that the ggml project
/// or this library wrote and that were loaded are the same bytes again, with three exceptions that
/// carry no meaning: codes of minus zero and signs of scales in those two types, and bytes of TQ1_0
/// that are no rounded quotient.
///
/// @tparam S the scheme of a type that is written, a preset of its name; others do not compile.
/// @param q a matrix whose rows are whole blocks: a row's last group and super-group are full.
/// @param which a type whose scheme_of is S: tq1_0 or tq2_0 for presets::tq2_0, else the only one.
/// IQ1 … IQ3, whose blocks number vectors of a codebook, and q8_1 and q8_k, which are activations',
/// are not written.
/// @param out encoded_bytes(which, q.rows(), q.cols()) bytes, at any address.
/// @param run executor; rows are independent.
///
/// Errors: unsupported for a type of another scheme, or a negative scale in NVFP4; empty;
/// shape_mismatch if rows are no whole blocks or `out` has another size; null_data; those of
/// q.validate(); executor_failed. Nothing is written on error. O(rows·cols), no allocations.
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] result<void> try_encode(const quantized_matrix<S>& q, type which,
                                      std::span<std::byte> out, E&& run = serial) noexcept {
    static_assert(detail::gguf_has_writer<S>,
                  "quant::gguf::encode: no GGUF type that is written has this scheme; see "
                  "docs/formats.md");
    constexpr const char* where = "gguf::encode: q";
    const auto writer = detail::gguf_find_writer<S>(which);
    if (writer == nullptr) return detail::gguf_cannot_be<S>(which);
    if (q.rows() == 0) return error(errc::empty, where, "0 x 0 has no elements");
    const auto block = *detail::gguf_find_block(which);
    const auto row_bytes =
        detail::gguf_check_room(block, q.rows(), q.cols(), out, where, "gguf::encode: out");
    if (!row_bytes) return row_bytes.failure();
    if (auto valid = q.validate(); !valid) return valid;
    if (auto valid = detail::gguf_check_signs(q); !valid) return valid;
    const std::size_t per_task =
        detail::rows_per_task(q.rows(), q.cols(), detail::concurrency_of(run), 1);
    return detail::for_each_row_range(
        run, q.rows(), per_task, where, [&](std::size_t first, std::size_t last) -> result<void> {
            for (std::size_t r = first; r < last; ++r) {
                detail::gguf_encode_row<S>(writer, block, q.cols(), q.codes().data() + r * q.cols(),
                                           q.row_numbers(r), out.data() + r * *row_bytes);
            }
            return {};
        });
}

#if QUANT_HAS_EXCEPTIONS
/// @copydoc try_encoded_bytes
/// @throws quant::error
[[nodiscard]] inline std::size_t encoded_bytes(type which, std::size_t rows, std::size_t cols) {
    return try_encoded_bytes(which, rows, cols).value();
}
/// @copydoc try_encode
/// @throws quant::error
template <quantization_scheme S, executor E = const serial_executor&>
void encode(const quantized_matrix<S>& q, type which, std::span<std::byte> out, E&& run = serial) {
    try_encode(q, which, out, run).value();
}
#endif

} // namespace gguf
} // namespace quant::inline QUANT_ABI
