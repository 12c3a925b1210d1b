// Products of several tokens with float activations: levels of a stretch of columns are decoded
// once, to floats (or pairs of bf16) in the cache, and multiplied with all tokens of a batch.
//
// The chain of multiply-adds per output is the one of float_sums.hpp; where a stretch ends within
// a step, the chain is kept in memory, which rounds nothing.
#pragma once

#include <quant/kernel/float_sums.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Panels decoded together; with tile_tokens tokens their sums fill the registers.
inline constexpr std::size_t float_panel_count = isa::current::vector_bytes == 64 ? 4 : 1;

/// Columns of a stretch: its levels stay in the first-level cache.
inline constexpr std::size_t stretch_cols = 64;

/// Tiles that share decoded levels; their sums (and chains) lie on the stack.
inline constexpr std::size_t float_batch_tiles = 12;

/// Levels of up to stretch_cols columns of P panels, with the scales of the step they belong to.
template <activation A, std::size_t P>
struct level_stretch {
    static constexpr std::size_t cols_per_operand = bf16_pairs<A> ? 2 : 1;

    alignas(64) std::byte levels[stretch_cols / cols_per_operand][P][panel_rows * 4];
    simd::f32x16 scale[P];
    simd::f32x16 minimum[P];
    std::size_t operands = 0;    ///< columns, or pairs of columns
    std::size_t first_quad = 0;  ///< of the activations
    std::size_t first_block = 0; ///< of the step's activations
    std::size_t blocks = 0;
    bool begins = false; ///< whether a step begins here, and ends
    bool ends = false;

    /// Decodes quads first … last − 1 of group g of one panel.
    template <quantization_scheme S>
    void decode(std::size_t panel, const std::byte* from, std::size_t g, std::size_t first,
                std::size_t last, const simd::i32x16& shift) noexcept {
        superblock_codes codes;
        std::size_t decoded = static_cast<std::size_t>(-1);
        for (std::size_t q = first; q < last; ++q) {
            const std::size_t superblock = layout<S>::superblock_at(g, q);
            if (superblock != decoded) {
                decode_superblock<S::bits>(from + superblock, codes);
                decoded = superblock;
            }
            const auto quad = simd::load_line(codes.quads[layout<S>::quad_in_superblock(g, q)]);
            auto* to = levels + (q - first) * (quad_cols / cols_per_operand);
            unroll<quad_cols / cols_per_operand>([&](auto i) QUANT_DETAIL_LAMBDA {
                if constexpr (bf16_pairs<A>) {
                    simd::store(to[i][panel], level_pair<S, i>(quad, shift));
                } else {
                    simd::store(to[i][panel], level_of<S, i>(quad, shift));
                }
            });
        }
    }
};

/// Multiplies one stretch with the T tokens of a tile. One function per activation and tile: all
/// schemes share it.
template <activation A, bool HasMinimum, std::size_t T, std::size_t P>
QUANT_DETAIL_OUTLINE void multiply_stretch(const level_stretch<A, P>& stretch, const std::byte* x,
                                           const float* block_sums, float* y,
                                           float* chain) noexcept {
    using level = std::conditional_t<bf16_pairs<A>, std::int32_t, float>;
    simd::f32x16 sum[P][T];
    unroll<P * T>([&](auto i) QUANT_DETAIL_LAMBDA {
        sum[i / T][i % T] = stretch.begins ? simd::broadcast(0.0f)
                                           : simd::load<float>(chain + i * panel_rows);
    });
    x += stretch.first_quad * quad_bytes<A> * T;
    const auto* levels = &stretch.levels[0][0][0];
    for (std::size_t k = 0; k < stretch.operands; ++k, x += 4 * T, levels += P * panel_rows * 4) {
        simd::lanes<level> operand[P];
        unroll<P>([&](auto p) QUANT_DETAIL_LAMBDA {
            operand[p] = simd::load<level>(levels + p * panel_rows * 4);
        });
        unroll<T>([&](auto t) QUANT_DETAIL_LAMBDA {
            const auto value = load_operand<A>(x, t);
            unroll<P>([&](auto p) QUANT_DETAIL_LAMBDA {
                sum[p][t] = multiply_add(operand[p], value, sum[p][t]);
            });
        });
    }
    if (!stretch.ends) {
        unroll<P * T>([&](auto i) QUANT_DETAIL_LAMBDA {
            simd::store(chain + i * panel_rows, sum[i / T][i % T]);
        });
        return;
    }
    unroll<P * T>([&](auto i) QUANT_DETAIL_LAMBDA {
        float* to = y + i * panel_rows;
        auto value = simd::fma(sum[i / T][i % T], stretch.scale[i / T], simd::load<float>(to));
        if constexpr (HasMinimum) {
            const float total =
                sum_of_blocks(block_sums + stretch.first_block * T + i % T, stretch.blocks, T);
            value = simd::fma(simd::broadcast(total), stretch.minimum[i / T], value);
        }
        simd::store(to, value);
    });
}

/// f(stretch) for the stretches of P panels in the order of their columns.
template <quantization_scheme S, activation A, std::size_t P, class Row, class F>
void for_each_stretch(const std::byte* const (&panels)[P], const Row& row, F&& f) noexcept {
    using plan = product_plan<S, A>;
    level_stretch<A, P> stretch;
    const std::size_t cols = row.cols, group_size = S::group_size(cols);
    std::size_t g = 0;
    for (std::size_t c = 0; c < cols; c += group_size, ++g) {
        const std::size_t group_cols = std::min(group_size, cols - c);
        simd::i32x16 shift[P];
        for (std::size_t p = 0; p < P; ++p) {
            const lane_grid<S> grid{panels[p] + layout<S>::scales_at(g),
                                    panels[p] + layout<S>::offsets_at(g)};
            stretch.scale[p] = grid.scale();
            if constexpr (S::has_minimum) stretch.minimum[p] = grid.minimum();
            shift[p] = level_shift(grid);
        }
        for (std::size_t s = 0; s < group_cols; s += plan::step) {
            const std::size_t n = std::min(plan::step, group_cols - s);
            stretch.first_block = row.block_at(c + s);
            stretch.blocks = row.blocks_of(n);
            for (std::size_t k = 0; k < n; k += stretch_cols) {
                const std::size_t width = std::min(stretch_cols, n - k);
                const std::size_t quads = div_ceil(width, quad_cols);
                const std::size_t first = (s + k) / quad_cols;
                stretch.begins = k == 0;
                stretch.ends = k + width == n;
                stretch.first_quad = row.quad_at(c + s) + k / quad_cols;
                stretch.operands = quads * quad_cols / stretch.cols_per_operand;
                for (std::size_t p = 0; p < P; ++p) {
                    stretch.template decode<S>(p, panels[p], g, first, first + quads, shift[p]);
                }
                f(stretch);
            }
        }
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
