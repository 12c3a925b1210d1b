// Where every byte of a packed matrix lies: docs/layout.md as compile-time arithmetic.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/policy/descriptor.hpp>

#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_VOCABULARY {

inline constexpr std::uint32_t packed_layout_version = 1;

/// Rows of a panel: the lanes of every kernel.
inline constexpr std::size_t panel_rows = 16;

namespace core_detail {

inline constexpr std::size_t superblock_cols = 32;
inline constexpr std::size_t quad_cols = 4;
inline constexpr std::size_t line_bytes = 64;
inline constexpr std::size_t packed_header_bytes = 64;

/// Sizes and positions within a packed matrix of scheme S.
template <quantization_scheme S>
struct layout {
    static constexpr bool whole_row = S::group_cols == all;
    static constexpr std::size_t scale_bytes = sizeof(typename S::scale_type);
    static constexpr std::size_t offset_bytes = S::has_offset ? sizeof(typename S::offset_type) : 0;
    /// Bytes of a lane's super-scale and, if there are minimums, super-minimum.
    static constexpr std::size_t super_bytes = S::is_two_level ? sizeof(typename S::super_type) : 0;
    static constexpr std::size_t lane_super_bytes = super_bytes * (S::has_minimum ? 2 : 1);
    /// Columns that a full group takes, padding included; 0 for whole rows.
    static constexpr std::size_t padded_group = round_up(S::group_cols, 16);
    static constexpr std::size_t superblock_bytes = line_bytes * static_cast<std::size_t>(S::bits);

    static constexpr std::size_t count_groups_per_chunk() noexcept {
        std::size_t c = 1;
        if (whole_row) return c;
        if (S::is_two_level) { // whole super-groups; lines are filled up behind the numbers
            return S::super_groups *
                   (S::super_groups * padded_group % superblock_cols == 0 ? 1 : 2);
        }
        while ((c * padded_group) % superblock_cols != 0 ||
               (c * panel_rows * (scale_bytes + offset_bytes)) % line_bytes != 0) {
            ++c;
        }
        return c;
    }
    static constexpr std::size_t groups_per_chunk = count_groups_per_chunk();
    /// Before a chunk's scales: the supers of its groups, each 16 lanes side by side.
    static constexpr std::size_t supers_bytes =
        groups_per_chunk / S::super_groups * panel_rows * lane_super_bytes;
    static constexpr std::size_t header_bytes = round_up(
        supers_bytes + groups_per_chunk * panel_rows * (scale_bytes + offset_bytes), line_bytes);
    static constexpr std::size_t chunk_superblocks =
        whole_row ? 0 : groups_per_chunk * padded_group / superblock_cols;
    static constexpr std::size_t chunk_bytes =
        whole_row ? 0 : header_bytes + chunk_superblocks * superblock_bytes;

    /// Superblocks of a row of `cols` columns.
    [[nodiscard]] static constexpr maybe_size superblocks(std::size_t cols) noexcept {
        if constexpr (whole_row) {
            return div_ceil(cols, superblock_cols);
        } else {
            const std::size_t groups = S::groups_per_row(cols);
            const std::size_t last = cols - (groups - 1) * S::group_cols;
            const auto before = checked_mul(groups - 1, padded_group);
            const auto padded = checked_add(before, checked_round_up(last, 16));
            if (!padded) return std::nullopt;
            return div_ceil(*padded, superblock_cols);
        }
    }
    /// Bytes of a panel, or nothing if they do not fit an address space.
    [[nodiscard]] static constexpr maybe_size panel_bytes(std::size_t cols) noexcept {
        const std::size_t chunks = div_ceil(S::groups_per_row(cols), groups_per_chunk);
        return checked_add(checked_mul(chunks, header_bytes),
                           checked_mul(superblocks(cols), superblock_bytes));
    }
    /// Bytes of a matrix with its header, or nothing if they do not fit an address space.
    [[nodiscard]] static constexpr maybe_size total_bytes(std::size_t rows,
                                                          std::size_t cols) noexcept {
        return checked_add(packed_header_bytes,
                           checked_mul(div_ceil(rows, panel_rows), panel_bytes(cols)));
    }

    /// From the panel's start: where the scales of group g lie (16 lanes side by side).
    [[nodiscard]] static constexpr std::size_t scales_at(std::size_t g) noexcept {
        return g / groups_per_chunk * chunk_bytes + supers_bytes +
               g % groups_per_chunk * panel_rows * scale_bytes;
    }
    /// From the panel's start: where the offsets of group g lie (16 lanes side by side).
    [[nodiscard]] static constexpr std::size_t offsets_at(std::size_t g) noexcept {
        return g / groups_per_chunk * chunk_bytes + supers_bytes +
               groups_per_chunk * panel_rows * scale_bytes +
               g % groups_per_chunk * panel_rows * offset_bytes;
    }
    /// From the panel's start: where the super-scales that govern group g lie; the super-minimums
    /// follow them.
    [[nodiscard]] static constexpr std::size_t supers_at(std::size_t g) noexcept {
        return g / groups_per_chunk * chunk_bytes +
               g % groups_per_chunk / S::super_groups * panel_rows * lane_super_bytes;
    }
    /// From the panel's start: the superblock that holds quad q of group g, a quad being four
    /// columns of the group; its number within the superblock is quad_in_superblock.
    [[nodiscard]] static constexpr std::size_t superblock_at(std::size_t g,
                                                             std::size_t q) noexcept {
        const std::size_t quad = g % groups_per_chunk * (padded_group / quad_cols) + q;
        return g / groups_per_chunk * chunk_bytes + header_bytes +
               quad / (superblock_cols / quad_cols) * superblock_bytes;
    }
    [[nodiscard]] static constexpr std::size_t quad_in_superblock(std::size_t g,
                                                                  std::size_t q) noexcept {
        return (g % groups_per_chunk * (padded_group / quad_cols) + q) %
               (superblock_cols / quad_cols);
    }
};

} // namespace core_detail

/// Bytes that a packed rows × cols matrix of scheme S takes, header and padding included; 0 if
/// rows or cols is 0 or the size fits no address space.
template <quantization_scheme S>
[[nodiscard]] constexpr std::size_t packed_size(std::size_t rows, std::size_t cols) noexcept {
    if (rows == 0 || cols == 0) return 0;
    return core_detail::layout<S>::total_bytes(rows, cols).value_or(0);
}

} // namespace quant::inline QUANT_VOCABULARY
