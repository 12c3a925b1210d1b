// pack, unpack, quantize_packed: into the kernels' layout and back, without loss.
#pragma once

#include <quant/pack/panel.hpp>
#include <quant/quantize/quantized_matrix.hpp>
#include <quant/quantize/rows.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Packs all panels of q; writes all of their bytes.
template <quantization_scheme S>
[[nodiscard]] result<void> pack_panels(const quantized_matrix<S>& q, std::byte* panels,
                                       const executor_ref& run, const char* where) noexcept {
    const std::size_t panel_bytes = *layout<S>::panel_bytes(q.cols());
    const std::size_t per_task = rows_per_task(q.rows(), q.cols(), run.concurrency(), panel_rows);
    return for_each_row_range(run, q.rows(), per_task, where,
                              [&](std::size_t first, std::size_t last) -> result<void> {
                                  for (std::size_t r = first; r < last; r += panel_rows) {
                                      panel_rows_source<S> source;
                                      source.codes = q.codes().data() + r * q.cols();
                                      source.cols = q.cols();
                                      source.rows = std::min(panel_rows, last - r);
                                      for (std::size_t i = 0; i < source.rows; ++i) {
                                          source.set_row(i, q.row_numbers(r + i));
                                      }
                                      pack_panel(source, panels + r / panel_rows * panel_bytes);
                                  }
                                  return {};
                              });
}

/// Reads one panel back: rows row … row + rows − 1, scales and offsets too where each row has its
/// own.
template <quantization_scheme S>
void unpack_panel(const std::byte* panel, std::size_t row, std::size_t rows,
                  quantized_matrix<S>& to) noexcept {
    using at = layout<S>;
    const std::size_t cols = to.cols(), groups = to.groups_per_row();
    unpack_codes<S>(panel, rows, cols, to.mutable_codes().data() + row * cols);
    if constexpr (S::group_rows == 1) {
        unpack_numbers(
            panel, [](std::size_t g) { return at::scales_at(g); }, rows, groups,
            to.mutable_scales().data() + row * groups);
        if constexpr (S::has_offset) {
            unpack_numbers(
                panel, [](std::size_t g) { return at::offsets_at(g); }, rows, groups,
                to.mutable_offsets().data() + row * groups);
        }
        if constexpr (S::is_two_level) {
            const std::size_t supers = S::supers_per_row(cols);
            unpack_numbers(panel, super_place<S>{}, rows, supers,
                           to.mutable_super_scales().data() + row * supers);
            if constexpr (S::has_minimum) {
                unpack_numbers(panel, super_place<S>{1}, rows, supers,
                               to.mutable_super_minimums().data() + row * supers);
            }
        }
    }
}

/// Scales and offsets that several rows share: all hold equal copies, the first row's is read.
template <quantization_scheme S>
void unpack_shared_numbers(const packed_view<S>& p, quantized_matrix<S>& to) noexcept {
    using at = layout<S>;
    const std::size_t groups = to.groups_per_row(), panel_bytes = p.panel_bytes();
    for (std::size_t r = 0; r < p.rows(); ++r) {
        if (r > 0 && S::scale_row(r) == S::scale_row(r - 1)) continue;
        const std::byte* panel = p.panels() + r / panel_rows * panel_bytes;
        const std::size_t lane = r % panel_rows;
        for (std::size_t g = 0; g < groups; ++g) {
            const std::size_t i = to.first_group(r) + g;
            to.mutable_scales()[i] = get_number<typename S::scale_type>(panel + at::scales_at(g) +
                                                                        lane * at::scale_bytes);
            if constexpr (S::has_offset) {
                to.mutable_offsets()[i] = get_number<typename S::offset_type>(
                    panel + at::offsets_at(g) + lane * at::offset_bytes);
            }
        }
    }
}

/// try_quantize_packed with quantize_options, or default_options.
template <quantization_scheme S, class T, class Options>
[[nodiscard]] result<packed_matrix<S>> quantize_panels(matrix_view<T> w, const Options& options,
                                                       const executor_ref& run) noexcept {
    using scale_type = typename S::scale_type;
    using offset_type = typename S::offset_type;
    using super_type = typename S::super_type;
    constexpr const char* where = "quantize: w";
    if (auto valid = check_readable(w, where); !valid) return valid.failure();
    if (auto valid = check_options(options, w.cols()); !valid) return valid.failure();
    auto made = matrix_internals::make<packed_matrix<S>>(w.rows(), w.cols(), where);
    if (!made) return made;
    constexpr bool rows_share = S::group_rows != 1;
    const std::size_t groups = S::groups_per_row(w.cols());
    const std::size_t shared_scales = rows_share ? S::scale_rows(w.rows()) * groups : 0;
    auto scales = buffer<scale_type>::uninitialized(shared_scales, where);
    if (!scales) return scales.failure();
    auto offsets = buffer<offset_type>::uninitialized(S::has_offset ? shared_scales : 0, where);
    if (!offsets) return offsets.failure();
    row_monitor<Options> monitor(options, w.rows());
    if constexpr (rows_share) {
        auto fitted =
            fit_shared<S>(w, scales->data(), offsets->data(), options, monitor, run, where);
        if (!fitted) return fitted.failure();
    }
    std::byte* panels = made->mutable_bytes().data() + packed_header_bytes;
    const std::size_t panel_bytes = *layout<S>::panel_bytes(w.cols());
    const std::size_t per_task =
        rows_per_task(w.rows(), w.cols(), monitor.concurrency(run), panel_rows);

    auto done = for_each_row_range(
        run, w.rows(), per_task, where, [&](std::size_t first, std::size_t last) -> result<void> {
            const std::size_t width = rows_are_floats(w) ? 0 : w.cols();
            auto scratch = buffer<float>::uninitialized(width, where);
            if (!scratch) return scratch.failure();
            auto codes = buffer<std::uint8_t>::uninitialized(panel_rows * w.cols(), where);
            if (!codes) return codes.failure();
            const std::size_t own = rows_share ? 0 : panel_rows * groups;
            auto own_scales = buffer<scale_type>::uninitialized(own, where);
            if (!own_scales) return own_scales.failure();
            auto own_offsets = buffer<offset_type>::uninitialized(S::has_offset ? own : 0, where);
            if (!own_offsets) return own_offsets.failure();
            const std::size_t supers = S::supers_per_row(w.cols());
            auto own_supers = buffer<super_type>::uninitialized(2 * panel_rows * supers, where);
            if (!own_supers) return own_supers.failure();

            for (std::size_t r = first; r < last; r += panel_rows) {
                if (monitor.cancelled()) return stopped_by_caller(where);
                panel_rows_source<S> source;
                source.codes = codes->data();
                source.cols = w.cols();
                source.rows = std::min(panel_rows, last - r);
                for (std::size_t i = 0; i < source.rows; ++i) {
                    const float* row = row_as_floats(w, r + i, scratch->data());
                    row_numbers<S, true> numbers;
                    if constexpr (rows_share) {
                        const std::size_t g = S::scale_row(r + i) * groups;
                        numbers.scales = scales->data() + g;
                        if (S::has_offset) numbers.offsets = offsets->data() + g;
                        encode_row<S>(row, w.cols(), r + i, numbers, codes->data() + i * w.cols(),
                                      options);
                    } else {
                        numbers.scales = own_scales->data() + i * groups;
                        if (S::has_offset) numbers.offsets = own_offsets->data() + i * groups;
                        numbers.supers = own_supers->data() + i * supers;
                        numbers.super_minimums = own_supers->data() + (panel_rows + i) * supers;
                        auto quantized =
                            quantize_row<S>(row, w.cols(), r + i, numbers,
                                            codes->data() + i * w.cols(), options, where);
                        if (!quantized) return quantized;
                    }
                    source.set_row(i, numbers);
                }
                pack_panel(source, panels + r / panel_rows * panel_bytes);
            }
            monitor.finished(last - first);
            return {};
        });
    if (!done) return done.failure();
    return made;
}

} // namespace detail

/// Packs a quantized matrix into the kernels' layout; unpack() gives it back.
/// Errors: empty, size_overflow, out_of_memory, executor_failed. O(rows·cols).
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] result<packed_matrix<S>> try_pack(const quantized_matrix<S>& q,
                                                E&& run = serial) noexcept {
    constexpr const char* where = "pack: q";
    auto made = detail::matrix_internals::make<packed_matrix<S>>(q.rows(), q.cols(), where);
    if (!made) return made;
    std::byte* panels = made->mutable_bytes().data() + detail::packed_header_bytes;
    if (auto done = detail::pack_panels(q, panels, run, where); !done) return done.failure();
    return made;
}

/// Packs into the caller's memory: packed_size<S>(rows, cols) bytes on a 64-byte boundary, which
/// must outlive the view.
/// Errors: empty, size_overflow, shape_mismatch (memory too small), misaligned, executor_failed.
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] result<packed_view<S>> try_pack_into(const quantized_matrix<S>& q,
                                                   std::span<std::byte> memory,
                                                   E&& run = serial) noexcept {
    constexpr const char* where = "pack_into: memory";
    if (q.rows() == 0) return error(errc::empty, "pack_into: q", "the matrix has no elements");
    const std::size_t size = packed_size<S>(q.rows(), q.cols());
    if (size == 0) return error(errc::size_overflow, "pack_into: q", "packed size");
    if (memory.size() < size) {
        return detail::make_error(errc::shape_mismatch, where, "%zu bytes, %zu are needed",
                                  memory.size(), size);
    }
    if (reinterpret_cast<std::uintptr_t>(memory.data()) % detail::line_bytes != 0) {
        return error(errc::misaligned, where, "does not start on a 64-byte boundary");
    }
    detail::write_packed_header<S>(memory.data(), q.rows(), q.cols());
    std::byte* panels = memory.data() + detail::packed_header_bytes;
    if (auto done = detail::pack_panels(q, panels, run, where); !done) return done.failure();
    return packed_view<S>(panels, q.rows(), q.cols());
}

/// The codes and scales of packed weights, row-major: the inverse of pack.
/// Errors: empty, null_data, out_of_memory, executor_failed.
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] result<quantized_matrix<S>> try_unpack(packed_view<S> p, E&& run = serial) noexcept {
    constexpr const char* where = "unpack: p";
    if (p.rows() != 0 && p.panels() == nullptr)
        return error(errc::null_data, where, "null pointer");
    auto made = detail::matrix_internals::make<quantized_matrix<S>>(p.rows(), p.cols(), where);
    if (!made) return made;
    const std::size_t panel_bytes = p.panel_bytes();
    const std::size_t per_task =
        detail::rows_per_task(p.rows(), p.cols(), detail::concurrency_of(run), panel_rows);
    auto done = detail::for_each_row_range(
        run, p.rows(), per_task, where, [&](std::size_t first, std::size_t last) -> result<void> {
            for (std::size_t r = first; r < last; r += panel_rows) {
                detail::unpack_panel(p.panels() + r / panel_rows * panel_bytes, r,
                                     std::min(panel_rows, last - r), *made);
            }
            return {};
        });
    if (!done) return done.failure();
    if constexpr (S::group_rows != 1) detail::unpack_shared_numbers(p, *made);
    // Bytes from elsewhere may hold what no function of this library writes.
    constexpr const char* numbers = "quantized_matrix";
    if constexpr (!S::is_linear || S::is_two_level) {
        if (auto valid = made->validate(); !valid) return valid.failure();
    } else if (auto valid = detail::matrix_internals::check_numbers(*made, numbers); !valid) {
        return valid.failure();
    }
    return made;
}

/// @copydoc try_unpack
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] result<quantized_matrix<S>> try_unpack(const packed_matrix<S>& p,
                                                     E&& run = serial) noexcept {
    return try_unpack(p.view(), run);
}

/// quantize and pack in one pass, panel by panel, without a second copy of the matrix: the same
/// bytes as pack(quantize<S>(w, options)).
/// Errors: those of quantize.
template <quantization_scheme S, real_element T, executor E = const serial_executor&>
[[nodiscard]] result<packed_matrix<S>>
try_quantize_packed(matrix_view<T> w, const quantize_options& options, E&& run = serial) noexcept {
    return detail::quantize_panels<S>(w, options, run);
}
/// try_quantize_packed with all options' defaults, for which less is compiled.
template <quantization_scheme S, real_element T, executor E>
[[nodiscard]] result<packed_matrix<S>> try_quantize_packed(matrix_view<T> w, E&& run) noexcept {
    return detail::quantize_panels<S>(w, detail::default_options{}, run);
}
/// @copydoc try_quantize_packed
template <quantization_scheme S, real_element T>
[[nodiscard]] result<packed_matrix<S>> try_quantize_packed(matrix_view<T> w) noexcept {
    return detail::quantize_panels<S>(w, detail::default_options{}, serial);
}

#if QUANT_HAS_EXCEPTIONS
/// As try_pack. @throws quant::error
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] packed_matrix<S> pack(const quantized_matrix<S>& q, E&& run = serial) {
    return try_pack(q, run).value();
}
/// As try_pack_into. @throws quant::error
template <quantization_scheme S, executor E = const serial_executor&>
packed_view<S> pack_into(const quantized_matrix<S>& q, std::span<std::byte> memory,
                         E&& run = serial) {
    return try_pack_into(q, memory, run).value();
}
/// As try_unpack. @throws quant::error
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] quantized_matrix<S> unpack(packed_view<S> p, E&& run = serial) {
    return try_unpack(p, run).value();
}
/// @copydoc unpack
template <quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] quantized_matrix<S> unpack(const packed_matrix<S>& p, E&& run = serial) {
    return try_unpack(p.view(), run).value();
}
/// As try_quantize_packed. @throws quant::error
template <quantization_scheme S, real_element T, executor E = const serial_executor&>
[[nodiscard]] packed_matrix<S> quantize_packed(matrix_view<T> w, const quantize_options& options,
                                               E&& run = serial) {
    return try_quantize_packed<S>(w, options, run).value();
}
/// @copydoc quantize_packed
template <quantization_scheme S, real_element T, executor E>
[[nodiscard]] packed_matrix<S> quantize_packed(matrix_view<T> w, E&& run) {
    return try_quantize_packed<S>(w, run).value();
}
/// @copydoc quantize_packed
template <quantization_scheme S, real_element T>
[[nodiscard]] packed_matrix<S> quantize_packed(matrix_view<T> w) {
    return try_quantize_packed<S>(w).value();
}
#endif

} // namespace quant::inline QUANT_ABI
