// The tile: P panels of weights (16 outputs each) times T tokens, over all columns.
//
// For each step (see plan.hpp), with t the integers that the scale multiplies, t = multiplier·u −
// offset − z, and x̂ the activations' codes or floats:
//
//     integer A   d = Σ t·x̂ (exact)          y ← fma(float(d), s·s_x, y)      s_x = 1 per token
//                 and with a minimum m         y ← fma(float(Σ x̂)·s_x, m, y)
//                 at the end, per token        y ← y·s_x
//     float A     d = Σ t·x̂ by fma, in order  y ← fma(d, s, y)
//                 and with a minimum m         y ← fma(Σ x̂, m, y)
//
// Each output's operations and their order do not depend on T, P or threads, so neither do its
// bits. reference/matmul.hpp says the same in scalar code.
#pragma once

#include <quant/kernel/packed_activations.hpp>
#include <quant/pack/packed_matrix.hpp>
#include <quant/pack/planes.hpp>
#include <quant/simd/dot4.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Scales (and minimums or zero points) of one group for the lanes of one panel.
template <quantization_scheme S>
struct lane_grid {
    simd::f32x16 scale;
    simd::f32x16 minimum;
    simd::i32x16 zero_point;

    QUANT_DETAIL_INLINE void load(const std::byte* panel, std::size_t g) noexcept {
        using at = layout<S>;
        scale = simd::load_as_float<typename S::scale_type>(panel + at::scales_at(g));
        if constexpr (S::has_minimum) {
            minimum = simd::load_as_float<typename S::scale_type>(panel + at::offsets_at(g));
        }
        if constexpr (S::has_zero_point) zero_point = simd::load_u8(panel + at::offsets_at(g));
    }
};

/// Integer sums of one step, exact.
template <quantization_scheme S, activation A, std::size_t T, std::size_t P>
struct integer_accumulators {
    static constexpr std::size_t halves = static_cast<std::size_t>(A::halves);
    simd::i32x16 sum[halves][P][T];
    std::int32_t activation_sum[halves][T];

    /// Starts at −(offset + z)·Σ x̂, so that codes can be multiplied unsigned as they are stored.
    template <class Tile>
    QUANT_DETAIL_INLINE void start(const Tile& x, std::size_t first_block, std::size_t last_block,
                                   const lane_grid<S> (&grid)[P]) noexcept {
        unroll<halves>([&](auto h) QUANT_DETAIL_LAMBDA {
            const auto* before = x.template sums<std::int32_t>(h, first_block);
            const auto* after = x.template sums<std::int32_t>(h, last_block);
            unroll<T>([&](auto t) QUANT_DETAIL_LAMBDA {
                const auto total =
                    static_cast<std::uint32_t>(after[t]) - static_cast<std::uint32_t>(before[t]);
                activation_sum[h][t] = static_cast<std::int32_t>(total);
                constexpr auto offset = static_cast<std::uint32_t>(-S::offset);
                const auto base = simd::broadcast(
                    static_cast<std::int32_t>(S::multiplier == 1 ? total * offset : 0));
                unroll<P>([&](auto p) QUANT_DETAIL_LAMBDA {
                    sum[h][p][t] = base;
                    if constexpr (S::has_zero_point) {
                        sum[h][p][t] =
                            base - grid[p].zero_point * simd::broadcast(activation_sum[h][t]);
                    }
                });
            });
        });
    }

    template <class Tile>
    QUANT_DETAIL_INLINE void add_quad(const Tile& x, std::size_t quad,
                                      const simd::i32x16 (&codes)[P]) noexcept {
        unroll<halves>([&](auto h) QUANT_DETAIL_LAMBDA {
            const std::int8_t* from = x.codes(h, quad);
            unroll<T>([&](auto t) QUANT_DETAIL_LAMBDA {
                const std::int32_t q = simd::load_quad(from + 4 * t);
                unroll<P>([&](auto p) QUANT_DETAIL_LAMBDA {
                    sum[h][p][t] = simd::dot4<S::bits>(sum[h][p][t], codes[p], q);
                });
            });
        });
    }

    /// The step's dot product as float: exact integers, rounded once.
    QUANT_DETAIL_INLINE simd::f32x16 total(std::size_t p, std::size_t t) const noexcept {
        const auto half = [&](std::size_t h) QUANT_DETAIL_LAMBDA {
            if constexpr (S::multiplier == 1) return simd::to_float(sum[h][p][t]);
            constexpr auto offset = static_cast<std::uint32_t>(S::offset);
            const auto shift = static_cast<std::uint32_t>(activation_sum[h][t]) * offset;
            return simd::to_float(sum[h][p][t] + sum[h][p][t] -
                                  simd::broadcast(static_cast<std::int32_t>(shift)));
        };
        if constexpr (halves == 1) return half(0);
        return simd::fma(half(1), simd::broadcast(256.0f), half(0));
    }

    /// Σ x̂ of the step.
    QUANT_DETAIL_INLINE float activation_total(std::size_t t) const noexcept {
        std::uint32_t total = static_cast<std::uint32_t>(activation_sum[0][t]);
        if constexpr (halves == 2) total += 256u * static_cast<std::uint32_t>(activation_sum[1][t]);
        return static_cast<float>(static_cast<std::int32_t>(total));
    }
};

/// Float sums of one step, in the order of the columns.
template <quantization_scheme S, activation A, std::size_t T, std::size_t P>
struct float_accumulators {
    simd::f32x16 sum[P][T];
    simd::i32x16 shift[P]; ///< what is taken from a code to make it a level
    float activation_sum[T];

    template <class Tile>
    QUANT_DETAIL_INLINE void start(const Tile& x, std::size_t first_block, std::size_t last_block,
                                   const lane_grid<S> (&grid)[P]) noexcept {
        unroll<T>([&](auto t) QUANT_DETAIL_LAMBDA { activation_sum[t] = 0; });
        if constexpr (S::has_minimum) {
            for (std::size_t b = first_block; b < last_block; ++b) {
                const float* block = x.template sums<float>(0, b);
                unroll<T>([&](auto t) QUANT_DETAIL_LAMBDA { activation_sum[t] += block[t]; });
            }
        }
        unroll<P>([&](auto p) QUANT_DETAIL_LAMBDA {
            shift[p] = simd::broadcast<std::int32_t>(S::offset);
            if constexpr (S::has_zero_point) shift[p] = grid[p].zero_point;
            unroll<T>([&](auto t) QUANT_DETAIL_LAMBDA { sum[p][t] = simd::broadcast(0.0f); });
        });
    }

    template <class Tile>
    QUANT_DETAIL_INLINE void add_quad(const Tile& x, std::size_t quad,
                                      const simd::i32x16 (&codes)[P]) noexcept {
        const float* from = x.values(quad);
        unroll<4>([&](auto column) QUANT_DETAIL_LAMBDA {
            simd::f32x16 level[P];
            unroll<P>([&](auto p) QUANT_DETAIL_LAMBDA {
                const auto code = simd::shift_right<8 * static_cast<int>(column)>(codes[p]) &
                                  simd::broadcast<std::int32_t>(0xFF);
                level[p] = simd::to_float((S::multiplier == 1 ? code : code + code) - shift[p]);
            });
            unroll<T>([&](auto t) QUANT_DETAIL_LAMBDA {
                const auto value = simd::broadcast(from[column * T + t]);
                unroll<P>([&](auto p) QUANT_DETAIL_LAMBDA {
                    sum[p][t] = simd::fma(level[p], value, sum[p][t]);
                });
            });
        });
    }

    QUANT_DETAIL_INLINE simd::f32x16 total(std::size_t p, std::size_t t) const noexcept {
        return sum[p][t];
    }
    QUANT_DETAIL_INLINE float activation_total(std::size_t t) const noexcept {
        return activation_sum[t];
    }
};

template <quantization_scheme S, activation A, std::size_t T, std::size_t P>
using accumulators = std::conditional_t<is_integer_activation<A>, integer_accumulators<S, A, T, P>,
                                        float_accumulators<S, A, T, P>>;

/// Adds the products of `quads` quads of group g, from quad `wq` of the group on the weights' side
/// and quad `xq` of the row on the activations'.
template <quantization_scheme S, std::size_t P, class Accumulators, class Tile>
QUANT_DETAIL_INLINE void add_quads(Accumulators& acc, const std::byte* const (&panels)[P],
                                   const Tile& x, std::size_t g, std::size_t wq, std::size_t xq,
                                   std::size_t quads) noexcept {
    using at = layout<S>;
    constexpr std::size_t per_superblock = superblock_cols / quad_cols;
    while (quads > 0) {
        const std::size_t superblock = at::superblock_at(g, wq);
        const std::size_t first = at::quad_in_superblock(g, wq);
        const std::size_t count = std::min(per_superblock - first, quads);
        // Without vector registers there is nothing to keep in them: one loop serves.
        if (!QUANT_DETAIL_SCALAR && count == per_superblock) {
            unroll<per_superblock>([&](auto q) QUANT_DETAIL_LAMBDA {
                simd::i32x16 codes[P];
                unroll<P>([&](auto p) QUANT_DETAIL_LAMBDA {
                    codes[p] = decode_quad<S::bits, q>(panels[p] + superblock);
                });
                acc.add_quad(x, xq + q, codes);
            });
        } else { // a group's end, or groups that share a superblock
            superblock_codes decoded[P];
            unroll<P>([&](auto p) QUANT_DETAIL_LAMBDA {
                decode_superblock<S::bits>(panels[p] + superblock, decoded[p]);
            });
            for (std::size_t q = 0; q < count; ++q) {
                simd::i32x16 codes[P];
                unroll<P>([&](auto p) QUANT_DETAIL_LAMBDA {
                    codes[p] = simd::load_line(decoded[p].quads[first + q]);
                });
                acc.add_quad(x, xq + q, codes);
            }
        }
        wq += count;
        xq += count;
        quads -= count;
    }
}

/// Outputs of P panels for T tokens: out[(p·T + t)·16 + lane].
template <quantization_scheme S, activation A, std::size_t T, std::size_t P>
QUANT_DETAIL_OUTLINE void
multiply_tile(const std::byte* const (&panels)[P], std::size_t cols,
              const activation_tile<A, product_plan<S, A>::section, product_plan<S, A>::block>& x,
              float* out) noexcept {
    using plan = product_plan<S, A>;
    constexpr bool scale_per_block = decltype(x.at)::scale_per_block;
    simd::f32x16 y[P][T];
    unroll<P * T>([&](auto i) QUANT_DETAIL_LAMBDA { y[i / T][i % T] = simd::broadcast(0.0f); });

    const std::size_t group_size = S::group_size(cols);
    std::size_t g = 0;
    for (std::size_t c = 0; c < cols; c += group_size, ++g) {
        const std::size_t group_cols = std::min(group_size, cols - c);
        lane_grid<S> grid[P];
        unroll<P>([&](auto p) QUANT_DETAIL_LAMBDA { grid[p].load(panels[p], g); });
        for (std::size_t s = 0; s < group_cols; s += plan::step) {
            const std::size_t n = std::min(plan::step, group_cols - s);
            const std::size_t first_block = x.at.row.block_at(c + s);
            accumulators<S, A, T, P> acc;
            acc.start(x, first_block, x.at.row.block_at(c + s) + x.at.row.blocks_of(n), grid);
            add_quads<S>(acc, panels, x, g, s / quad_cols, x.at.row.quad_at(c + s),
                         div_ceil(n, quad_cols));
            const float* x_scales = scale_per_block ? x.scales(first_block) : nullptr;
            unroll<T>([&](auto t) QUANT_DETAIL_LAMBDA {
                float x_total = acc.activation_total(t);
                if constexpr (scale_per_block) x_total *= x_scales[t];
                unroll<P>([&](auto p) QUANT_DETAIL_LAMBDA {
                    simd::f32x16 scale = grid[p].scale;
                    if constexpr (scale_per_block) scale = scale * simd::broadcast(x_scales[t]);
                    y[p][t] = simd::fma(acc.total(p, t), scale, y[p][t]);
                    if constexpr (S::has_minimum) {
                        y[p][t] = simd::fma(simd::broadcast(x_total), grid[p].minimum, y[p][t]);
                    }
                });
            });
        }
    }
    unroll<P * T>([&](auto i) QUANT_DETAIL_LAMBDA {
        simd::f32x16 value = y[i / T][i % T];
        if constexpr (is_integer_activation<A> && !scale_per_block) {
            value = simd::rounded_product(value, simd::broadcast(x.scales(0)[i % T]));
        }
        simd::store(out + i * panel_rows, value);
    });
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
