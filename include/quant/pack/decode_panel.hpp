// Rows of a panel as real numbers: all of them, or one lane alone.
//
// Codes are taken out of 16 superblocks at a time, into a piece that stays in L1 and whose columns
// are those of the panel, padding included.
#pragma once

#include <quant/pack/panel.hpp>
#include <quant/quantize/batch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace quant::inline QUANT_ABI {
namespace detail {

inline constexpr std::size_t piece_superblocks = 16;
inline constexpr std::size_t piece_cols = piece_superblocks * superblock_cols;

/// The group that governs a column of the panel, padding counted.
template <quantization_scheme S>
[[nodiscard]] constexpr std::size_t group_of_padded(std::size_t padded) noexcept {
    return S::group_cols == all ? 0 : padded / std::max<std::size_t>(layout<S>::padded_group, 1);
}

/// Groups that a piece may touch: the first one may have begun before it.
template <quantization_scheme S>
inline constexpr std::size_t piece_groups =
    S::group_cols == all ? 1 : piece_cols / std::max<std::size_t>(layout<S>::padded_group, 1) + 2;

/// Calls f(position in the piece, column, columns, group_at) for each run of the matrix' columns in
/// the piece that begins with superblock b; group_at(i, j) is the group of its columns
/// i + 16·j … i + 16·j + 15, i a multiple of 64, counted from the first group that the piece
/// touches.
template <quantization_scheme S, class F>
QUANT_DETAIL_INLINE void for_each_run_of_piece(std::size_t b, std::size_t cols, F&& f) {
    const std::size_t padded = b * superblock_cols;
    const std::size_t g0 = group_of_padded<S>(padded);
    if constexpr (S::group_cols == all) {
        f(std::size_t{0}, padded, std::min(piece_cols, cols - padded),
          [](std::size_t, std::size_t) { return std::size_t{0}; });
    } else if constexpr (piece_cols % S::group_cols == 0 && S::group_cols % 16 == 0) {
        f(std::size_t{0}, padded, std::min(piece_cols, cols - padded),
          [](std::size_t i, std::size_t j)
              QUANT_DETAIL_LAMBDA { return group_of_sixteen<S>(i, j); });
    } else if constexpr (S::group_cols % 16 == 0) {
        f(std::size_t{0}, padded, std::min(piece_cols, cols - padded),
          [=](std::size_t i, std::size_t j) { return (padded + i + 16 * j) / S::group_cols - g0; });
    } else {
        constexpr std::size_t size = layout<S>::padded_group;
        for (std::size_t g = g0; g * S::group_cols < cols && g * size < padded + piece_cols; ++g) {
            // The part of the group that lies in the piece, from its column `skipped` on.
            const std::size_t skipped = g * size < padded ? padded - g * size : 0;
            const std::size_t position = g * size + skipped - padded;
            const std::size_t width = std::min(S::group_cols, cols - g * S::group_cols);
            if (skipped >= width) continue;
            f(position, g * S::group_cols + skipped,
              std::min(width - skipped, piece_cols - position),
              [=](std::size_t, std::size_t) { return g - g0; });
        }
    }
}

/// Numbers of one lane of several groups.
template <class T>
struct lane_numbers {
    const T* first;
    QUANT_DETAIL_INLINE T operator[](std::size_t g) const noexcept { return first[g * panel_rows]; }
};
struct lane_grids {
    lane_numbers<float> factor;
    lane_numbers<float> minimum;
    lane_numbers<std::int32_t> zero_point;
};

/// What the groups of a piece store, 16 lanes of each.
template <quantization_scheme S>
struct piece_grids {
    static constexpr std::size_t size = piece_groups<S> * panel_rows;
    alignas(64) float scale[size];
    alignas(64) float minimum[S::has_minimum ? size : panel_rows];
    /// Or the table that the group chose.
    alignas(64) std::int32_t zero_point[S::has_zero_point || S::tables == 2 ? size : panel_rows];

    void load(const std::byte* panel, std::size_t first, std::size_t last) noexcept {
        for (std::size_t g = first; g < last; ++g) {
            const std::size_t to = (g - first) * panel_rows;
            if constexpr (S::is_two_level) {
                load_two_levels(panel, g, to);
            } else {
                load_one_level(panel, g, to);
            }
        }
    }
    [[nodiscard]] lane_grids lane(std::size_t i) const noexcept {
        return {{scale + i}, {minimum + i}, {zero_point + i}};
    }

private:
    void load_one_level(const std::byte* panel, std::size_t g, std::size_t to) noexcept {
        using at = layout<S>;
        simd::store(scale + to, times_unit<S>(simd::load_stored<typename S::scale_type>(
                                    panel + at::scales_at(g))));
        if constexpr (S::has_minimum) {
            simd::store(minimum + to,
                        simd::load_stored<typename S::scale_type>(panel + at::offsets_at(g)));
        }
        if constexpr (S::has_zero_point) {
            simd::store(zero_point + to, simd::load_u8(panel + at::offsets_at(g)));
        }
    }

    void load_two_levels(const std::byte* panel, std::size_t g, std::size_t to) noexcept {
        using at = layout<S>;
        using super = typename S::super_type;
        const auto bytes = simd::load_u8(panel + at::scales_at(g));
        const std::byte* supers = panel + at::supers_at(g);
        simd::store(scale + to,
                    times_unit<S>(simd::rounded_product(simd::load_stored<super>(supers),
                                                        simd::to_float(scale_values<S>(bytes)))));
        if constexpr (S::tables == 2) {
            simd::store(zero_point + to, bytes & simd::broadcast<std::int32_t>(1));
        }
        if constexpr (S::has_minimum) {
            simd::store(minimum + to,
                        simd::rounded_product(
                            simd::load_stored<super>(supers + panel_rows * at::super_bytes),
                            simd::to_float(simd::load_u8(panel + at::offsets_at(g)))));
        }
    }
};

/// One past the last group that the piece from superblock b to `last` touches.
template <quantization_scheme S>
[[nodiscard]] constexpr std::size_t groups_end(std::size_t last, std::size_t cols) noexcept {
    return std::min(S::groups_per_row(cols), group_of_padded<S>(last * superblock_cols - 1) + 1);
}

/// Writes `rows` rows of a panel, columns side by side, to rows `stride` apart.
template <quantization_scheme S, class T>
void dequantize_panel(const std::byte* panel, std::size_t rows, std::size_t cols, T* out,
                      std::size_t stride) noexcept {
    alignas(64) std::uint8_t codes[panel_rows * piece_cols];
    piece_grids<S> grids;
    const std::size_t superblocks = *layout<S>::superblocks(cols);
    for (std::size_t b = 0; b < superblocks; b += piece_superblocks) {
        const std::size_t last = std::min(b + piece_superblocks, superblocks);
        decode_superblocks<S::bits>(panel, superblocks_between<S>(b, last), piece_cols, codes);
        grids.load(panel, group_of_padded<S>(b * superblock_cols), groups_end<S>(last, cols));
        for (std::size_t r = 0; r < rows; ++r) {
            const lane_grids lane = grids.lane(r);
            for_each_run_of_piece<S>(b, cols,
                                     [&](std::size_t position, std::size_t col, std::size_t n,
                                         auto group_at) QUANT_DETAIL_LAMBDA {
                                         decode_sixteens<S, T>(codes + r * piece_cols + position, n,
                                                               lane, out + r * stride + col,
                                                               group_at);
                                     });
        }
    }
}

/// The 32 codes of one lane of a superblock. Not inlined: one copy per bit width serves all
/// schemes.
template <int B>
QUANT_DETAIL_OUTLINE void decode_lane(const std::byte* superblock, std::size_t lane,
                                      std::uint8_t* codes) noexcept {
    unroll<superblock_cols / quad_cols>([&](auto quad) QUANT_DETAIL_LAMBDA {
        std::uint32_t bytes = 0; // four codes, in the host's order
        unroll<planes<B>::count>([&](auto plane) QUANT_DETAIL_LAMBDA {
            constexpr auto place = plane_place<B>::of(plane, quad);
            std::uint32_t line;
            std::memcpy(&line, superblock + place.line * line_bytes + lane * quad_cols, 4);
            constexpr auto field = ((1u << place.bits) - 1u) * 0x01010101u;
            bytes |= (line >> place.shift & field) << place.before;
        });
        std::memcpy(codes + quad * quad_cols, &bytes, quad_cols);
    });
}

/// What group g stores for one lane; `zero_point` is the table with two tables.
template <quantization_scheme S>
void load_lane_numbers(const std::byte* panel, std::size_t lane, std::size_t g, float& scale,
                       [[maybe_unused]] float& minimum,
                       [[maybe_unused]] std::int32_t& zero_point) noexcept {
    using at = layout<S>;
    using scale_type = typename S::scale_type;
    const auto stored = get_number<scale_type>(panel + at::scales_at(g) + lane * at::scale_bytes);
    const std::byte* offset = panel + at::offsets_at(g) + lane * at::offset_bytes;
    if constexpr (S::is_two_level) {
        using super = typename S::super_type;
        const std::byte* supers = panel + at::supers_at(g) + lane * at::super_bytes;
        const auto product = [](const std::byte* number, int value) {
            return simd::rounded_product(static_cast<float>(get_number<super>(number)),
                                         static_cast<float>(value));
        };
        scale = product(supers, S::scale_value(stored)) * S::unit;
        if constexpr (S::tables == 2) zero_point = S::scale_table(stored);
        if constexpr (S::has_minimum) {
            minimum =
                product(supers + panel_rows * at::super_bytes, get_number<std::uint8_t>(offset));
        }
    } else {
        scale = static_cast<float>(stored) * S::unit;
        if constexpr (S::has_minimum) minimum = static_cast<float>(get_number<scale_type>(offset));
        if constexpr (S::has_zero_point) zero_point = get_number<std::uint8_t>(offset);
    }
}

/// Writes one row of a panel.
template <quantization_scheme S, class T>
void dequantize_lane(const std::byte* panel, std::size_t lane, std::size_t cols, T* out) noexcept {
    using at = layout<S>;
    std::uint8_t codes[piece_cols];
    float scale[piece_groups<S>], minimum[piece_groups<S>];
    std::int32_t zero_point[piece_groups<S>];
    struct {
        const float* factor;
        const float* minimum;
        const std::int32_t* zero_point;
    } const row{scale, minimum, zero_point};
    const std::size_t superblocks = *at::superblocks(cols);
    for (std::size_t b = 0; b < superblocks; b += piece_superblocks) {
        const std::size_t last = std::min(b + piece_superblocks, superblocks);
        for_each_superblock<S>(b, last, [&](std::size_t i, std::size_t place) {
            decode_lane<S::bits>(panel + place, lane, codes + (i - b) * superblock_cols);
        });
        const std::size_t g0 = group_of_padded<S>(b * superblock_cols);
        for (std::size_t g = g0; g < groups_end<S>(last, cols); ++g) {
            load_lane_numbers<S>(panel, lane, g, scale[g - g0], minimum[g - g0],
                                 zero_point[g - g0]);
        }
        for_each_run_of_piece<S>(
            b, cols,
            [&](std::size_t position, std::size_t col, std::size_t n, auto group_at)
                QUANT_DETAIL_LAMBDA {
                    decode_sixteens<S, T>(codes + position, n, row, out + col, group_at);
                });
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
