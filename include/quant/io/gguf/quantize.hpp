// gguf::quantize: floats to the blocks of a GGUF tensor type.
#pragma once

#include <quant/io/gguf/encode.hpp>
#include <quant/quantize/rows.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Quantizes rows to a type of blocks. Codes and numbers of one row are all that is kept.
template <gguf::type T>
class gguf_row_quantizer {
public:
    using scheme = typename gguf_codec<T>::scheme;

    [[nodiscard]] static result<gguf_row_quantizer> try_make(std::size_t cols,
                                                             const char* where) noexcept {
        auto row = matrix_internals::make<quantized_matrix<scheme>>(1, cols, where);
        if (!row) return row.failure();
        return gguf_row_quantizer(*std::move(row));
    }

    [[nodiscard]] result<void> write(const float* weights, std::size_t cols, std::size_t row,
                                     std::byte* to, const quantize_options& options,
                                     const char* where) noexcept {
        std::uint8_t* const codes = row_.mutable_codes().data();
        auto done = quantize_row<scheme>(weights, cols, row, row_.mutable_row_numbers(0), codes,
                                         options, where);
        if (!done) return done;
        gguf_encode_row<scheme>(&gguf_codec<T>::write, *gguf_find_block(T), cols, codes,
                                row_.row_numbers(0), to);
        return {};
    }

private:
    explicit gguf_row_quantizer(quantized_matrix<scheme> row) noexcept : row_(std::move(row)) {}

    quantized_matrix<scheme> row_;
};

/// Narrows rows to numbers without scales, to nearest, ties to even.
template <class Element>
class gguf_row_narrower {
public:
    /// What options are checked for; none of them matters here.
    using scheme = quant::scheme<int8, symmetric, per_channel, float>;

    [[nodiscard]] static result<gguf_row_narrower> try_make(std::size_t, const char*) noexcept {
        return gguf_row_narrower();
    }

    [[nodiscard]] result<void> write(const float* weights, std::size_t cols, std::size_t row,
                                     std::byte* to, const quantize_options&,
                                     const char* where) noexcept {
        for (std::size_t c = 0; c < cols; ++c) {
            const float value = load_element(weights + c);
            if (!std::isfinite(value)) return non_finite_element(&value, 1, row, c, where);
            const auto number = static_cast<Element>(value);
            if (!std::isfinite(static_cast<float>(number))) {
                return make_error(errc::scale_overflow, where,
                                  "%g at row %zu, column %zu is too large for its type",
                                  static_cast<double>(value), row, c);
            }
            if constexpr (std::is_same_v<Element, float>) {
                store_le(to + c * sizeof number, number);
            } else {
                store_le(to + c * sizeof number, number.bits);
            }
        }
        return {};
    }
};

/// How rows become bytes of a type; undefined for types that nothing is quantized to.
template <gguf::type T>
struct gguf_row_maker;
template <gguf::type T>
    requires(gguf_writes_blocks<T>())
struct gguf_row_maker<T> {
    using type = gguf_row_quantizer<T>;
};
template <>
struct gguf_row_maker<gguf::type::f32> {
    using type = gguf_row_narrower<float>;
};
template <>
struct gguf_row_maker<gguf::type::f16> {
    using type = gguf_row_narrower<fp16>;
};
template <>
struct gguf_row_maker<gguf::type::bf16> {
    using type = gguf_row_narrower<bf16>;
};

template <gguf::type T>
concept gguf_is_quantized_to = requires { typename gguf_row_maker<T>::type; };

} // namespace detail

namespace gguf {

/// Quantizes weights to the blocks of a type: the bytes of quant::quantize in the type's scheme and
/// gguf::encode of that, row by row, without a copy of the whole.
///
/// @tparam Which a type of blocks that gguf::encode writes; or f32, f16, bf16, to which weights are
/// rounded to nearest, ties to even. Others do not compile.
/// @param w        float, fp16 or bf16; any strides, any alignment; rows of whole blocks
/// @param out      encoded_bytes(Which, w.rows(), w.cols()) bytes, at any address, apart from w
/// @param options  as quantize's; range_estimator::mse takes longer than the default, min_max, and
/// loses less where scales have one level
/// @param run      executor; rows are split over it
///
/// Errors: those of quant::try_quantize; shape_mismatch if rows are no whole blocks or `out` has
/// another size; null_data; scale_overflow for a weight too large for f16 or bf16. After an error
/// `out` holds anything. Complexity: that of quantize.
template <type Which, real_element T, executor E = const serial_executor&>
[[nodiscard]] result<void> try_quantize(matrix_view<T> w, std::span<std::byte> out,
                                        const quantize_options& options = {},
                                        E&& run = serial) noexcept {
    static_assert(detail::gguf_is_quantized_to<Which>,
                  "quant::gguf::quantize: there is no quantizer to this GGUF type; see "
                  "docs/formats.md");
    constexpr const char* where = "gguf::quantize: w";
    constexpr detail::gguf_block block = *detail::gguf_find_block(Which);
    using row_maker = typename detail::gguf_row_maker<Which>::type;
    if (auto valid = detail::check_readable(w, where); !valid) return valid;
    const auto row_bytes =
        detail::gguf_check_room(block, w.rows(), w.cols(), out, where, "gguf::quantize: out");
    if (!row_bytes) return row_bytes.failure();
    auto valid = detail::check_options(options, w.cols());
    if (!valid) return valid;
    detail::row_monitor<quantize_options> monitor(options, w.rows());
    const std::size_t per_task =
        detail::rows_per_task(w.rows(), w.cols(), monitor.concurrency(run), 1);
    return detail::for_each_row_range(
        run, w.rows(), per_task, where, [&](std::size_t first, std::size_t last) -> result<void> {
            const std::size_t width = detail::rows_are_floats(w) ? 0 : w.cols();
            auto scratch = detail::buffer<float>::uninitialized(width, where);
            if (!scratch) return scratch.failure();
            auto rows = row_maker::try_make(w.cols(), where);
            if (!rows) return rows.failure();
            for (std::size_t r = first; r < last; ++r) {
                if (monitor.cancelled()) return detail::stopped_by_caller(where);
                const float* const row = detail::row_as_floats(w, r, scratch->data());
                std::byte* const to = out.data() + r * *row_bytes;
                auto done = rows->write(row, w.cols(), r, to, options, where);
                if (!done) return done;
            }
            monitor.finished(last - first);
            return {};
        });
}

#if QUANT_HAS_EXCEPTIONS
/// @copydoc try_quantize
/// @throws quant::error
template <type Which, real_element T, executor E = const serial_executor&>
void quantize(matrix_view<T> w, std::span<std::byte> out, const quantize_options& options = {},
              E&& run = serial) {
    try_quantize<Which>(w, out, options, run).value();
}
#endif

} // namespace gguf
} // namespace quant::inline QUANT_ABI
