// The tile: P panels of weights (16 outputs each) times T tokens, over all columns.
//
// For each step (see plan.hpp), with t the integers that the scale multiplies, t = multiplier·u −
// offset − z, and x̂ the activations' codes or floats:
//
//     integer A   d = Σ t·x̂ (exact)              y ← fma(float(d), s·s_x, y)    s_x = 1 per token
//                 and with a minimum m           y ← fma(float(Σ x̂)·s_x, m, y)
//                 at the end, per token          y ← y·s_x
//     float A     d = Σ t·x̂ by fma, in order     y ← fma(d, s, y)
//                 and with a minimum m           y ← fma(Σ x̂, m, y)
//
// Each output's operations and their order do not depend on T, P or threads, so neither do its
// bits. reference/matmul.hpp says the same in scalar code.
//
// Groups and sections of activations are padded alike, to half superblocks of 16 columns, so one
// walk over half superblocks serves both sides. A group of an odd number of halves leaves the next
// one to begin in the middle of a superblock (Parity 1).
#pragma once

#include <quant/kernel/float_sums.hpp>
#include <quant/kernel/integer_sums.hpp>
#include <quant/kernel/look_ahead.hpp>
#include <quant/simd/cores.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Panels that a tile of T tokens takes at once: what the registers hold. One token of integers
/// takes one, so that memory is read from front to back: panels side by side are as many streams,
/// at 90 % of the rate of one and less. Of float activations tiles have one token (float_panels.hpp
/// has the others), and each sum is a chain of multiply-adds: with vectors of 32 bytes two panels
/// are four chains.
template <activation A>
[[nodiscard]] constexpr std::size_t panels_of_tile(std::size_t tokens) noexcept {
    if (isa::current::vector_bytes == 32 && !is_integer_activation<A>) return 2;
    if (isa::current::vector_bytes != 64) return 1;
    if (tokens == 1 && is_integer_activation<A>) return 1;
    const std::size_t sums = tokens * tile_layout<A, all, 4>::halves;
    return sums <= 3 ? 4 : sums == 4 ? 3 : 2;
}
template <quantization_scheme S, activation A, std::size_t T>
inline constexpr std::size_t tile_panels = panels_of_tile<A>(T);

/// Whether tiles of T tokens are computed by multiply_tiles: those of one panel. They ask for
/// nothing of the next block; one token may ask for what it reads soon (asks_within_panels).
template <activation A, std::size_t T>
inline constexpr bool takes_panels_in_turn =
    isa::current::vector_bytes == 64 && panels_of_tile<A>(T) == 1;

/// Where the walk stands, in bytes or elements from the start of the panel and of the tile.
struct tile_walk {
    std::size_t weights = 0; ///< the superblock's place
    std::size_t quads = 0;   ///< activation quads before it (before its second half at Parity 1)
    std::size_t blocks = 0;  ///< blocks of activations before the step
};

/// Outputs of P panels for T tokens: out[(p·T + t)·16 + lane].
template <quantization_scheme S, activation A, std::size_t T, std::size_t P>
class tile_product {
    using plan = product_plan<S, A>;
    using tile = activation_tile<A, plan::section, plan::block>;
    using at = layout<S>;
    static constexpr bool integer = is_integer_activation<A>;
    using sums_type = std::conditional_t<integer, integer_sums<S, A, T, P>, float_sums<S, A, T, P>>;
    using stored_sum = std::conditional_t<integer, std::int32_t, float>;
    static constexpr bool scale_per_block =
        tile_layout<A, plan::section, plan::block>::scale_per_block;
    static constexpr bool widened = [] {
        if constexpr (integer) return sums_type::widened;
        return false;
    }();
    static constexpr std::size_t value_bytes =
        (widened ? 2 : 1) * tile_layout<A, plan::section, plan::block>::bytes_per_value;
    static constexpr bool whole_rows = S::group_cols == all;
    static constexpr bool in_registers = isa::current::vector_bytes == 64 && !whole_rows;
    /// Where nothing else keeps the scale step busy, compilers hold copies of the float sums on the
    /// stack beside those in memory, and store each twice.
    static constexpr bool reread_sums =
        isa::current::vector_bytes == 32 && !whole_rows && !scale_per_block;
    /// Whether groups end in the middle of superblocks, and whether steps do.
    static constexpr bool odd = !whole_rows && plan::padded_group % 32 != 0;
    static constexpr bool by_halves = odd || div_ceil(plan::step, 16) % 2 != 0;
    /// What the walk counts: superblocks, or their halves.
    static constexpr std::size_t unit_cols = by_halves ? 16 : 32;
    static constexpr std::size_t step_units = div_ceil(plan::step, unit_cols);
    /// Whether all chunks but the last are walked as a whole, without counting what is left of
    /// their groups: the products of one token and one panel are not much more than that. Not large
    /// ones, for the sake of the code's size.
    static constexpr bool walks_whole_chunks =
        isa::current::vector_bytes == 64 && T == 1 && P == 1 && !whole_rows && !by_halves &&
        plan::step == S::group_cols && at::groups_per_chunk * step_units <= 8;
    /// Whether steps of two superblocks do without a loop, unless the compiler is clang. g++ keeps
    /// addresses that the loop has no register for in vector registers, and fetches them for each
    /// step: that costs tiles of 5 and 6 tokens of 1 and 2 bits 2 to 10 %. Other tiles, and those
    /// of clang, lose 1 to 5 % by the longer code.
    static constexpr bool twice_instead_of_loop = isa::current::vector_bytes == 64 &&
                                                  step_units == 2 && S::bits <= 2 && T > 4 &&
                                                  !simd::can_compute_first;
    /// |Σ x̂| of a step, zero point included, fits a signed 16-bit number.
    static constexpr bool sums_fit_16_bits = plan::step <= 255;

public:
    QUANT_DETAIL_INLINE tile_product(const std::byte* const (&panels)[P], const tile& x, float* out,
                                     look_ahead ahead, bool asks_within_panel = false) noexcept
        : ahead_(ahead), asks_within_panel_(asks_within_panel), panels_(panels),
          values_(widened ? x.widened(0) : x.base),
          half_bytes_((widened ? 2 : 1) * x.at.half_bytes()), half_sums_(x.at.sums_per_half()),
          blocks_(x.at.row.blocks()), sums_(x.template sums<stored_sum>(0, 0)),
          scales_(x.scales(0)), out_(out) {}

    QUANT_DETAIL_INLINE void run(std::size_t cols) noexcept {
        for_each_output([&](std::size_t p, std::size_t t)
                            QUANT_DETAIL_LAMBDA { put(p, t, simd::broadcast(0.0f)); });
        walk_.weights = at::header_bytes;
        if constexpr (whole_rows) {
            lane_grid<S> grid[P];
            set_grids({0, at::offsets_at(0), 0}, grid);
            steps<0>(grid, div_ceil(cols, unit_cols));
        } else {
            groups(cols);
        }
        for_each_output([&](std::size_t p, std::size_t t) QUANT_DETAIL_LAMBDA {
            simd::f32x16 value = get(p, t);
            if constexpr (integer && !scale_per_block) {
                value = simd::rounded_product(value, simd::broadcast(scales_[t]));
            }
            simd::store(out_ + (p * T + t) * panel_rows, value);
        });
    }

private:
    /// Whether a tile that takes panels in turn asks for what it reads soon: as it is called, or as
    /// is known when it is compiled.
    enum class asking { never, always, if_wanted };

    /// Where a group's scales, offsets and super-scales lie in each panel.
    struct group_place {
        std::size_t scales, offsets, supers;
    };

    /// Those of group `g` of the chunk at `chunk`.
    [[nodiscard]] QUANT_DETAIL_INLINE static group_place place_of(std::size_t chunk,
                                                                  std::size_t g) noexcept {
        const std::size_t scales = chunk + at::supers_bytes;
        const std::size_t offsets = scales + at::groups_per_chunk * panel_rows * at::scale_bytes;
        return {scales + g * panel_rows * at::scale_bytes,
                offsets + g * panel_rows * at::offset_bytes,
                chunk + g / S::super_groups * panel_rows * at::lane_super_bytes};
    }

    QUANT_DETAIL_INLINE void groups(std::size_t cols) noexcept {
        constexpr std::size_t group_units = plan::padded_group / unit_cols;
        std::size_t left =
            cols / S::group_cols * group_units + div_ceil(cols % S::group_cols, unit_cols);
        std::size_t chunk = 0, in_chunk = 0;
        const auto next_chunk = [&]() QUANT_DETAIL_LAMBDA {
            chunk = walk_.weights;
            walk_.weights += at::header_bytes;
        };
        if constexpr (walks_whole_chunks) {
            constexpr std::size_t chunk_units = at::groups_per_chunk * group_units;
            const auto walk = [&](auto asks) QUANT_DETAIL_LAMBDA {
                for (; left > chunk_units; left -= chunk_units) {
                    unroll<at::groups_per_chunk>([&](auto g) QUANT_DETAIL_LAMBDA {
                        lane_grid<S> grid[P];
                        set_grids(place_of(chunk, g), grid);
                        step<0, true, asks>(grid, group_units);
                    });
                    if constexpr (asks == asking::always) ask_within_panel<at::header_bytes>();
                    next_chunk();
                }
            };
            if (asks_within_panel_) { // else each superblock would test it
                walk(std::integral_constant<asking, asking::always>{});
            } else {
                walk(std::integral_constant<asking, asking::never>{});
            }
        }
        const auto group = [&](auto parity) QUANT_DETAIL_LAMBDA {
            const std::size_t units = std::min(group_units, left);
            lane_grid<S> grid[P];
            set_grids(place_of(chunk, in_chunk), grid);
            if constexpr (plan::step == S::group_cols) {
                step<parity>(grid, units);
            } else {
                steps<parity>(grid, units);
            }
            left -= units;
            ++in_chunk;
        };
        while (left > 0) {
            group(index_constant<0>{});
            if constexpr (odd) {
                if (left == 0) break;
                group(index_constant<1>{});
            }
            if (in_chunk == at::groups_per_chunk) {
                in_chunk = 0;
                next_chunk();
            }
        }
    }

    QUANT_DETAIL_INLINE void set_grids(group_place group, lane_grid<S> (&grid)[P]) const noexcept {
        QUANT_DETAIL_UNROLLED
        for (std::size_t p = 0; p < P; ++p) {
            grid[p] = {panels_[p] + group.scales, panels_[p] + group.offsets,
                       panels_[p] + group.supers};
        }
    }

    /// The steps of one group of `units` superblocks, or of half superblocks where groups or steps
    /// end in their middle.
    template <std::size_t Parity>
    QUANT_DETAIL_INLINE void steps(const lane_grid<S> (&grid)[P], std::size_t units) noexcept {
        if constexpr (!by_halves) {
            while (units > 0) {
                const std::size_t n = std::min(units, step_units);
                step<0>(grid, n);
                units -= n;
            }
        } else { // steps of 16 columns
            static_assert(step_units == 1);
            for (; units >= 2; units -= 2) {
                step<Parity>(grid, 1);
                step<1 - Parity>(grid, 1);
            }
            if (units == 1) step<Parity>(grid, 1);
        }
    }

    /// Whole: that neither columns nor blocks of activations end before the step does. Asks is for
    /// whole steps.
    template <std::size_t Parity, bool Whole = false, asking Asks = asking::if_wanted>
    QUANT_DETAIL_INLINE void step(const lane_grid<S> (&grid)[P], std::size_t units) noexcept {
        constexpr std::size_t step_blocks = plan::step / plan::block;
        const std::size_t first = walk_.blocks;
        walk_.blocks = Whole ? first + step_blocks : std::min(first + step_blocks, blocks_);
        if constexpr (S::group_cols > core_detail::longest_step) { // whose last step may be short
            const std::size_t columns = units * unit_cols;
            if (columns < plan::step) {
                walk_.blocks = std::min(first + div_ceil(columns, plan::block), blocks_);
            }
        }
        sums_type sums;
        typename sums_type::memory memory;
        if constexpr (integer) {
            sums.template start<sums_fit_16_bits>(sums_ + first * T, sums_ + walk_.blocks * T,
                                                  half_sums_, grid, memory);
        } else {
            sums.start(sums_ + first * T, walk_.blocks - first, grid);
        }
        if constexpr (!by_halves) {
            if constexpr (step_units == 1 || Whole) { // no loop for the compiler to undo
                unroll<step_units>([&](auto) QUANT_DETAIL_LAMBDA { part<0, 8, Asks>(sums); });
            } else if constexpr (twice_instead_of_loop) {
                part<0, 8>(sums);
                if (units == 2) part<0, 8>(sums);
            } else {
                do part<0, 8>(sums);
                while (--units > 0);
            }
        } else {
            if constexpr (Parity == 1) {
                part<4, 8>(sums);
                --units;
            }
            if constexpr (step_units > 1) {
                for (; units >= 2; units -= 2) part<0, 8>(sums);
            }
            if (units == 1) part<0, 4>(sums);
        }
        finish(sums, grid, first, memory);
    }

    /// Quads First … Last − 1 of the superblock at the walk.
    template <std::size_t First, std::size_t Last, asking Asks = asking::if_wanted>
    QUANT_DETAIL_INLINE void part(sums_type& sums) noexcept {
        sums.template add<First, Last>(panels_, walk_.weights,
                                       values_ + walk_.quads * (T * quad_cols * value_bytes),
                                       half_bytes_);
        walk_.quads += Last - First;
        if constexpr (Last == 8) {
            walk_.weights += at::superblock_bytes;
            if constexpr (!takes_panels_in_turn<A, T>) {
                ahead_.template fetch<look_ahead_requests<S, T, P>>();
            } else if constexpr (Asks != asking::never) {
                if (Asks == asking::always || asks_within_panel_) {
                    ask_within_panel<at::superblock_bytes>();
                }
            }
        }
    }

    /// Asks for so many bytes from some way ahead of the walk on. They may lie behind the panel, in
    /// the next one or, with the last one, in memory that is nobody's: nothing is read.
    template <std::size_t Bytes>
    QUANT_DETAIL_INLINE void ask_within_panel() const noexcept {
        static_assert(P == 1);
        const auto from = reinterpret_cast<std::uintptr_t>(panels_[0] + walk_.weights);
        unroll<div_ceil(Bytes, cache_line)>([&](auto line) QUANT_DETAIL_LAMBDA {
            simd::prefetch(
                reinterpret_cast<const void*>(from + ahead_within_panel + line * cache_line));
        });
    }

    QUANT_DETAIL_INLINE void finish(sums_type& sums, const lane_grid<S> (&grid)[P],
                                    std::size_t block,
                                    typename sums_type::memory& memory) noexcept {
        if constexpr (reread_sums) out_ = simd::again(out_);
        simd::f32x16 scales[P], minimums[P];
        QUANT_DETAIL_UNROLLED
        for (std::size_t p = 0; p < P; ++p) {
            scales[p] = grid[p].scale();
            if constexpr (S::has_minimum) minimums[p] = grid[p].minimum();
        }
        if constexpr (integer) sums.template end<sums_fit_16_bits>(grid, memory);
        const float* x_scales = scales_ + (scale_per_block ? block * T : 0);
        float x_total[simd::native_size<float>];
        if constexpr (S::has_minimum) {
            auto totals = sums.activation_totals();
            if constexpr (scale_per_block && T == 1) {
                totals *= x_scales[0];
            } else if constexpr (scale_per_block) {
                totals = totals * simd::native_load<float>(x_scales);
            }
            simd::store_to_broadcast(x_total, totals);
        }
        QUANT_DETAIL_UNROLLED
        for (std::size_t t = 0; t < T; ++t) {
            QUANT_DETAIL_UNROLLED
            for (std::size_t p = 0; p < P; ++p) {
                simd::f32x16 scale = scales[p];
                if constexpr (scale_per_block) scale = scale * simd::broadcast(x_scales[t]);
                simd::f32x16 y = simd::fma(sums.total(p, t), scale, get(p, t));
                if constexpr (S::has_minimum)
                    y = simd::fma(simd::broadcast(x_total[t]), minimums[p], y);
                put(p, t, y);
            }
        }
    }

    /// f(p, t) for all outputs.
    template <class F>
    QUANT_DETAIL_INLINE static void for_each_output(F f) noexcept {
        QUANT_DETAIL_UNROLLED
        for (std::size_t p = 0; p < P; ++p) {
            QUANT_DETAIL_UNROLLED
            for (std::size_t t = 0; t < T; ++t) f(p, t);
        }
    }

    [[nodiscard]] QUANT_DETAIL_INLINE simd::f32x16 get(std::size_t p,
                                                       std::size_t t) const noexcept {
        if constexpr (in_registers) return y_[p][t];
        return simd::load<float>(out_ + (p * T + t) * panel_rows);
    }
    QUANT_DETAIL_INLINE void put(std::size_t p, std::size_t t, const simd::f32x16& y) noexcept {
        if constexpr (in_registers) {
            y_[p][t] = y;
        } else {
            simd::store(out_ + (p * T + t) * panel_rows, y);
        }
    }

    look_ahead ahead_;
    bool asks_within_panel_; ///< of tiles that take panels in turn
    const std::byte* const (&panels_)[P];
    const std::byte* values_;
    std::size_t half_bytes_, half_sums_; ///< from one half of activations to the next
    std::size_t blocks_;
    const stored_sum* sums_;
    const float* scales_;
    float* out_;
    tile_walk walk_;
    simd::f32x16 y_[in_registers ? P : 1][in_registers ? T : 1];
};

/// One function per scheme, activation and tile, not inlined: its registers are its own.
template <quantization_scheme S, activation A, std::size_t T, std::size_t P>
QUANT_DETAIL_OUTLINE void
multiply_tile(const std::byte* const (&panels)[P], std::size_t cols,
              const activation_tile<A, product_plan<S, A>::section, product_plan<S, A>::block>& x,
              float* out, look_ahead ahead) noexcept {
    if constexpr (P == 1) { // a copy of one address, which compilers then keep in a register
        const std::byte* const panel[1] = {panels[0]};
        tile_product<S, A, T, P>(panel, x, out, ahead).run(cols);
    } else {
        tile_product<S, A, T, P>(panels, x, out, ahead).run(cols);
    }
}

/// `count` tiles of one panel, `panel_bytes` apart, one after the other: what does not depend on
/// the panel is computed once for all.
template <quantization_scheme S, activation A, std::size_t T, std::size_t P>
QUANT_DETAIL_OUTLINE void
multiply_tiles(const std::byte* panel, std::size_t panel_bytes, std::size_t count, std::size_t cols,
               const activation_tile<A, product_plan<S, A>::section, product_plan<S, A>::block>& x,
               float* out) noexcept {
    static_assert(P == 1 && look_ahead_requests<S, T, P> == 0);
    const bool asks = simd::asks_within_panels();
    for (std::size_t i = 0; i < count; ++i) {
        const std::byte* const one[1] = {panel + i * panel_bytes};
        tile_product<S, A, T, P>(one, x, out + i * T * panel_rows, {}, asks).run(cols);
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
