// Products of several tokens with float activations: levels of a stretch of columns are decoded
// once, to floats (or pairs of bf16) in the cache, and multiplied with all tokens of a batch.
//
// The chain of multiply-adds per output is the one of float_sums.hpp; where a stretch ends within
// a step, the chain is kept in memory, which rounds nothing.
#pragma once

#include <quant/kernel/float_sums.hpp>
#include <quant/kernel/tile_memory.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Panels decoded together: their chains fill the registers.
inline constexpr std::size_t float_panels = isa::current::vector_bytes == 64 ? 4 : 1;

/// Whether a stretch may hold part of a step.
template <quantization_scheme S, activation A>
inline constexpr bool has_long_steps = product_plan<S, A>::step > 64;

/// Columns of a stretch of P panels, at most: levels of four bytes take half of a first-level
/// cache. Pairs of bf16 do so with short steps; with long ones their chains are there, too.
template <activation A, std::size_t P, bool LongSteps>
inline constexpr std::size_t stretch_cols = 256 / P * (bf16_pairs<A> && !LongSteps ? 2 : 1);

/// Tiles that share decoded levels. Their outputs lie on the stack, 36 KiB at most with those
/// chains that are cut.
template <quantization_scheme S, activation A>
inline constexpr std::size_t float_batch_tiles =
    float_panels == 4 && has_long_steps<S, A> ? 12 : 24;

/// A step, or with long steps a part of one, within a stretch.
template <std::size_t P>
struct stretch_step {
    simd::f32x16 scale[P];
    simd::f32x16 minimum[P];
    std::size_t operands;    ///< columns, or pairs of columns
    std::size_t first_quad;  ///< of the activations
    std::size_t first_block; ///< of the step's activations
    std::size_t blocks;
};

/// Levels of consecutive columns of P panels, with the scales of the steps that they belong to.
template <activation A, std::size_t P>
struct level_stretch {
    static constexpr std::size_t cols_per_operand = bf16_pairs<A> ? 2 : 1;
    static constexpr std::size_t most_steps = 8;

    alignas(64) std::byte levels[stretch_cols<A, P, false> / cols_per_operand][P][panel_rows * 4];
    stretch_step<P> steps[most_steps];
    std::size_t count = 0;    ///< steps
    std::size_t operands = 0; ///< of all steps
    bool begins = true;       ///< whether the (only) step begins here, and ends
    bool ends = true;

    /// Decodes quads first … last − 1 of group g of one panel, behind the levels so far.
    template <quantization_scheme S>
    void decode(std::size_t panel, const std::byte* from, std::size_t g, std::size_t first,
                std::size_t last, const simd::i32x16& shift) noexcept {
        auto* to = levels + operands;
        for (std::size_t q = first; q < last;) {
            const std::byte* superblock = from + layout<S>::superblock_at(g, q);
            const std::size_t inside = layout<S>::quad_in_superblock(g, q);
            if (inside == 0 && last - q >= 8) {
                decode_whole<S>(superblock, shift, to, panel);
                q += 8;
                to += 8 * operands_per_quad;
                continue;
            }
            superblock_codes codes;
            decode_superblock<S::bits>(superblock, codes);
            for (std::size_t i = inside; i < 8 && q < last; ++i, ++q, to += operands_per_quad) {
                put<S>(simd::load_line(codes.quads[i]), shift, to, panel);
            }
        }
    }

private:
    static constexpr std::size_t operands_per_quad = quad_cols / cols_per_operand;
    using row = std::byte[P][panel_rows * 4];

    template <quantization_scheme S>
    QUANT_DETAIL_INLINE static void put(const simd::i32x16& quad, const simd::i32x16& shift,
                                        row* to, std::size_t panel) noexcept {
        unroll<operands_per_quad>([&](auto i) QUANT_DETAIL_LAMBDA {
            if constexpr (bf16_pairs<A>) {
                simd::store(to[i][panel], level_pair<S, i>(quad, shift));
            } else {
                simd::store(to[i][panel], level_of<S, i>(quad, shift));
            }
        });
    }

    template <quantization_scheme S>
    QUANT_DETAIL_OUTLINE static void decode_whole(const std::byte* superblock,
                                                  const simd::i32x16& shift, row* to,
                                                  std::size_t panel) noexcept {
        const simd::i32x16 by = shift;
        unroll<8>([&](auto q) QUANT_DETAIL_LAMBDA {
            put<S>(decode_quad<S::bits, q>(superblock), by, to + q * operands_per_quad, panel);
        });
    }
};

/// Multiplies P panels of a stretch, from panel First on, with the T tokens of a tile. One function
/// per activation and tile: all schemes share it. LongSteps: the stretch has one step or part of
/// one, whose chains are kept in memory between stretches; else whole steps. Outputs of short steps
/// are in registers, too, where those have room for both; else in memory during a step. next_x:
/// activations like x that are fetched meanwhile for the next call.
template <activation A, bool LongSteps, bool HasMinimum, std::size_t T, std::size_t P,
          std::size_t First, std::size_t Decoded>
QUANT_DETAIL_OUTLINE void multiply_stretch(const level_stretch<A, Decoded>& stretch,
                                           const std::byte* x, const std::byte* next_x,
                                           const float* block_sums, float* out,
                                           float* chains) noexcept {
    using level = std::conditional_t<bf16_pairs<A>, std::int32_t, float>;
    constexpr bool in_registers = !LongSteps && P <= 2;
    constexpr std::size_t per_quad = quad_cols / level_stretch<A, Decoded>::cols_per_operand;
    static_assert(First + P <= Decoded && (P == Decoded || !LongSteps));
    out += First * T * panel_rows;
    simd::f32x16 y[P][T];
    if constexpr (in_registers) load_tile(y, out);
    const auto* levels = &stretch.levels[0][First][0];
    std::size_t s = 0;
    do { // a stretch has a step
        const stretch_step<Decoded>& step = stretch.steps[s];
        if constexpr (!in_registers) out = simd::again(out); // see operand_panels.hpp
        simd::f32x16 sum[P][T];
        QUANT_DETAIL_UNROLLED
        for (std::size_t p = 0; p < P; ++p) {
            QUANT_DETAIL_UNROLLED
            for (std::size_t t = 0; t < T; ++t) sum[p][t] = simd::broadcast(0.0f);
        }
        if constexpr (LongSteps) {
            if (!stretch.begins) load_tile(sum, chains);
        }
        const std::byte* from = x + step.first_quad * quad_bytes<A> * T;
        const std::byte* ahead = next_x + step.first_quad * quad_bytes<A> * T;
        if constexpr (First == 0) { // once for all parts
            for (std::size_t i = 0; i < step.operands * 4 * T; i += 64) simd::prefetch(ahead + i);
        }
        // By quads, of which steps are made: with few tokens, column by column a fifth of the
        // instructions would be the loop's own.
        for (std::size_t k = 0; k < step.operands; k += per_quad) {
            unroll<per_quad>([&](auto) QUANT_DETAIL_LAMBDA {
                simd::lanes<level> operand[P];
                QUANT_DETAIL_UNROLLED
                for (std::size_t p = 0; p < P; ++p) {
                    operand[p] =
                        simd::keep_in_register(simd::load<level>(levels + p * panel_rows * 4));
                }
                QUANT_DETAIL_UNROLLED
                for (std::size_t t = 0; t < T; ++t) {
                    const auto value = load_operand<A>(from, t);
                    QUANT_DETAIL_UNROLLED
                    for (std::size_t p = 0; p < P; ++p) {
                        sum[p][t] = multiply_add(operand[p], value, sum[p][t]);
                    }
                }
                from += 4 * T;
                levels += Decoded * panel_rows * 4;
            });
        }
        if constexpr (LongSteps) {
            if (!stretch.ends) {
                store_tile(chains, sum);
                return;
            }
        }
        if constexpr (!in_registers) load_tile(y, out);
        float total[T];
        if constexpr (HasMinimum) {
            for (std::size_t t = 0; t < T; ++t) {
                total[t] = sum_of_blocks(block_sums + step.first_block * T + t, step.blocks, T);
            }
        }
        QUANT_DETAIL_UNROLLED
        for (std::size_t p = 0; p < P; ++p) {
            QUANT_DETAIL_UNROLLED
            for (std::size_t t = 0; t < T; ++t) {
                y[p][t] = simd::fma(sum[p][t], step.scale[First + p], y[p][t]);
                if constexpr (HasMinimum) {
                    y[p][t] =
                        simd::fma(simd::broadcast(total[t]), step.minimum[First + p], y[p][t]);
                }
            }
        }
        if constexpr (!in_registers) store_tile(out, y);
    } while (++s < stretch.count);
    if constexpr (in_registers) store_tile(out, y);
}

/// f(stretch) for the stretches of P panels in the order of their columns.
template <quantization_scheme S, activation A, std::size_t P, class Row, class F>
void for_each_stretch(const std::byte* const (&panels)[P], const Row& row, F&& f) noexcept {
    using plan = product_plan<S, A>;
    constexpr bool long_steps = has_long_steps<S, A>;
    constexpr std::size_t capacity = stretch_cols<A, P, long_steps>;
    level_stretch<A, P> stretch;
    const auto flush = [&] {
        if (stretch.count > 0) f(stretch);
        stretch.count = 0;
        stretch.operands = 0;
    };
    const std::size_t cols = row.cols, group_size = S::group_size(cols);
    std::size_t g = 0;
    for (std::size_t c = 0; c < cols; c += group_size, ++g) {
        const std::size_t group_cols = std::min(group_size, cols - c);
        lane_grid<S> grid[P];
        for (std::size_t p = 0; p < P; ++p) {
            grid[p] = lane_grid<S>::of(panels[p], g);
        }
        for (std::size_t s = 0; s < group_cols; s += plan::step) {
            const std::size_t n = std::min(plan::step, group_cols - s);
            for (std::size_t k = 0; k < n; k += capacity) {
                const std::size_t width = std::min(capacity, n - k);
                const std::size_t quads = div_ceil(width, quad_cols);
                const std::size_t operands = quads * quad_cols / stretch.cols_per_operand;
                if (stretch.count == stretch.most_steps ||
                    stretch.operands + operands > capacity / stretch.cols_per_operand) {
                    flush();
                }
                auto& step = stretch.steps[stretch.count];
                step.operands = operands;
                step.first_quad = row.quad_at(c + s) + k / quad_cols;
                step.first_block = row.block_at(c + s);
                step.blocks = row.blocks_of(n);
                const std::size_t first = (s + k) / quad_cols;
                for (std::size_t p = 0; p < P; ++p) {
                    step.scale[p] = grid[p].scale();
                    if constexpr (S::has_minimum) step.minimum[p] = grid[p].minimum();
                    stretch.template decode<S>(p, panels[p], g, first, first + quads,
                                               level_shift(grid[p]));
                }
                ++stretch.count;
                stretch.operands += operands;
                if constexpr (long_steps) {
                    stretch.begins = k == 0;
                    stretch.ends = k + width == n;
                    flush();
                }
            }
        }
    }
    flush();
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
