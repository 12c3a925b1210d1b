// A product's schedule: which panels meet which tiles of activations, in what order, and what
// becomes of the outputs.
//
// Tasks take ranges of panels (and of tokens, see schedule.hpp). Within a task, panels go in blocks
// that stay in the second-level cache while all tokens pass; within a block, a tile of activations
// stays near while the block's panels pass.
#pragma once

#include <quant/core/matrix_view.hpp>
#include <quant/core/run_tasks.hpp>
#include <quant/kernel/multiply_batch.hpp>
#include <quant/kernel/packed_tiles.hpp>
#include <quant/kernel/product_output.hpp>
#include <quant/kernel/schedule.hpp>
#include <quant/kernel/tile.hpp>
#include <quant/kernel/tile_by_quads.hpp>
#include <quant/simd/cores.hpp>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <tuple>
#include <type_traits>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Weights of one block; with the next block and the activations of a tile beside them they fit
/// most second-level caches. Those beside vectors of 64 bytes are larger: four panels of 4096
/// columns of 8 bits go with their scales.
inline constexpr std::size_t panel_block_bytes =
    isa::current::vector_bytes == 64 ? std::size_t{9} << 15 : std::size_t{1} << 18;

/// One tile of T tokens times panels first … last − 1, P at once.
template <quantization_scheme S, activation A, std::size_t T, std::size_t P, class Tile,
          class Output>
void multiply_panels(const Tile& x, std::size_t first_token, const panel_list<S>& w,
                     const Output& out, std::size_t first, std::size_t last,
                     look_ahead_shares& next) noexcept {
    if constexpr (takes_panels_in_turn<A, T>) {
        static_assert(P == 1);
        constexpr std::size_t most = 16; // a kilobyte of sums
        alignas(64) float sums[most * T * panel_rows];
        for (std::size_t panel = first; panel < last; panel += most) {
            const std::size_t count = std::min(most, last - panel);
            multiply_tiles<S, A, T, P>(w.panel(panel), w.panel_bytes(), count, w.cols(), x, sums);
            out.finish_tile(sums, first_token, T, panel, count);
        }
    } else {
        const std::size_t requests = look_ahead_requests<S, T, P> * superblocks(w);
        alignas(64) float sums[P * T * panel_rows];
        for (std::size_t panel = first; panel < last; panel += P) {
            const panel_group<S, P> group(w, panel, last);
            multiply_tile<S, A, T, P>(group.panels, w.cols(), x, sums, next.take(requests, sums));
            out.finish_tile(sums, first_token, T, panel, group.count);
        }
    }
}

/// Panels of a tile of 3 tokens beside tiles of 4, which take three, where blocks are too short for
/// four. Alone it takes four: nine sums are too few to keep two products a cycle busy.
inline constexpr std::size_t panels_beside_tiles_of_four = 3;

/// Panels of which blocks are a multiple, for tiles of two sizes. Groups of each end alike if they
/// can, for what stands in for missing panels is work for nothing. But a block that is too long
/// leaves the second-level cache before all tiles have passed it: measured, twelve panels, of tiles
/// of 4 and 3 tokens, are too long soon, since those of 3 can do without; six of tiles of 5 and 4
/// are worth it longer.
template <activation A>
[[nodiscard]] constexpr std::size_t block_unit(std::size_t larger_tokens,
                                               std::size_t smaller_tokens,
                                               std::size_t panel_bytes) noexcept {
    const std::size_t group = panels_of_tile<A>(larger_tokens);
    const std::size_t other = panels_of_tile<A>(smaller_tokens);
    const std::size_t common = std::lcm(group, other);
    const bool can_do_without = group == panels_beside_tiles_of_four && other == 4;
    const std::size_t most = can_do_without ? panel_block_bytes / 2 * 3 : panel_block_bytes * 5;
    return common * panel_bytes <= most ? common : group;
}

/// All tokens times panels first … last − 1, block by block, by tiles that decode as they go.
template <quantization_scheme S, class X, class Output>
void multiply_blocks(const X& x, const panel_list<S>& w, const Output& out, std::size_t first,
                     std::size_t last) noexcept {
    using A = typename X::activation_type;
    constexpr std::size_t largest = is_integer_activation<A> ? tile_tokens<A> : 1;
    const std::size_t group = panels_of_tile<A>(x.tokens_in(0));
    const std::size_t unit =
        block_unit<A>(x.tokens_in(0), x.tokens_in(x.tiles() - 1), w.panel_bytes());
    const std::size_t fit = panel_block_bytes / w.panel_bytes() / unit * unit;
    std::size_t per_superblock = 0;
    with_constant<largest>(x.tokens_in(0), [&](auto tokens) {
        per_superblock = look_ahead_requests<S, tokens, tile_panels<S, A, tokens>>;
    });
    // A tile alone goes group by group, each of which asks for the next one, if it asks at all.
    const std::size_t block = x.tiles() > 1         ? std::max(fit, unit)
                              : per_superblock == 0 ? last - first
                                                    : group;
    // A tile alone does not ask for what would leave the second-level cache before its turn, nor,
    // unless every tile asks, for 8 bits, of which processors fetch enough by themselves.
    const bool ask = x.tiles() > 1 || ((S::bits < 8 || every_tile_asks) &&
                                       group * w.panel_bytes() <= 2 * panel_block_bytes);
    // Of all tiles in a block.
    const std::size_t requests =
        per_superblock * superblocks(w) * x.tiles() * div_ceil(block, group);
    for (std::size_t panel = first; panel < last; panel += block) {
        const std::size_t end = std::min(panel + block, last);
        const std::size_t next_panels = ask ? std::min(end + block, last) - end : 0;
        look_ahead_shares next(w.panel(end), next_panels * w.panel_bytes(), requests);
        for (std::size_t i = 0; i < x.tiles(); ++i) {
            const auto tile = x.tile(i);
            with_constant<largest>(tile.at.tokens, [&](auto tokens) {
                constexpr std::size_t own = tile_panels<S, A, tokens>;
                if constexpr (tokens == 3 && own == 4) {
                    constexpr std::size_t fewer = panels_beside_tiles_of_four;
                    if (unit == fewer) {
                        multiply_panels<S, A, tokens, fewer>(tile, x.first_token(i), w, out, panel,
                                                             end, next);
                        return;
                    }
                }
                multiply_panels<S, A, tokens, own>(tile, x.first_token(i), w, out, panel, end,
                                                   next);
            });
        }
    }
}

/// Whether operands are made ahead of the products.
template <quantization_scheme S, class X>
[[nodiscard]] bool makes_operands_ahead(const X& x) noexcept {
    using A = typename X::activation_type;
    if constexpr (least_tiles_ahead<S, A> != 0) {
        if (shape_of<S, A>.whole_rows && x.cols() > product_plan<S, A>::step) return false;
        const std::size_t least = least_tiles_ahead_here<S, A>();
        return least != 0 && x.tiles() >= least &&
               x.tokens_in(x.tiles() - 1) >= least_stretch_tokens<A>;
    }
    return false;
}

/// All tokens, which lie in rows, times panels first … last − 1.
template <quantization_scheme S, class X, class Output>
void multiply_by_amx(const X& x, const panel_list<S>& w, const Output& out, std::size_t first,
                     std::size_t last) noexcept {
    using A = typename X::activation_type;
    // Batches of one size: a small one would make operands for few.
    const std::size_t most = amx_batch_blocks / amx_blocks_per_tile<S, A>(x.cols());
    const std::size_t batch = div_ceil(x.tiles(), div_ceil(x.tiles(), most));
    const auto multiply_batches = [&](auto in_place) {
        for (std::size_t tile = 0; tile < x.tiles(); tile += batch) {
            const std::size_t tiles_end = std::min(tile + batch, x.tiles());
            for (std::size_t panel = first; panel < last; panel += stretch_panels) {
                multiply_amx_batch<S, in_place>(x, tile, tiles_end, w, out, panel, last);
            }
        }
    };
    if constexpr (least_tiles_for_levels<S, A> != 0) {
        if (batch >= least_tiles_for_levels<S, A>) { // which share what is made
            multiply_batches(std::false_type{});
            return;
        }
    }
    multiply_batches(std::bool_constant<operands_in_place<S>>{});
}

/// All tokens times panels first … last − 1.
template <quantization_scheme S, class X, class Output>
void multiply_range(const X& x, const panel_list<S>& w, const Output& out, std::size_t first,
                    std::size_t last) noexcept {
    using A = typename X::activation_type;
    if constexpr (takes_rows<A, X::section, X::block>) {
        if (x.in_rows()) return multiply_by_amx<S>(x, w, out, first, last);
    }
    if constexpr (QUANT_DETAIL_SCALAR || !product_plan<S, A>::by_superblocks) {
        alignas(64) float sums[panel_rows];
        for (std::size_t panel = first; panel < last; ++panel) {
            const panel_group<S, 1> group(w, panel, last);
            for (std::size_t i = 0; i < x.tiles(); ++i) {
                const auto tile = x.tile(i);
                for (std::size_t t = 0; t < tile.at.tokens; ++t) {
                    multiply_by_quads<S, A>(group.panels[0], w.cols(), tile, t, sums);
                    out.finish_tile(sums, x.first_token(i) + t, 1, panel, 1);
                }
            }
        }
    } else if (!is_integer_activation<A> && x.rows() > 1) {
        if constexpr (!is_integer_activation<A>) {
            constexpr std::size_t batch = float_batch_tiles<S, A>;
            for (std::size_t tile = 0; tile < x.tiles(); tile += batch) {
                const std::size_t tiles_end = std::min(tile + batch, x.tiles());
                for (std::size_t panel = first; panel < last; panel += float_panels) {
                    multiply_float_batch<S, A>(x, tile, tiles_end, w, out, panel, last);
                }
            }
        }
    } else if (makes_operands_ahead<S>(x)) {
        if constexpr (least_tiles_ahead<S, A> != 0) {
            // Batches of one size: a small one would make operands for few.
            constexpr std::size_t most = stretch_tiles<shape_of<S, A>>;
            const std::size_t batch = div_ceil(x.tiles(), div_ceil(x.tiles(), most));
            // Half a group of panels and less is better served by tiles, which take two.
            const std::size_t rest = (last - first) % stretch_panels;
            const std::size_t whole = last - (rest <= stretch_panels / 2 ? rest : 0);
            for (std::size_t tile = 0; tile < x.tiles(); tile += batch) {
                const std::size_t tiles_end = std::min(tile + batch, x.tiles());
                for (std::size_t panel = first; panel < whole; panel += stretch_panels) {
                    multiply_integer_batch<S>(x, tile, tiles_end, w, out, panel, last);
                }
            }
            if (whole < last) multiply_blocks<S>(x, w, out, whole, last);
        }
    } else {
        multiply_blocks<S>(x, w, out, first, last);
    }
}

/// Pieces first … last − 1 of a product.
template <quantization_scheme S, class X, class Output>
void multiply_pieces(const X& x, const packed_view<S>& w, const Output& out,
                     const product_pieces& pieces, std::size_t first, std::size_t last) noexcept {
    const panel_list<S> panels(w);
    pieces.for_each(
        first, last,
        [&](std::size_t tile, std::size_t tiles_end, std::size_t panel, std::size_t panels_end) {
            multiply_range(x.slice(tile, tiles_end), panels, out, panel, panels_end);
        });
}

/// All tokens, as packed_tiles, times all panels.
template <quantization_scheme S, class X, class Y, class... Stages>
[[nodiscard]] result<void> multiply(const X& x, packed_view<S> w, matrix_view<Y> y,
                                    const executor_ref& run,
                                    const std::tuple<const Stages&...>& stages) noexcept {
    const std::size_t concurrency = run.concurrency();
    const product_pieces pieces(div_ceil(w.rows(), panel_rows), x.tiles(), concurrency);
    const work_share work = pieces.work(w.cols(), x.rows(), 0);
    const std::size_t tasks = product_tasks(work.after(), work.pieces, concurrency);
    const work_list list{{&work, 1}};
    const product_output<Y, Stages...> out{y, stages};
    const auto multiply_share = [&](std::size_t index) noexcept {
        list.for_each(index, tasks, [&](std::size_t, std::size_t first, std::size_t last) {
            multiply_pieces(x, w, out, pieces, first, last);
        });
    };
    return run_tasks(run, tasks, multiply_share, "matmul");
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
