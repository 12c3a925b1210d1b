// One panel, 16 rows: from codes and scales row by row, and back.
#pragma once

#include <quant/pack/packed_matrix.hpp>
#include <quant/pack/superblock.hpp>
#include <quant/simd/convert.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Up to 16 rows of codes with their scales, row-major: the contents of one panel.
template <quantization_scheme S>
struct panel_rows_source {
    const std::uint8_t* codes = nullptr; ///< cols per row, rows `cols` apart
    std::size_t cols = 0;
    std::size_t rows = 0;
    const typename S::scale_type* scales[panel_rows] = {};
    const typename S::offset_type* offsets[panel_rows] = {};
};

/// A scale or offset as little-endian bytes.
template <class T>
void put_number(std::byte* to, T value) noexcept {
    if constexpr (std::is_same_v<T, float>) {
        put_little_endian(to, std::bit_cast<std::uint32_t>(value));
    } else if constexpr (std::is_same_v<T, std::uint8_t>) {
        *to = static_cast<std::byte>(value);
    } else {
        put_little_endian(to, value.bits);
    }
}
template <class T>
[[nodiscard]] T get_number(const std::byte* from) noexcept {
    if constexpr (std::is_same_v<T, float>) {
        return std::bit_cast<float>(get_little_endian<std::uint32_t>(from));
    } else if constexpr (std::is_same_v<T, std::uint8_t>) {
        return static_cast<std::uint8_t>(*from);
    } else {
        return T::from_bits(get_little_endian<std::uint16_t>(from));
    }
}

/// Columns of the matrix that lie side by side in a superblock's row.
struct column_run {
    std::size_t at;    ///< position in the row of the superblock
    std::size_t col;   ///< first column of the matrix
    std::size_t count; ///< columns; 0 in padding
};

/// The columns in half h (16 columns, of one group) of superblock b of a panel.
template <quantization_scheme S>
[[nodiscard]] constexpr column_run columns_of_half(std::size_t b, std::size_t h,
                                                   std::size_t cols) noexcept {
    const std::size_t padded = b * superblock_cols + 16 * h;
    std::size_t col = padded, end = cols;
    if constexpr (S::group_cols != all && S::group_cols % 16 != 0) {
        const std::size_t g = padded / layout<S>::padded_group;
        const std::size_t first = g * S::group_cols;
        col = first + padded % layout<S>::padded_group;
        end = std::min(cols, first + S::group_cols);
    }
    return {16 * h, col, col < end ? std::min<std::size_t>(16, end - col) : 0};
}

/// Calls f(superblock, its place in the panel) for superblocks first … last − 1.
template <quantization_scheme S, class F>
QUANT_DETAIL_INLINE void for_each_superblock(std::size_t first, std::size_t last, F&& f) {
    using at = layout<S>;
    if constexpr (at::whole_row) {
        for (std::size_t b = first; b < last; ++b) {
            f(b, at::header_bytes + b * at::superblock_bytes);
        }
    } else {
        std::size_t chunk = first / at::chunk_superblocks;
        std::size_t within = first % at::chunk_superblocks;
        for (std::size_t b = first; b < last; ++chunk, within = 0) {
            std::size_t place =
                chunk * at::chunk_bytes + at::header_bytes + within * at::superblock_bytes;
            for (; within < at::chunk_superblocks && b < last; ++within, ++b) {
                f(b, place);
                place += at::superblock_bytes;
            }
        }
    }
}

/// Whether all of superblock b holds columns of the matrix, the first of them number 32·b.
template <quantization_scheme S>
[[nodiscard]] constexpr bool is_whole(std::size_t b, std::size_t cols) noexcept {
    constexpr bool in_order = S::group_cols == all || S::group_cols % 16 == 0;
    return in_order && (b + 1) * superblock_cols <= cols;
}

/// Writes all superblocks of a panel.
template <quantization_scheme S>
QUANT_DETAIL_OUTLINE void pack_panel_codes(const std::uint8_t* codes, std::size_t rows,
                                           std::size_t cols, std::byte* panel) noexcept {
    for_each_superblock<S>(
        0, *layout<S>::superblocks(cols), [&](std::size_t b, std::size_t place) {
            if (rows == panel_rows && is_whole<S>(b, cols)) {
                encode_superblock<S::bits>(codes + b * superblock_cols, cols, panel + place);
                return;
            }
            std::uint8_t tile[panel_rows * superblock_cols] = {};
            for (std::size_t h = 0; h < 2; ++h) {
                const column_run run = columns_of_half<S>(b, h, cols);
                for (std::size_t r = 0; r < rows; ++r) {
                    std::memcpy(tile + r * superblock_cols + run.at, codes + r * cols + run.col,
                                run.count);
                }
            }
            encode_superblock<S::bits>(tile, superblock_cols, panel + place);
        });
}

/// Reads the codes of superblocks first … last − 1 of a panel to `rows` rows, `stride` apart;
/// `codes` is where column 0 would lie.
template <quantization_scheme S>
QUANT_DETAIL_OUTLINE void unpack_codes(const std::byte* panel, std::size_t first, std::size_t last,
                                       std::size_t rows, std::size_t cols, std::uint8_t* codes,
                                       std::size_t stride) noexcept {
    for_each_superblock<S>(first, last, [&](std::size_t b, std::size_t place) {
        if (rows == panel_rows && is_whole<S>(b, cols)) {
            decode_superblock<S::bits>(panel + place, stride, codes + b * superblock_cols);
            return;
        }
        std::uint8_t tile[panel_rows * superblock_cols];
        decode_superblock<S::bits>(panel + place, superblock_cols, tile);
        for (std::size_t h = 0; h < 2; ++h) {
            const column_run run = columns_of_half<S>(b, h, cols);
            for (std::size_t r = 0; r < rows; ++r) {
                std::memcpy(codes + r * stride + run.col, tile + r * superblock_cols + run.at,
                            run.count);
            }
        }
    });
}

/// Bytes at `at(g)` of the panel: numbers of group g, 16 lanes side by side, from rows of them.
/// Lanes without a row get zeros.
template <class T, class At>
void pack_numbers(const T* const (&from)[panel_rows], std::size_t rows, std::size_t groups,
                  std::byte* panel, At at) noexcept {
    for (std::size_t g = 0; g < groups; ++g) {
        std::byte* lanes = panel + at(g);
        if (rows < panel_rows) std::memset(lanes, 0, panel_rows * sizeof(T));
        for (std::size_t r = 0; r < rows; ++r) put_number(lanes + r * sizeof(T), from[r][g]);
    }
}

/// Writes one panel, all of its bytes.
template <quantization_scheme S>
void pack_panel(const panel_rows_source<S>& source, std::byte* panel) noexcept {
    using at = layout<S>;
    const std::size_t groups = S::groups_per_row(source.cols);
    const std::size_t chunks = div_ceil(groups, at::groups_per_chunk);
    // The last chunk has room for groups that do not exist, or padding after its only one.
    if (at::whole_row || groups % at::groups_per_chunk != 0) {
        std::memset(panel + (chunks - 1) * at::chunk_bytes, 0, at::header_bytes);
    }
    pack_numbers(source.scales, source.rows, groups, panel,
                 [](std::size_t g) { return at::scales_at(g); });
    if constexpr (S::has_offset) {
        pack_numbers(source.offsets, source.rows, groups, panel,
                     [](std::size_t g) { return at::offsets_at(g); });
    }
    pack_panel_codes<S>(source.codes, source.rows, source.cols, panel);
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
