// What makes a GGUF file a packed file: docs/layout.md, in code.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/io/gguf/tensor.hpp>
#include <quant/io/gguf/types.hpp>
#include <quant/pack/packed_matrix.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Keys and tensors whose names begin like this are the format's own.
inline constexpr std::string_view packed_prefix = "quant.packed.";
inline constexpr std::string_view packed_version_key = "quant.packed.layout_version";
inline constexpr std::string_view packed_checksum_key = "quant.packed.checksum";
inline constexpr std::string_view packed_checksum_kind = "xxh64";
inline constexpr std::string_view packed_checksums_name = "quant.packed.checksums";
inline constexpr std::string_view packed_alignment_key = "general.alignment";

/// What kernels ask of packed bytes.
inline constexpr std::size_t packed_alignment = line_bytes;

/// One-dimensional tensors of I8 are packed matrices, all others are what they are elsewhere.
[[nodiscard]] constexpr bool is_packed_tensor(gguf::type which, std::size_t n_dims) noexcept {
    return which == gguf::type::i8 && n_dims == 1;
}

/// Errors: bad_layout for shapes that no memory has room for.
[[nodiscard]] inline result<void> check_packed_shape(const packed_header& header) noexcept {
    const auto in_range = [](std::uint64_t value) { return value > 0 && value <= PTRDIFF_MAX; };
    if (in_range(header.rows) && in_range(header.cols) && in_range(header.panel_bytes)) return {};
    return make_error(
        errc::bad_layout, "packed bytes: header", "%llu x %llu in panels of %llu bytes",
        static_cast<unsigned long long>(header.rows), static_cast<unsigned long long>(header.cols),
        static_cast<unsigned long long>(header.panel_bytes));
}

/// All bytes of a matrix whose shape was checked, the header's own among them.
[[nodiscard]] inline maybe_size packed_bytes_of(const packed_header& header) noexcept {
    const std::size_t panels = div_ceil(static_cast<std::size_t>(header.rows), panel_rows);
    return checked_add(checked_mul(panels, static_cast<std::size_t>(header.panel_bytes)),
                       packed_header_bytes);
}

/// A header from outside whose matrix has room in memory.
/// Errors: those of read_packed_header; bad_layout, size_overflow.
[[nodiscard]] inline result<packed_header>
check_packed_header(std::span<const std::byte> bytes) noexcept {
    auto header = read_packed_header(bytes);
    if (!header) return header;
    if (auto possible = check_packed_shape(*header); !possible) return possible.failure();
    if (!packed_bytes_of(*header)) {
        return make_error(errc::size_overflow, "packed bytes: header",
                          "%llu x %llu exceeds the address space",
                          static_cast<unsigned long long>(header->rows),
                          static_cast<unsigned long long>(header->cols));
    }
    return header;
}

/// The header of packed bytes that are `size` long and begin with `begin`, if their length is what
/// it says. That panels of this shape are as long as it says, only the scheme knows.
/// Errors: those of read_packed_header; bad_layout, truncated.
[[nodiscard]] inline result<packed_header> check_packed_bytes(std::span<const std::byte> begin,
                                                              std::size_t size) noexcept {
    constexpr const char* where = "packed bytes: header";
    const auto header = read_packed_header(begin);
    if (!header) return header;
    if (auto possible = check_packed_shape(*header); !possible) return possible.failure();
    const maybe_size needed = packed_bytes_of(*header);
    if (!needed || *needed > size) {
        return make_error(errc::truncated, where,
                          "%llu rows in panels of %llu bytes are more than the %zu bytes here",
                          static_cast<unsigned long long>(header->rows),
                          static_cast<unsigned long long>(header->panel_bytes), size);
    }
    if (*needed < size) {
        return make_error(errc::bad_layout, where, "asks for %zu bytes, there are %zu", *needed,
                          size);
    }
    return header;
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
