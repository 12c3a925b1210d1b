// Operands of a stretch of columns, made of codes once for many tokens, in the first-level cache.
#pragma once

#include <quant/kernel/integer_operand.hpp>
#include <quant/kernel/lane_grid.hpp>
#include <quant/kernel/look_ahead.hpp>
#include <quant/kernel/plan.hpp>
#include <quant/pack/planes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Panels of a stretch: with the largest tile their sums take three quarters of 32 registers.
inline constexpr std::size_t stretch_panels = 4;
/// Quads of a stretch: operands, 16 KiB, take a third or half of a first-level cache.
inline constexpr std::size_t stretch_quads = 64;

/// Whether operands of dot products lie in the panels as they are needed.
template <quantization_scheme S>
inline constexpr bool operands_in_place = S::bits == 8 && S::is_linear;

/// How a stretch's operands are made for dot products. Other instructions have types like it.
template <quantization_scheme S>
struct dot_product_operand {
    static constexpr code_form form = integer_operand<S>::form;
    static constexpr bool in_place = operands_in_place<S>;
    /// Quads of which a step has a multiple.
    static constexpr std::size_t quad_unit = 4;

    /// What a group's operands depend on besides codes.
    [[nodiscard]] QUANT_DETAIL_INLINE static simd::i32x16
    of_group(const lane_grid<S>& grid) noexcept {
        if constexpr (S::tables == 2) return grid.table();
        return simd::broadcast<std::int32_t>(0);
    }
    [[nodiscard]] QUANT_DETAIL_INLINE static simd::i32x16 of(const simd::i32x16& codes,
                                                             const simd::i32x16& group) noexcept {
        return integer_operand<S>::of(codes, group);
    }
};

/// A step within a stretch, or a part of one.
struct operand_step {
    const std::byte* operands[stretch_panels]; ///< a line for each quad
    std::size_t group, first_in_group;         ///< of the weights: its first quad's place
    std::size_t quads;
    std::size_t first_quad; ///< of the activations
    std::size_t first_block, blocks;
    simd::f32x16 scale[stretch_panels];
    simd::f32x16 minimum[stretch_panels];
    simd::i32x16 zero_point[stretch_panels];
};

/// Operands of consecutive columns, with the numbers of the steps that they belong to, which have
/// multiples of QuadUnit quads.
template <std::size_t QuadUnit>
struct operand_stretch {
    alignas(64) std::byte operands[stretch_panels][stretch_quads][line_bytes];
    operand_step steps[stretch_quads / QuadUnit];
    std::size_t count = 0; ///< steps
    bool begins = true;    ///< whether the (only) step begins here, and ends
    bool ends = true;
    /// What is read next of each panel, as a walk over this stretch should ask for it: of this row
    /// as much again, or, where less is left, the next panel's beginning.
    look_ahead next[stretch_panels];
};

/// Operands of `quads` quads, a multiple of four, from the first or the fifth (`inside`) of a
/// superblock on, a line each. group: what Operand::of_group says.
template <quantization_scheme S, class Operand>
QUANT_DETAIL_INLINE void make_operands(const std::byte* superblock, std::size_t inside,
                                       std::size_t quads, const simd::i32x16& group,
                                       std::byte (*to)[line_bytes]) noexcept {
    const auto make = [&](auto first, auto last) QUANT_DETAIL_LAMBDA {
        unroll<last - first>([&](auto i) QUANT_DETAIL_LAMBDA {
            const auto codes = decode_quad<S::bits, first + i, Operand::form>(superblock);
            simd::store_line(to[i], Operand::of(codes, group));
        });
        to += last - first;
    };
    const std::size_t before = inside != 0 ? 4 : 0;
    if (inside != 0) {
        make(index_constant<4>{}, index_constant<8>{});
        superblock += layout<S>::superblock_bytes;
    }
    for (std::size_t i = 0; i < (quads - before) / 8; ++i) {
        make(index_constant<0>{}, index_constant<8>{});
        superblock += layout<S>::superblock_bytes;
    }
    if ((quads - before) % 8 != 0) make(index_constant<0>{}, index_constant<4>{});
}

/// Makes operands of the p-th panel of a stretch whose steps are known, and reads their numbers.
template <quantization_scheme S, class Operand>
QUANT_DETAIL_OUTLINE void make_panel(const std::byte* panel, std::size_t p,
                                     operand_stretch<Operand::quad_unit>& stretch) noexcept {
    using at = layout<S>;
    std::byte(*to)[line_bytes] = stretch.operands[p];
    for (std::size_t i = 0; i < stretch.count; ++i) {
        operand_step& step = stretch.steps[i];
        const auto grid = lane_grid<S>::of(panel, step.group);
        step.scale[p] = grid.scale();
        if constexpr (S::has_minimum) step.minimum[p] = grid.minimum();
        if constexpr (S::has_zero_point) step.zero_point[p] = grid.zero_point();
        const std::byte* superblock = panel + at::superblock_at(step.group, step.first_in_group);
        const std::size_t inside = at::quad_in_superblock(step.group, step.first_in_group);
        if constexpr (Operand::in_place) {
            step.operands[p] = superblock + inside * line_bytes;
        } else {
            step.operands[p] = to[0];
            make_operands<S, Operand>(superblock, inside, step.quads, Operand::of_group(grid), to);
            to += step.quads;
        }
    }
}

/// Whether a stretch holds one step or part of one, else whole steps.
template <quantization_scheme S, activation A>
inline constexpr bool cuts_steps = product_plan<S, A>::step > stretch_quads* quad_cols;

/// Cuts the columns of up to four panels into stretches, in order.
template <quantization_scheme S, activation A, class Operand>
class operand_stretches {
    using plan = product_plan<S, A>;
    using at = layout<S>;
    static constexpr std::size_t most = stretch_panels;
    static constexpr bool cut_steps = cuts_steps<S, A>;

public:
    /// Of the first `count` panels. next_panels: those that are multiplied after these.
    operand_stretches(const std::byte* const (&panels)[most],
                      const std::byte* const (&next_panels)[most], std::size_t count,
                      std::size_t panel_bytes) noexcept
        : panels_(panels), next_panels_(next_panels), count_(count), panel_bytes_(panel_bytes) {}

    /// f(stretch) for each, once; row: where activations lie.
    template <class Row, class F>
    void for_each(const Row& row, F&& f) noexcept {
        const std::size_t cols = row.cols, group_size = S::group_size(cols);
        std::size_t g = 0;
        for (std::size_t c = 0; c < cols; c += group_size, ++g) {
            const std::size_t group_cols = std::min(group_size, cols - c);
            for (std::size_t s = 0; s < group_cols; s += plan::step) {
                const std::size_t n = std::min(plan::step, group_cols - s);
                const std::size_t quads = round_up(div_ceil(n, quad_cols), Operand::quad_unit);
                if (!cut_steps && quads > stretch_quads - filled_) flush(f);
                for (std::size_t k = 0; k < quads; k += stretch_quads) {
                    operand_step& step = stretch_.steps[stretch_.count];
                    step.group = g;
                    step.first_in_group = s / quad_cols + k;
                    step.first_quad = row.quad_at(c + s) + k;
                    step.first_block = row.block_at(c + s);
                    step.blocks = row.blocks_of(n);
                    step.quads = std::min(stretch_quads, quads - k);
                    filled_ += step.quads;
                    ++stretch_.count;
                    if constexpr (cut_steps) {
                        stretch_.begins = k == 0;
                        stretch_.ends = k + step.quads == quads;
                        flush(f);
                    }
                }
            }
        }
        if (stretch_.count > 0) flush(f);
    }

private:
    template <class F>
    void flush(F&& f) noexcept {
        const operand_step& last = stretch_.steps[stretch_.count - 1];
        const std::size_t read_to =
            at::superblock_at(last.group, last.first_in_group + last.quads - 1) +
            at::superblock_bytes;
        const std::size_t bytes = read_to - read_from_;
        const bool more = read_to + bytes <= panel_bytes_;
        for (std::size_t p = 0; p < count_; ++p) {
            make_panel<S, Operand>(panels_[p], p, stretch_);
            stretch_.next[p] = {more ? panels_[p] + read_to : next_panels_[p],
                                div_ceil(bytes, filled_)};
        }
        f(std::as_const(stretch_));
        read_from_ = read_to;
        stretch_.count = filled_ = 0;
    }

    operand_stretch<Operand::quad_unit> stretch_;
    const std::byte* const (&panels_)[most];
    const std::byte* const (&next_panels_)[most];
    std::size_t count_;
    std::size_t panel_bytes_;
    std::size_t filled_ = 0;    ///< quads so far
    std::size_t read_from_ = 0; ///< where the stretch's bytes begin within a panel
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
