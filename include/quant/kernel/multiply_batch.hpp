// Batches of tiles times one group of panels, whose codes are decoded once for all of them.
#pragma once

#include <quant/kernel/amx_panels.hpp>
#include <quant/kernel/float_panels.hpp>
#include <quant/kernel/operand_panels.hpp>
#include <quant/kernel/product_output.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Tiles first_tile … last_tile − 1 of float activations times the panels of one group, decoded
/// once.
template <quantization_scheme S, activation A, class X, class Output>
void multiply_float_batch(const X& x, std::size_t first_tile, std::size_t last_tile,
                          const panel_list<S>& w, const Output& out, std::size_t panel,
                          std::size_t last) noexcept {
    constexpr std::size_t P = float_panels, largest = tile_tokens<A>;
    constexpr std::size_t tile_sums = largest * P * panel_rows;
    constexpr bool long_steps = has_long_steps<S, A>;
    alignas(64) float sums[float_batch_tiles<S, A> * tile_sums];
    alignas(64) float chains[long_steps ? float_batch_tiles<S, A> * tile_sums : 1];
    std::fill_n(sums, (last_tile - first_tile) * tile_sums, 0.0f);
    const bool parts = simd::parts_float_panels();
    const panel_group<S, P> group(w, panel, last);
    for_each_stretch<S, A>(group.panels, x.tile(0).at.row, [&](const auto& stretch) {
        for (std::size_t i = first_tile; i < last_tile; ++i) {
            const auto tile = x.tile(i);
            const auto after = x.tile(std::min(i + 1, last_tile - 1));
            const auto next = after.at.tokens == tile.at.tokens ? after : tile;
            float* tile_sum = sums + (i - first_tile) * tile_sums;
            float* chain = chains + (long_steps ? (i - first_tile) * tile_sums : 0);
            with_constant<largest>(tile.at.tokens, [&](auto tokens) {
                for_each_part<P, !long_steps>(parts, [&](auto panels, auto from) {
                    multiply_stretch<A, long_steps, S::has_minimum, tokens, panels, from>(
                        stretch, tile.base, next.base, tile.template sums<float>(0, 0), tile_sum,
                        chain);
                });
            });
        }
    });
    for (std::size_t i = first_tile; i < last_tile; ++i) {
        out.finish_tile(sums + (i - first_tile) * tile_sums, x.first_token(i), x.tokens_in(i),
                        panel, group.count);
    }
}

/// Tiles first_tile … last_tile − 1 of integer activations, stretch_tiles at most, for which
/// makes_operands_ahead, times the panels of one group, whose operands are made once.
template <quantization_scheme S, class X, class Output>
void multiply_integer_batch(const X& x, std::size_t first_tile, std::size_t last_tile,
                            const panel_list<S>& w, const Output& out, std::size_t panel,
                            std::size_t last) noexcept {
    using A = typename X::activation_type;
    constexpr stretch_shape shape = shape_of<S, A>;
    constexpr std::size_t P = stretch_panels, largest = tile_tokens<A>;
    constexpr std::size_t tile_outputs = largest * P * panel_rows;
    constexpr std::size_t tile_sums = static_cast<std::size_t>(A::halves) * tile_outputs;
    constexpr bool both = shape.cut_steps && !shape.whole_rows; // outputs, and sums beside them
    constexpr std::size_t tiles = stretch_tiles<shape>;
    alignas(64) float outputs[tiles * (shape.whole_rows ? tile_sums : tile_outputs)];
    alignas(64) std::int32_t cut_sums[both ? tiles * tile_sums : 1];
    stretch_tile batch[tiles];
    const std::size_t count = last_tile - first_tile;
    for (std::size_t i = 0; i < count; ++i) {
        const auto tile = x.tile(first_tile + i);
        const bool alike = i + 1 < count && x.tokens_in(first_tile + i + 1) == tile.at.tokens;
        float* at = outputs + i * (shape.whole_rows ? tile_sums : tile_outputs);
        batch[i] = {.codes = tile.base,
                    .next_codes = alike ? tile.base + tile.at.bytes() : tile.base,
                    .half_bytes = tile.at.half_bytes(),
                    .sums = tile.template sums<std::int32_t>(0, 0),
                    .sums_per_half = tile.at.sums_per_half(),
                    .scales = tile.scales(0),
                    .outputs = at,
                    .cut_sums =
                        both ? cut_sums + i * tile_sums : reinterpret_cast<std::int32_t*>(at)};
    }
    if constexpr (!shape.whole_rows) std::fill_n(outputs, count * tile_outputs, 0.0f);
    const bool parts = simd::on_amd_cores();
    const panel_group<S, P> group(w, panel, last);
    const panel_group<S, P> next_group(w, std::min(panel + P, last - 1), last);
    operand_stretches<S, A, dot_product_operand<S>> stretches(group.panels, next_group.panels, P,
                                                              w.panel_bytes());
    stretches.for_each(x.tile(first_tile).at.row, [&](const dot_product_stretch& stretch) {
        for (std::size_t i = 0; i < count; ++i) {
            // The first tiles ask for what is read next, a panel each.
            const look_ahead weights =
                i < P ? stretch.next[i]
                      : look_ahead{reinterpret_cast<const std::byte*>(outputs), 0};
            with_constant<largest>(x.tokens_in(first_tile + i), [&](auto tokens) {
                if constexpr (tokens >= least_stretch_tokens<A>) {
                    constexpr bool may_part =
                        least_tiles_ahead_on_amd<S, A> != 0 && !shape.cut_steps;
                    for_each_part<P, may_part>(parts, [&](auto panels, auto from) {
                        multiply_operands<A, shape, tokens, panels, from>(stretch, batch[i],
                                                                          weights);
                    });
                }
            });
        }
    });
    for (std::size_t i = 0; i < count; ++i) {
        out.finish_tile(batch[i].outputs, x.first_token(first_tile + i),
                        x.tokens_in(first_tile + i), panel, group.count,
                        shape.scale_per_block ? nullptr : batch[i].scales);
    }
}

/// Tiles first_tile … last_tile − 1 in rows times the panels of one group, by AMX; no more of them
/// than amx_batch_blocks have room for. InPlace: see amx_operand.
template <quantization_scheme S, bool InPlace, class X, class Output>
void multiply_amx_batch(const X& x, std::size_t first_tile, std::size_t last_tile,
                        const panel_list<S>& w, const Output& out, std::size_t panel,
                        std::size_t last) noexcept {
    using A = typename X::activation_type;
    constexpr amx_shape shape = amx_shape_of<S, A, InPlace>;
    constexpr std::size_t P = stretch_panels, tile_outputs = P * amx_lanes;
    const std::size_t each = amx_blocks_per_tile<S, A>(x.cols());
    alignas(64) float memory[amx_batch_blocks * tile_outputs];
    amx_tile batch[amx_batch_blocks];
    const std::size_t count = last_tile - first_tile;
    for (std::size_t i = 0; i < count; ++i) {
        const auto tile = x.tile(first_tile + i);
        float* const outputs = memory + i * each * tile_outputs;
        float* const sums = each == 1 ? outputs : outputs + tile_outputs;
        batch[i] = {.codes = tile.base,
                    .half_bytes = tile.at.half_bytes(),
                    .tokens = tile.at.tokens,
                    .sums = tile.template sums<std::int32_t>(0, 0),
                    .sums_per_half = tile.at.sums_per_half(),
                    .scales = tile.scales(0),
                    .outputs = outputs,
                    .cut_sums = reinterpret_cast<std::int32_t*>(sums),
                    .sums_become_outputs = shape.cut_steps && each == 1};
    }
    std::fill_n(memory, count * each * tile_outputs, 0.0f);
    const panel_group<S, P> group(w, panel, last);
    const panel_group<S, P> next_group(w, std::min(panel + P, last - 1), last);
    operand_stretches<S, A, amx_operand<S, InPlace>> stretches(group.panels, next_group.panels,
                                                               group.count, w.panel_bytes());
    {
        // Not longer: stages of an epilogue may be anybody's. Smaller tiles take a token more,
        // which is nobody's, since to say otherwise takes longer; what is read for it are numbers
        // of the same tile.
        const simd::amx::registers_in_use registers(x.tokens_in(0));
        stretches.for_each(x.tile(first_tile).at.row, [&](const amx_stretch& stretch) {
            for (std::size_t i = 0; i < count; ++i) {
                multiply_amx<A, shape>(stretch, group.count, batch[i], i, count);
            }
        });
    }
    for (std::size_t i = 0; i < count; ++i) {
        out.finish_tile(batch[i].outputs, x.first_token(first_tile + i), batch[i].tokens, panel,
                        group.count, shape.scale_per_block ? nullptr : batch[i].scales,
                        simd::amx::register_rows);
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
