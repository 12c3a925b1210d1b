// Products of many tokens with integer activations: operands of a stretch of columns are made of
// codes once, in the first-level cache, and multiplied with all tokens of a batch. On AMD's cores
// few schemes gain by that.
//
// Each output's steps are those of tile.hpp in the same order, so its bits are the same. Where a
// stretch ends within a step, its sums are kept in memory, exact as they are.
#pragma once

#include <quant/kernel/integer_sums.hpp>
#include <quant/kernel/operand_stretch.hpp>
#include <quant/kernel/tile_memory.hpp>
#include <quant/pack/planes.hpp>
#include <quant/simd/cores.hpp>

#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Tokens of the smallest tile of which there is a kernel.
template <activation A>
inline constexpr std::size_t least_stretch_tokens = tile_tokens<A> / 2 + 1;

/// What the kernel depends on of a scheme and activations: all that are alike share one.
struct stretch_shape {
    bool whole_rows; ///< each row is a step, if it is no longer than a step may be
    bool cut_steps;  ///< see cuts_steps
    bool has_minimum;
    bool has_zero_point;
    bool narrow_sums; ///< |z·Σ x̂| of a step is a product of 16-bit numbers
    bool scale_per_block;
    int excess; ///< of operands over levels, but for zero points
};

template <quantization_scheme S, activation A>
inline constexpr stretch_shape shape_of = [] {
    using plan = product_plan<S, A>;
    static_assert(!S::has_zero_point || integer_operand<S>::excess == 0);
    return stretch_shape{S::group_cols == all && plan::act_group == all,
                         cuts_steps<S, A>,
                         S::has_minimum,
                         S::has_zero_point,
                         S::has_zero_point && plan::step <= 255,
                         tile_layout<A, plan::section, plan::block>::scale_per_block,
                         S::has_zero_point ? 1 : integer_operand<S>::excess};
}();

/// From how many tiles on operands are made ahead of products, on CPUs that cannot decode and
/// multiply at once; 0 for never. That is made up for soon by codes in several planes, late by
/// others. What lies in place gains most by whole rows, whose weights then are read from memory
/// once, and from the first-level cache for all tiles.
template <quantization_scheme S, activation A>
inline constexpr std::size_t least_tiles_ahead = [] {
    std::size_t least = 0;
    if constexpr (is_integer_activation<A>) {
        using plan = product_plan<S, A>;
        if (isa::current::vector_bytes != 64 || !isa::current::dot_product) return least;
        if (!plan::by_superblocks || integer_operand<S>::doubles_sums) return least;
        if (operands_in_place<S>) {
            least = shape_of<S, A>.whole_rows ? 2 : 4;
        } else {
            least = planes<S::bits>::count > 1 ? 4 : 8;
        }
    }
    return least;
}();

/// The same on AMD's cores, which can: there only codes in three planes take longer to decode than
/// to multiply, and short steps spend their time elsewhere.
template <quantization_scheme S, activation A>
inline constexpr std::size_t least_tiles_ahead_on_amd = [] {
    if constexpr (least_tiles_ahead<S, A> != 0) {
        const bool short_steps = product_plan<S, A>::step <= superblock_cols;
        if (planes<S::bits>::count > 2 && !(short_steps && A::halves == 1)) return std::size_t{8};
    }
    return std::size_t{0};
}();

/// The same on this CPU.
template <quantization_scheme S, activation A>
[[nodiscard]] std::size_t least_tiles_ahead_here() noexcept {
    return simd::on_amd_cores() ? least_tiles_ahead_on_amd<S, A> : least_tiles_ahead<S, A>;
}

/// Tiles that share operands, at most. Their outputs lie on the stack, 36 KiB, half of that beside
/// as much for sums where steps are cut, unless rows are steps: then outputs come into being where
/// sums were. What operand_stretch takes lies there, too.
template <stretch_shape Shape>
inline constexpr std::size_t stretch_tiles = Shape.cut_steps && !Shape.whole_rows ? 12 : 24;

/// Where the numbers of a tile lie.
struct stretch_tile {
    const std::byte* codes = nullptr;
    const std::byte* next_codes = nullptr; ///< of a tile like it, to be fetched for its turn
    std::size_t half_bytes = 0;
    const std::int32_t* sums = nullptr;
    std::size_t sums_per_half = 0;
    const float* scales = nullptr;
    float* outputs = nullptr;         ///< [(p·T + t)·16 + lane]
    std::int32_t* cut_sums = nullptr; ///< likewise for each half, where steps are cut: their sums
};

/// Stretches of dot products, whatever the scheme.
using dot_product_stretch = operand_stretch<4>;

/// Multiplies P panels of one stretch, from panel First on, with the T tokens of a tile. One
/// function per tile and what shape says. Outputs are in registers, too, where those have room for
/// sums and them; else in memory during a step. weights: what to fetch meanwhile.
template <activation A, stretch_shape Shape, std::size_t T, std::size_t P, std::size_t First>
QUANT_DETAIL_OUTLINE void multiply_operands(const dot_product_stretch& stretch,
                                            const stretch_tile& tile, look_ahead weights) noexcept {
    constexpr std::size_t halves = static_cast<std::size_t>(A::halves);
    constexpr bool in_registers = !Shape.cut_steps && P <= 2;
    static_assert(First + P <= stretch_panels && (P == stretch_panels || !Shape.cut_steps));
    static_assert(!in_registers || !Shape.whole_rows); // whose outputs nobody has set yet
    float* out = tile.outputs + First * T * panel_rows;
    std::int32_t* cut_sums = tile.cut_sums;
    const auto for_each_sum = [](auto f) QUANT_DETAIL_LAMBDA {
        QUANT_DETAIL_UNROLLED
        for (std::size_t h = 0; h < halves; ++h) {
            QUANT_DETAIL_UNROLLED
            for (std::size_t t = 0; t < T; ++t) {
                QUANT_DETAIL_UNROLLED
                for (std::size_t p = 0; p < P; ++p) f(h, p, t);
            }
        }
    };
    const auto cut_sum = [&](std::size_t h, std::size_t p, std::size_t t) QUANT_DETAIL_LAMBDA {
        return cut_sums + ((h * P + p) * T + t) * panel_rows;
    };
    simd::f32x16 y[in_registers ? P : 1][in_registers ? T : 1];
    if constexpr (in_registers) load_tile(y, out);
    const operand_step* step = stretch.steps;
    std::size_t left = stretch.count;
    do { // a stretch has a step
        // Else g++ keeps outputs on the stack from step to step, too; and addresses in vector
        // registers, out of which they come after the products that wait there.
        if constexpr (!in_registers) out = simd::again(out);
        const stretch_tile& x = *simd::again(&tile);
        simd::native<std::int32_t> activation_sum[halves];
        std::int32_t base[halves][simd::native_size<std::int32_t>];
        QUANT_DETAIL_UNROLLED
        for (std::size_t h = 0; h < halves; ++h) {
            const std::int32_t* before = x.sums + h * x.sums_per_half + step->first_block * T;
            activation_sum[h] = simd::native_load<std::int32_t>(before + step->blocks * T) -
                                simd::native_load<std::int32_t>(before);
            simd::store_to_broadcast(base[h], simd::native_times<-Shape.excess>(activation_sum[h]));
        }
        const auto first_sum = [&](std::size_t h, std::size_t p,
                                   std::size_t t) QUANT_DETAIL_LAMBDA {
            const auto by = simd::broadcast(base[h][t]);
            if constexpr (!Shape.has_zero_point) return by;
            if constexpr (Shape.narrow_sums)
                return simd::multiply_low_halves(step->zero_point[First + p], by);
            return step->zero_point[First + p] * by;
        };
        simd::i32x16 sum[halves][P][T];
        if constexpr (Shape.cut_steps) { // by way of memory in any case, or g++ keeps both ways
            if (stretch.begins) {
                for_each_sum([&](std::size_t h, std::size_t p, std::size_t t) QUANT_DETAIL_LAMBDA {
                    simd::store(cut_sum(h, p, t), first_sum(h, p, t));
                });
            }
            cut_sums = simd::again(cut_sums);
            for_each_sum([&](std::size_t h, std::size_t p, std::size_t t) QUANT_DETAIL_LAMBDA {
                sum[h][p][t] = simd::keep_in_register(simd::load<std::int32_t>(cut_sum(h, p, t)));
            });
        } else {
            for_each_sum([&](std::size_t h, std::size_t p, std::size_t t)
                             QUANT_DETAIL_LAMBDA { sum[h][p][t] = first_sum(h, p, t); });
        }

        const std::byte* codes = x.codes + step->first_quad * quad_cols * T;
        const std::byte* ahead = x.next_codes + step->first_quad * quad_cols * T;
        const std::byte* operands[P];
        QUANT_DETAIL_UNROLLED
        for (std::size_t p = 0; p < P; ++p) operands[p] = step->operands[First + p];
        const std::size_t quads = step->quads;
        std::size_t q = 0;
        do {
            simd::i32x16 operand[P];
            QUANT_DETAIL_UNROLLED
            for (std::size_t p = 0; p < P; ++p) {
                operand[p] = simd::keep_in_register(simd::load_line(operands[p] + q * line_bytes));
            }
            QUANT_DETAIL_UNROLLED
            for (std::size_t h = 0; h < halves; ++h) {
                const auto* from = reinterpret_cast<const std::int8_t*>(codes + h * x.half_bytes);
                QUANT_DETAIL_UNROLLED
                for (std::size_t t = 0; t < T; ++t) {
                    const std::int32_t quad = simd::load_quad(from + t * quad_cols);
                    QUANT_DETAIL_UNROLLED
                    for (std::size_t p = 0; p < P; ++p) {
                        sum[h][p][t] = simd::dot4<8>(sum[h][p][t], operand[p], quad);
                    }
                }
            }
            if constexpr (First == 0) { // once for all parts
                simd::prefetch(ahead);
                weights.fetch<1>();
            }
            codes += quad_cols * T;
            ahead += quad_cols * T;
        } while (++q < quads);

        if (Shape.cut_steps && !stretch.ends) {
            for_each_sum([&](std::size_t h, std::size_t p, std::size_t t)
                             QUANT_DETAIL_LAMBDA { simd::store(cut_sum(h, p, t), sum[h][p][t]); });
            return;
        }
        const float* scales = x.scales + (Shape.scale_per_block ? step->first_block * T : 0);
        float x_total[simd::native_size<float>];
        if constexpr (Shape.has_minimum) {
            auto totals = activation_total<A>(activation_sum);
            if constexpr (Shape.scale_per_block) {
                totals = totals * simd::native_load<float>(scales);
            }
            simd::store_to_broadcast(x_total, totals);
        }
        QUANT_DETAIL_UNROLLED
        for (std::size_t p = 0; p < P; ++p) {
            const simd::f32x16 panel_scale = step->scale[First + p];
            QUANT_DETAIL_UNROLLED
            for (std::size_t t = 0; t < T; ++t) {
                simd::f32x16 scale = panel_scale;
                if constexpr (Shape.scale_per_block) scale = scale * simd::broadcast(scales[t]);
                float* at = out + (p * T + t) * panel_rows;
                const auto output = [&]() QUANT_DETAIL_LAMBDA {
                    if constexpr (in_registers) return y[p][t];
                    return Shape.whole_rows ? simd::broadcast(0.0f) : simd::load<float>(at);
                };
                simd::f32x16 value =
                    simd::fma(total_of<A>(sum[0][p][t], sum[halves - 1][p][t]), scale, output());
                if constexpr (Shape.has_minimum) {
                    value = simd::fma(simd::broadcast(x_total[t]), step->minimum[First + p], value);
                }
                if constexpr (in_registers) {
                    y[p][t] = value;
                } else {
                    simd::store(at, value);
                }
            }
        }
        ++step;
    } while (!Shape.cut_steps && --left > 0);
    if constexpr (in_registers) store_tile(out, y);
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
