// How the columns of a product are walked: by groups of the weights, by steps within a group, and
// by the sections and blocks in which activations are stored.
//
// A *step* is a run of columns of one group over which both scales are constant: an integer dot
// product, then one multiply-add in float. It has at most 65536 columns, so that the int32 sum of
// products of 8-bit numbers cannot wrap (65536 · 255 · 128 < 2^31).
//
// Activations lie in quads of four columns. A *block* of activations is what has one sum (and, for
// group-wise activations, one scale). Where the weights' groups fall on block boundaries, blocks
// simply cut the row; such packed activations serve all schemes of that kind. Elsewhere the row is
// cut into *sections*, one per weight group, each cut into blocks from its own first column.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/policy/activations.hpp>

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace quant::inline QUANT_VOCABULARY {
namespace core_detail {

inline constexpr std::size_t longest_step = 65536;

template <activation A>
constexpr std::size_t activation_group() noexcept {
    if constexpr (is_integer_activation<A>) {
        return A::group_cols;
    } else {
        return all;
    }
}

/// Columns of a block where activations are packed for no particular scheme.
template <activation A>
inline constexpr std::size_t common_block =
    activation_group<A>() == all ? 32 : activation_group<A>();

/// Step and section of the product of scheme S with activations A.
template <quantization_scheme S, activation A>
struct product_plan {
    static_assert(takes_activations<S, A>,
                  "quant::matmul: this code's levels are not exact in these activations' numbers; "
                  "take activations::bf16 or activations::fp32");
    static constexpr std::size_t group = S::group_cols;
    static constexpr std::size_t act_group = activation_group<A>();

    /// Whether each activation group lies in one weight group or the other way round, on quads.
    static constexpr bool fits = [] {
        if constexpr (act_group == all) {
            return true;
        } else if constexpr (act_group > longest_step) {
            return false;
        } else if constexpr (group == all) {
            return act_group % 4 == 0;
        } else {
            constexpr bool whole_quads = act_group % 4 == 0 || act_group <= 2;
            return act_group % group == 0 || (group % act_group == 0 && whole_quads);
        }
    }();

    static constexpr std::size_t step = [] {
        std::size_t columns = longest_step;
        if (group != all) columns = std::min(columns, group);
        if (act_group != all) columns = std::min(columns, act_group);
        return columns;
    }();

    /// Whether activations packed for no particular scheme serve.
    static constexpr bool common =
        (group == all || group % common_block<A> == 0) && common_block<A> % 4 == 0;
    /// Columns of a section of activations; `all` where blocks simply cut the row.
    static constexpr std::size_t section = common ? all : group;
    static constexpr std::size_t block = common ? common_block<A> : step;

    /// Columns from one group's start to the next one's in the weights' layout.
    static constexpr std::size_t padded_group = round_up(group, 16);
    /// Whether each step is a run of half superblocks, and quads of activations lie as quads of
    /// weights do: then one walk over superblocks serves both.
    static constexpr bool by_superblocks =
        (group == all || section != all || group % 16 == 0) &&
        (step == group || ((step == 16 || step % 32 == 0) && group % 16 == 0));
};

/// Where quads and blocks of a row of activations lie.
template <std::size_t Section, std::size_t Block>
struct activation_layout {
    std::size_t cols = 0;

    [[nodiscard]] static constexpr std::size_t quads_of(std::size_t columns) noexcept {
        if constexpr (Block % 4 == 0) return div_ceil(columns, 4);
        return columns / Block * div_ceil(Block, 4) + div_ceil(columns % Block, 4);
    }
    [[nodiscard]] static constexpr std::size_t blocks_of(std::size_t columns) noexcept {
        return div_ceil(columns, Block);
    }
    /// Quads from one section's start to the next one's: padded as the weights' groups are.
    static constexpr std::size_t section_quads = round_up(quads_of(Section), 4);
    /// Whether quads between the first and the last column hold nothing.
    static constexpr bool has_gaps = Block % 4 != 0 || section_quads * 4 != Section;

    /// Quads of a row, those that hold nothing included: whole superblocks.
    [[nodiscard]] constexpr std::size_t quads() const noexcept { return round_up(used_quads(), 8); }
    /// Quads up to the last that holds a column.
    [[nodiscard]] constexpr std::size_t used_quads() const noexcept {
        if constexpr (Section == all) {
            return quads_of(cols);
        } else {
            return cols / Section * section_quads + quads_of(cols % Section);
        }
    }
    [[nodiscard]] constexpr std::size_t blocks() const noexcept {
        if constexpr (Section == all) {
            return blocks_of(cols);
        } else {
            return cols / Section * blocks_of(Section) + blocks_of(cols % Section);
        }
    }
    /// Quad and block in which a column that begins a block lies.
    [[nodiscard]] constexpr std::size_t quad_at(std::size_t col) const noexcept {
        if constexpr (Section == all) {
            return quads_of(col);
        } else {
            return col / Section * section_quads + quads_of(col % Section);
        }
    }
    [[nodiscard]] constexpr std::size_t block_at(std::size_t col) const noexcept {
        if constexpr (Section == all) {
            return blocks_of(col);
        } else {
            return col / Section * blocks_of(Section) + blocks_of(col % Section);
        }
    }

    /// f(block, first column, columns, first quad, byte of the quad at which the first column
    /// lies) for each block in order. The byte differs from 0 where blocks are smaller than a quad:
    /// each then has a quad of its own, zero but for its columns. Without sections, `first` blocks
    /// may be left out.
    template <class F>
    void for_each_block(std::size_t first, F&& f) const {
        std::size_t index = first, quad = quads_of(first * Block);
        const std::size_t section = Section == all ? cols : Section;
        for (std::size_t s = 0; s < cols; s += section) {
            const std::size_t width = std::min(section, cols - s);
            for (std::size_t c = first * Block; c < width; c += Block, ++index) {
                const std::size_t n = std::min(Block, width - c);
                f(index, s + c, n, quad, Block < 4 ? c % 4 : 0);
                quad += div_ceil(n, 4);
            }
            if constexpr (Section != all) quad = round_up(quad, 4);
        }
    }
};

} // namespace core_detail
} // namespace quant::inline QUANT_VOCABULARY
