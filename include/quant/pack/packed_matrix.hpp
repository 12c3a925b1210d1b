// packed_view<S> and packed_matrix<S>: weights in the kernels' layout, borrowed or owned.
#pragma once

#include <quant/core/buffer.hpp>
#include <quant/pack/layout.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace quant::inline QUANT_VOCABULARY {

/// Packed weights in somebody else's memory: a trivial value to pass around. Functions that take
/// packed weights take views; a packed_matrix converts to one.
template <quantization_scheme S>
class packed_view {
public:
    using scheme_type = S;

    QUANT_DETAIL_INLINE constexpr packed_view() noexcept = default;
    /// Views panels that are known to be valid; see quant::packed_view_of for bytes from outside.
    QUANT_DETAIL_INLINE constexpr packed_view(const std::byte* panels, std::size_t rows,
                                              std::size_t cols) noexcept
        : panels_(panels), rows_(rows), cols_(cols) {}

    [[nodiscard]] QUANT_DETAIL_INLINE constexpr std::size_t rows() const noexcept { return rows_; }
    [[nodiscard]] QUANT_DETAIL_INLINE constexpr std::size_t cols() const noexcept { return cols_; }
    [[nodiscard]] QUANT_DETAIL_INLINE constexpr const std::byte* panels() const noexcept {
        return panels_;
    }
    /// Distance between panels in bytes.
    [[nodiscard]] QUANT_DETAIL_INLINE constexpr std::size_t panel_bytes() const noexcept {
        return cols_ == 0 ? 0 : core_detail::layout<S>::panel_bytes(cols_).value_or(0);
    }
    /// Bits that these weights need in their format, padding and header not counted.
    [[nodiscard]] QUANT_DETAIL_INLINE double nominal_bits() const noexcept {
        return rows_ == 0 ? 0 : S::nominal_bits(rows_, cols_);
    }

private:
    const std::byte* panels_ = nullptr;
    std::size_t rows_ = 0;
    std::size_t cols_ = 0;
};

} // namespace quant::inline QUANT_VOCABULARY

namespace quant::inline QUANT_ABI {
namespace detail {

inline constexpr char packed_magic[8] = {'q', 'u', 'a', 'n', 't', 'p', 'k', 'd'};

template <class T>
void put_little_endian(std::byte* to, T value) noexcept {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        to[i] = static_cast<std::byte>(value >> (8 * i) & 0xFF);
    }
}
template <class T>
[[nodiscard]] T get_little_endian(const std::byte* from) noexcept {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        value |= static_cast<T>(static_cast<T>(from[i]) << (8 * i));
    }
    return value;
}

/// Writes the 64-byte header of docs/layout.md.
template <quantization_scheme S>
void write_packed_header(std::byte* to, std::size_t rows, std::size_t cols) noexcept {
    constexpr scheme_descriptor d = describe<S>();
    std::memset(to, 0, packed_header_bytes);
    std::memcpy(to, packed_magic, sizeof packed_magic);
    put_little_endian(to + 8, packed_layout_version);
    put_little_endian(to + 12, static_cast<std::uint32_t>(packed_header_bytes));
    to[16] = static_cast<std::byte>(d.code);
    to[17] = static_cast<std::byte>(d.bits);
    to[18] = static_cast<std::byte>(d.mapping);
    to[19] = static_cast<std::byte>(d.scale);
    to[20] = static_cast<std::byte>(d.super_scale);
    to[21] = static_cast<std::byte>(d.scale_bits | (d.signed_scales ? 0x80 : 0));
    put_little_endian(to + 22, d.super_groups);
    put_little_endian(to + 24, d.group_rows);
    put_little_endian(to + 28, d.group_cols);
    put_little_endian(to + 32, static_cast<std::uint64_t>(rows));
    put_little_endian(to + 40, static_cast<std::uint64_t>(cols));
    put_little_endian(to + 48, static_cast<std::uint64_t>(*layout<S>::panel_bytes(cols)));
    put_little_endian(to + 56, d.levels);
}

} // namespace detail

/// What the header of packed bytes says.
struct packed_header {
    scheme_descriptor scheme;
    std::uint64_t rows = 0;
    std::uint64_t cols = 0;
    std::uint64_t panel_bytes = 0;
};

/// Reads the header of packed bytes, to learn which scheme they hold.
/// Errors: truncated, bad_layout, unsupported (a later layout version).
[[nodiscard]] inline result<packed_header>
read_packed_header(std::span<const std::byte> bytes) noexcept {
    using detail::get_little_endian;
    constexpr const char* where = "packed bytes: header";
    if (bytes.size() < detail::packed_header_bytes) {
        return detail::make_error(errc::truncated, where, "%zu bytes, the header alone has %zu",
                                  bytes.size(), detail::packed_header_bytes);
    }
    const std::byte* from = bytes.data();
    if (std::memcmp(from, detail::packed_magic, sizeof detail::packed_magic) != 0) {
        return error(errc::bad_layout, where, "does not begin with \"quantpkd\"");
    }
    const auto version = get_little_endian<std::uint32_t>(from + 8);
    if (version != packed_layout_version) {
        return detail::make_error(errc::unsupported, where, "layout version %u, this reads %u",
                                  version, packed_layout_version);
    }
    const auto header_bytes = get_little_endian<std::uint32_t>(from + 12);
    if (header_bytes != detail::packed_header_bytes) {
        return detail::make_error(errc::bad_layout, where, "a header of %u bytes", header_bytes);
    }
    packed_header header;
    header.scheme = {static_cast<code_kind>(from[16]),
                     static_cast<std::uint8_t>(from[17]),
                     static_cast<mapping_kind>(from[18]),
                     static_cast<scale_kind>(from[19]),
                     get_little_endian<std::uint32_t>(from + 24),
                     get_little_endian<std::uint32_t>(from + 28),
                     get_little_endian<std::uint64_t>(from + 56),
                     static_cast<scale_kind>(from[20]),
                     get_little_endian<std::uint16_t>(from + 22),
                     static_cast<std::uint8_t>(static_cast<unsigned>(from[21]) & 0x7Fu),
                     (static_cast<unsigned>(from[21]) & 0x80u) != 0};
    header.rows = get_little_endian<std::uint64_t>(from + 32);
    header.cols = get_little_endian<std::uint64_t>(from + 40);
    header.panel_bytes = get_little_endian<std::uint64_t>(from + 48);
    return header;
}

/// The 64 bytes before the panels of a rows × cols matrix of scheme S, for who writes panels as
/// they are made. cols is such that packed_size<S>(1, cols) is not 0.
template <quantization_scheme S>
[[nodiscard]] std::array<std::byte, 64> packed_header_of(std::size_t rows,
                                                         std::size_t cols) noexcept {
    static_assert(detail::packed_header_bytes == 64);
    std::array<std::byte, 64> header;
    detail::write_packed_header<S>(header.data(), rows, cols);
    return header;
}

/// Views packed bytes that were stored or mapped, without copying: checks their header against
/// scheme S and their size against the header, and reads nothing else. Products of bytes that
/// hold NaN scales give NaN, never more harm.
/// Errors: truncated, bad_layout, unsupported, misaligned.
template <quantization_scheme S>
[[nodiscard]] result<packed_view<S>> try_packed_view_of(std::span<const std::byte> bytes) noexcept {
    constexpr const char* where = "packed bytes";
    auto header = read_packed_header(bytes);
    if (!header) return header.failure();
    if (header->scheme != describe<S>()) {
        return detail::make_error(errc::bad_layout, where, "hold %u-bit codes of another scheme",
                                  header->scheme.bits);
    }
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % detail::line_bytes != 0) {
        return error(errc::misaligned, where, "do not start on a 64-byte boundary");
    }
    if (header->rows == 0 || header->cols == 0 || header->rows > PTRDIFF_MAX ||
        header->cols > PTRDIFF_MAX) {
        return error(errc::bad_layout, where, "header has an impossible shape");
    }
    const auto rows = static_cast<std::size_t>(header->rows);
    const auto cols = static_cast<std::size_t>(header->cols);
    const auto total = detail::layout<S>::total_bytes(rows, cols);
    if (!total || header->panel_bytes != *detail::layout<S>::panel_bytes(cols)) {
        return detail::make_error(errc::bad_layout, where,
                                  "panels of %zu x %zu cannot have the size in the header", rows,
                                  cols);
    }
    if (bytes.size() < *total) {
        return detail::make_error(errc::truncated, where, "%zu bytes, %zu x %zu needs %zu",
                                  bytes.size(), rows, cols, *total);
    }
    return packed_view<S>(bytes.data() + detail::packed_header_bytes, rows, cols);
}

/// Rows first … first + count − 1 of packed weights, as a view.
/// Errors: invalid_argument unless first is a multiple of 16, and count too (or the slice ends at
/// the last row), within the matrix.
template <quantization_scheme S>
[[nodiscard]] result<packed_view<S>> try_slice_rows(packed_view<S> view, std::size_t first,
                                                    std::size_t count) noexcept {
    const bool inside = first < view.rows() && count > 0 && count <= view.rows() - first;
    const bool whole_panels =
        first % panel_rows == 0 && (count % panel_rows == 0 || first + count == view.rows());
    if (!inside || !whole_panels) {
        return detail::make_error(
            errc::invalid_argument, "slice_rows",
            "%zu rows from row %zu of %zu: slices are whole panels of 16 rows", count, first,
            view.rows());
    }
    return packed_view<S>(view.panels() + first / panel_rows * view.panel_bytes(), count,
                          view.cols());
}

/// Weights in the kernels' layout (docs/layout.md), with their header, in memory of their own.
/// Move only.
template <quantization_scheme S>
class packed_matrix {
public:
    using scheme_type = S;

    /// An empty 0 × 0 matrix, to assign to.
    packed_matrix() noexcept = default;

    /// Room for a rows × cols matrix, header written, panels zero; for code that fills it.
    /// Errors: empty, size_overflow, out_of_memory.
    [[nodiscard]] static result<packed_matrix>
    try_zero(std::size_t rows, std::size_t cols, const char* where = "packed_matrix") noexcept {
        auto made = try_uninitialized(rows, cols, where);
        if (!made) return made;
        const std::size_t header = detail::packed_header_bytes;
        std::memset(made->bytes_.data() + header, 0, made->bytes_.size() - header);
        return made;
    }

    [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
    [[nodiscard]] std::size_t cols() const noexcept { return cols_; }

    /// Views this matrix, which must outlive the view; a temporary has none.
    [[nodiscard]] packed_view<S> view() const& noexcept {
        return rows_ == 0
                   ? packed_view<S>()
                   : packed_view<S>(bytes_.data() + detail::packed_header_bytes, rows_, cols_);
    }
    packed_view<S> view() const&& = delete;
    operator packed_view<S>() const& noexcept { return view(); }
    operator packed_view<S>() const&& = delete;

    /// All bytes, header first: what a file stores and try_packed_view_of maps.
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_.span(); }
    /// @copydoc bytes
    [[nodiscard]] std::span<std::byte> mutable_bytes() noexcept { return bytes_.span(); }

    /// Bits that this matrix needs in its format, padding and header not counted.
    [[nodiscard]] double nominal_bits() const noexcept { return view().nominal_bits(); }

    /// Equal shapes and equal bytes.
    friend bool operator==(const packed_matrix& a, const packed_matrix& b) noexcept {
        return a.bytes().size() == b.bytes().size() &&
               (a.bytes().empty() ||
                std::memcmp(a.bytes().data(), b.bytes().data(), a.bytes().size()) == 0);
    }

private:
    friend struct detail::matrix_internals;

    /// Header written, panels not.
    [[nodiscard]] static result<packed_matrix> try_uninitialized(std::size_t rows, std::size_t cols,
                                                                 const char* where) noexcept {
        if (rows == 0 || cols == 0) {
            return detail::make_error(errc::empty, where, "%zu x %zu has no elements", rows, cols);
        }
        const std::size_t size = packed_size<S>(rows, cols);
        if (size == 0) {
            return detail::make_error(errc::size_overflow, where,
                                      "%zu x %zu exceeds the address space", rows, cols);
        }
        auto bytes = detail::buffer<std::byte>::uninitialized(size, where);
        if (!bytes) return bytes.failure();
        packed_matrix made;
        made.rows_ = rows;
        made.cols_ = cols;
        made.bytes_ = std::move(*bytes);
        detail::write_packed_header<S>(made.bytes_.data(), rows, cols);
        return made;
    }

    detail::moved_size rows_;
    detail::moved_size cols_;
    detail::buffer<std::byte> bytes_;
};

/// @copydoc try_slice_rows
template <quantization_scheme S>
[[nodiscard]] result<packed_view<S>> try_slice_rows(const packed_matrix<S>& matrix,
                                                    std::size_t first, std::size_t count) noexcept {
    return try_slice_rows(matrix.view(), first, count);
}
/// A slice of a temporary would outlive it.
template <quantization_scheme S>
result<packed_view<S>> try_slice_rows(packed_matrix<S>&& matrix, std::size_t first,
                                      std::size_t count) = delete;

#if QUANT_HAS_EXCEPTIONS
/// As try_packed_view_of. @throws quant::error
template <quantization_scheme S>
[[nodiscard]] packed_view<S> packed_view_of(std::span<const std::byte> bytes) {
    return try_packed_view_of<S>(bytes).value();
}
/// As try_slice_rows. @throws quant::error
template <quantization_scheme S>
[[nodiscard]] packed_view<S> slice_rows(packed_view<S> view, std::size_t first, std::size_t count) {
    return try_slice_rows(view, first, count).value();
}
/// @copydoc slice_rows
template <quantization_scheme S>
[[nodiscard]] packed_view<S> slice_rows(const packed_matrix<S>& matrix, std::size_t first,
                                        std::size_t count) {
    return slice_rows(matrix.view(), first, count);
}
/// A slice of a temporary would outlive it.
template <quantization_scheme S>
packed_view<S> slice_rows(packed_matrix<S>&& matrix, std::size_t first, std::size_t count) = delete;
#endif

} // namespace quant::inline QUANT_ABI
