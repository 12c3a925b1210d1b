// gather_rows: some rows of packed weights as real numbers, such as the embeddings of tokens.
#pragma once

#include <quant/pack/dequantize_packed.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

namespace quant::inline QUANT_ABI {

/// What rows can be numbered by: standard integers of 16 bits or more, signed or unsigned.
template <class I>
concept row_index = sizeof(I) >= 2 && (std::signed_integral<std::remove_const_t<I>> ||
                                       std::unsigned_integral<std::remove_const_t<I>>);

namespace detail {

/// The first index that names no row, as an error.
template <row_index I>
[[nodiscard]] result<void> check_rows(std::span<I> rows, std::size_t count,
                                      const char* where) noexcept {
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (std::cmp_greater_equal(rows[i], 0) && std::cmp_less(rows[i], count)) continue;
        if (std::cmp_less(rows[i], 0)) {
            return make_error(errc::invalid_argument, where,
                              "index %lld at position %zu, of %zu rows",
                              static_cast<long long>(rows[i]), i, count);
        }
        return make_error(errc::invalid_argument, where, "index %llu at position %zu, of %zu rows",
                          static_cast<unsigned long long>(rows[i]), i, count);
    }
    return {};
}

} // namespace detail

/// Row i of out = row rows[i] of p, exactly as dequantize of all of p gives it.
///
/// Reads only the lanes of these rows, in place; allocates nothing. Indices may repeat.
///
/// @param rows  0 … p.rows() − 1, any integer type of 16 bits or more
/// @param out   rows.size() × p.cols() elements, columns side by side, rows at any distance
/// Errors: empty, null_data, shape_mismatch, invalid_stride, size_overflow; invalid_argument (an
/// index that names no row, with its position; out is not written then); executor_failed.
/// Complexity: O(rows.size() · cols).
template <quantization_scheme S, row_index I, real_element T, executor E = const serial_executor&>
[[nodiscard]] result<void> try_gather_rows(packed_view<S> p, std::span<I> rows, matrix_view<T> out,
                                           E&& run = serial) noexcept {
    static_assert(!std::is_const_v<T>, "quant::gather_rows: the output view's elements are const");
    constexpr const char* where = "gather_rows: out";
    if (p.rows() == 0) return error(errc::empty, "gather_rows: p", "the matrix has no elements");
    if (p.panels() == nullptr) return error(errc::null_data, "gather_rows: p", "null pointer");
    if (rows.empty()) return error(errc::empty, "gather_rows: rows", "no indices");
    if (rows.data() == nullptr) return error(errc::null_data, "gather_rows: rows", "null pointer");
    if (auto valid = detail::check_output(out, rows.size(), p.cols(), where); !valid) return valid;
    if (auto valid = detail::check_rows(rows, p.rows(), "gather_rows: rows"); !valid) return valid;
    const std::size_t panel_bytes = p.panel_bytes();
    const std::size_t per_task =
        detail::rows_per_task(rows.size(), p.cols(), detail::concurrency_of(run), 1);
    return detail::for_each_row_range(run, rows.size(), per_task, where,
                                      [&](std::size_t first, std::size_t last) -> result<void> {
                                          for (std::size_t i = first; i < last; ++i) {
                                              const auto r = static_cast<std::size_t>(rows[i]);
                                              detail::dequantize_lane<S>(
                                                  p.panels() + r / panel_rows * panel_bytes,
                                                  r % panel_rows, p.cols(), out.row(i));
                                          }
                                          return {};
                                      });
}
/// @copydoc try_gather_rows
template <quantization_scheme S, row_index I, real_element T, executor E = const serial_executor&>
[[nodiscard]] result<void> try_gather_rows(const packed_matrix<S>& p, std::span<I> rows,
                                           matrix_view<T> out, E&& run = serial) noexcept {
    return try_gather_rows(p.view(), rows, out, run);
}

#if QUANT_HAS_EXCEPTIONS
/// As try_gather_rows. @throws quant::error
template <quantization_scheme S, row_index I, real_element T, executor E = const serial_executor&>
void gather_rows(packed_view<S> p, std::span<I> rows, matrix_view<T> out, E&& run = serial) {
    try_gather_rows(p, rows, out, run).value();
}
/// @copydoc gather_rows
template <quantization_scheme S, row_index I, real_element T, executor E = const serial_executor&>
void gather_rows(const packed_matrix<S>& p, std::span<I> rows, matrix_view<T> out,
                 E&& run = serial) {
    try_gather_rows(p.view(), rows, out, run).value();
}
#endif

} // namespace quant::inline QUANT_ABI
