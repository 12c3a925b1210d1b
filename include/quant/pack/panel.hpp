// One panel, 16 rows: from codes and scales row by row, and back.
#pragma once

#include <quant/core/bit_cast.hpp>
#include <quant/pack/packed_matrix.hpp>
#include <quant/pack/superblock.hpp>
#include <quant/quantize/quantized_matrix.hpp>
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
    const typename S::super_type* supers[panel_rows] = {};
    const typename S::super_type* super_minimums[panel_rows] = {};

    void set_row(std::size_t i, const row_numbers<S, false>& row) noexcept {
        scales[i] = row.scales;
        offsets[i] = row.offsets;
        supers[i] = row.supers;
        super_minimums[i] = row.super_minimums;
    }
};

/// Where the super-scales of super-group s lie in a panel, and its super-minimums.
template <quantization_scheme S>
struct super_place {
    std::size_t lanes_before = 0;

    [[nodiscard]] constexpr std::size_t operator()(std::size_t s) const noexcept {
        return layout<S>::supers_at(s * S::super_groups) +
               lanes_before * panel_rows * layout<S>::super_bytes;
    }
};

/// A scale or offset as little-endian bytes.
template <class T>
void put_number(std::byte* to, T value) noexcept {
    if constexpr (std::is_same_v<T, float>) {
        put_little_endian(to, core_detail::bit_cast<std::uint32_t>(value));
    } else if constexpr (std::is_same_v<T, std::uint8_t>) {
        *to = static_cast<std::byte>(value);
    } else if constexpr (sizeof(T) == 1) {
        *to = static_cast<std::byte>(value.bits);
    } else {
        put_little_endian(to, value.bits);
    }
}
template <class T>
[[nodiscard]] T get_number(const std::byte* from) noexcept {
    if constexpr (std::is_same_v<T, float>) {
        return core_detail::bit_cast<float>(get_little_endian<std::uint32_t>(from));
    } else if constexpr (std::is_same_v<T, std::uint8_t>) {
        return static_cast<std::uint8_t>(*from);
    } else if constexpr (sizeof(T) == 1) {
        return T::from_bits(static_cast<std::uint8_t>(*from));
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

/// Superblocks at a panel's start that hold nothing but columns of the matrix, in their order.
template <quantization_scheme S>
[[nodiscard]] constexpr std::size_t whole_superblocks(std::size_t rows, std::size_t cols) noexcept {
    constexpr bool in_order = S::group_cols == all || S::group_cols % 16 == 0;
    return in_order && rows == panel_rows ? cols / superblock_cols : 0;
}

/// Superblocks first … last − 1 of a panel, for code that serves all schemes.
template <quantization_scheme S>
[[nodiscard]] constexpr superblock_run superblocks_between(std::size_t first,
                                                           std::size_t last) noexcept {
    using at = layout<S>;
    return {first, last, at::whole_row ? last + 1 : at::chunk_superblocks, at::header_bytes};
}

/// Writes a superblock of which some rows or columns are padding.
template <quantization_scheme S>
QUANT_DETAIL_OUTLINE void encode_partial_superblock(const std::uint8_t* codes, std::size_t rows,
                                                    std::size_t cols, std::size_t b,
                                                    std::byte* superblock) noexcept {
    std::uint8_t tile[panel_rows * superblock_cols] = {};
    for (std::size_t h = 0; h < 2; ++h) {
        const column_run run = columns_of_half<S>(b, h, cols);
        for (std::size_t r = 0; r < rows && run.count > 0; ++r) {
            std::memcpy(tile + r * superblock_cols + run.at, codes + r * cols + run.col, run.count);
        }
    }
    encode_superblocks<S::bits>(tile, superblock_cols, {}, superblock);
}
template <quantization_scheme S>
QUANT_DETAIL_OUTLINE void decode_partial_superblock(const std::byte* superblock, std::size_t b,
                                                    std::size_t rows, std::size_t cols,
                                                    std::uint8_t* codes) noexcept {
    std::uint8_t tile[panel_rows * superblock_cols];
    decode_superblocks<S::bits>(superblock, {}, superblock_cols, tile);
    for (std::size_t h = 0; h < 2; ++h) {
        const column_run run = columns_of_half<S>(b, h, cols);
        for (std::size_t r = 0; r < rows && run.count > 0; ++r) {
            std::memcpy(codes + r * cols + run.col, tile + r * superblock_cols + run.at, run.count);
        }
    }
}

/// Writes all superblocks of a panel from `rows` rows of `cols` codes.
template <quantization_scheme S>
QUANT_DETAIL_OUTLINE void pack_codes(const std::uint8_t* codes, std::size_t rows, std::size_t cols,
                                     std::byte* panel) noexcept {
    const std::size_t whole = whole_superblocks<S>(rows, cols);
    encode_superblocks<S::bits>(codes, cols, superblocks_between<S>(0, whole), panel);
    for_each_superblock<S>(whole, *layout<S>::superblocks(cols),
                           [=](std::size_t b, std::size_t place) {
                               encode_partial_superblock<S>(codes, rows, cols, b, panel + place);
                           });
}

/// The inverse.
template <quantization_scheme S>
QUANT_DETAIL_OUTLINE void unpack_codes(const std::byte* panel, std::size_t rows, std::size_t cols,
                                       std::uint8_t* codes) noexcept {
    const std::size_t whole = whole_superblocks<S>(rows, cols);
    decode_superblocks<S::bits>(panel, superblocks_between<S>(0, whole), cols, codes);
    for_each_superblock<S>(whole, *layout<S>::superblocks(cols),
                           [=](std::size_t b, std::size_t place) {
                               decode_partial_superblock<S>(panel + place, b, rows, cols, codes);
                           });
}

/// Numbers of one group at `to`: the lowest bytes of each lane.
template <class T>
QUANT_DETAIL_INLINE void store_lanes(std::byte* to, const simd::i32x16& lanes) noexcept {
    if constexpr (sizeof(T) == 4) {
        simd::store(to, lanes);
    } else if constexpr (sizeof(T) == 2) {
        simd::store_u16(to, lanes);
    } else {
        simd::store_u8(to, lanes & simd::broadcast<std::int32_t>(0xFF));
    }
}
template <class T>
QUANT_DETAIL_INLINE simd::i32x16 load_lanes(const std::byte* from) noexcept {
    if constexpr (sizeof(T) == 4) {
        return simd::load<std::int32_t>(from);
    } else if constexpr (sizeof(T) == 2) {
        return simd::load_u16(from);
    } else {
        return simd::load_u8(from);
    }
}

/// Groups whose numbers of type T are transposed at once: 32 bytes of each row.
template <class T>
inline constexpr std::size_t tile_groups = 32 / sizeof(T);

/// Numbers of a tile of 16 rows, `stride` elements apart, to the places at(first) … of the panel.
template <class T, class At>
QUANT_DETAIL_INLINE void pack_number_tile(const T* from, std::size_t stride, std::size_t first,
                                          std::byte* panel, At at) noexcept {
    constexpr std::size_t per_lane = 4 / sizeof(T);
    const auto* bytes = reinterpret_cast<const std::byte*>(from + first);
    const auto tile = simd::load_quads(bytes, stride * sizeof(T));
    unroll<8 * per_lane>([&](auto i) QUANT_DETAIL_LAMBDA {
        constexpr int down = 8 * static_cast<int>(sizeof(T) * (i % per_lane));
        store_lanes<T>(panel + at(first + i), shift_by<down>(tile.quads[i / per_lane]));
    });
}
/// The inverse.
template <class T, class At>
QUANT_DETAIL_INLINE void unpack_number_tile(const std::byte* panel, At at, std::size_t first, T* to,
                                            std::size_t stride) noexcept {
    constexpr std::size_t per_lane = 4 / sizeof(T);
    const auto get = [&](std::size_t g) QUANT_DETAIL_LAMBDA {
        auto line = load_lanes<T>(panel + at(g));
        unroll<per_lane - 1>([&](auto i) QUANT_DETAIL_LAMBDA {
            constexpr int up = 8 * static_cast<int>(sizeof(T) * (i + 1));
            line = line | shift_by<-up>(load_lanes<T>(panel + at(g + i + 1)));
        });
        return line;
    };
    alignas(line_bytes) std::byte lines[8][line_bytes];
    unroll<8>([&](auto s)
                  QUANT_DETAIL_LAMBDA { simd::store(lines[s], get(first + s * per_lane)); });
    unroll<simd::tile_blocks>([&](auto b) QUANT_DETAIL_LAMBDA {
        simd::tile_block block[1];
        unroll<4>([&](auto s) QUANT_DETAIL_LAMBDA {
            block[0].quads[s] = simd::load_lines<b>(lines[s], lines[s + 4]);
        });
        simd::store_blocks<b>(reinterpret_cast<std::byte*>(to + first), stride * sizeof(T), block);
    });
}

/// Numbers of `groups` groups from rows of them to the places at(g) of the panel, 16 lanes side by
/// side. Lanes without a row get zeros. `Apart`: the rows of numbers lie `groups` apart.
template <bool Apart, class T, class At>
void pack_numbers(const T* const (&from)[panel_rows], std::size_t rows, std::size_t groups,
                  std::byte* panel, At at) noexcept {
    std::size_t g = 0;
    if constexpr (Apart && std::endian::native == std::endian::little) {
        for (; rows == panel_rows && g + tile_groups<T> <= groups; g += tile_groups<T>) {
            pack_number_tile(from[0], groups, g, panel, at);
        }
    }
    for (; g < groups; ++g) {
        std::byte* lanes = panel + at(g);
        if (rows < panel_rows) std::memset(lanes, 0, panel_rows * sizeof(T));
        for (std::size_t r = 0; r < rows; ++r) put_number(lanes + r * sizeof(T), from[r][g]);
    }
}

/// The inverse, to rows of numbers that lie `groups` apart.
template <class T, class At>
void unpack_numbers(const std::byte* panel, At at, std::size_t rows, std::size_t groups,
                    T* to) noexcept {
    std::size_t g = 0;
    if constexpr (std::endian::native == std::endian::little) {
        for (; rows == panel_rows && g + tile_groups<T> <= groups; g += tile_groups<T>) {
            unpack_number_tile(panel, at, g, to, groups);
        }
    }
    for (; g < groups; ++g) {
        for (std::size_t r = 0; r < rows; ++r) {
            to[r * groups + g] = get_number<T>(panel + at(g) + r * sizeof(T));
        }
    }
}

/// Writes one panel, all of its bytes.
template <quantization_scheme S>
void pack_panel(const panel_rows_source<S>& source, std::byte* panel) noexcept {
    using at = layout<S>;
    const std::size_t groups = S::groups_per_row(source.cols);
    const std::size_t chunks = div_ceil(groups, at::groups_per_chunk);
    // The last chunk has room for groups that do not exist, or padding after its only one.
    if (at::whole_row || groups % at::groups_per_chunk != 0 || S::is_two_level) {
        std::memset(panel + (chunks - 1) * at::chunk_bytes, 0, at::header_bytes);
    }
    if constexpr (S::is_two_level) {
        for (std::size_t c = 0; c + 1 < chunks; ++c) { // what fills the lines up
            std::memset(panel + c * at::chunk_bytes, 0, at::header_bytes);
        }
        const std::size_t supers = S::supers_per_row(source.cols);
        pack_numbers<false>(source.supers, source.rows, supers, panel, super_place<S>{});
        if constexpr (S::has_minimum) {
            pack_numbers<false>(source.super_minimums, source.rows, supers, panel,
                                super_place<S>{1});
        }
    }
    constexpr bool apart = S::group_rows == 1;
    pack_numbers<apart>(source.scales, source.rows, groups, panel,
                        [](std::size_t g) { return at::scales_at(g); });
    if constexpr (S::has_offset) {
        pack_numbers<apart>(source.offsets, source.rows, groups, panel,
                            [](std::size_t g) { return at::offsets_at(g); });
    }
    pack_codes<S>(source.codes, source.rows, source.cols, panel);
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
