// Whole blocks of finite tokens into their tile, as floats or pairs of bf16.
#pragma once

#include <quant/kernel/pack_blocks.hpp>
#include <quant/simd/convert.hpp>
#include <quant/simd/reduce.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace quant::inline QUANT_ABI {
namespace detail {

template <activation A, std::size_t Section, std::size_t Block>
class float_block_packer {
    using tile_type = activation_tile<A, Section, Block, std::byte>;
    using layout = tile_layout<A, Section, Block>;

public:
    static constexpr bool applies = packs_blocks<Section, Block>;

    /// Packs the whole blocks of tokens first … first + tokens.size() − 1 of a tile; returns how
    /// many blocks.
    static std::size_t pack(const tile_type& tile, std::size_t first,
                            std::span<const token_to_pack> tokens) noexcept {
        const std::size_t blocks = tile.at.row.cols / Block;
        float_block_packer packer(tile, first);
        for (std::size_t block = 0; block < blocks; block += chunk_blocks) {
            const std::size_t n = std::min(chunk_blocks, blocks - block);
            for (std::size_t t = 0; t < tokens.size(); ++t) {
                packer.encode(tokens[t], t, block, n);
            }
            packer.place(tokens, block, n);
        }
        return blocks;
    }

private:
    static constexpr std::size_t vectors = Block / 16;
    /// Blocks of a token that are encoded before its tile's other tokens are.
    static constexpr std::size_t chunk_blocks =
        applies ? std::min<std::size_t>(16, 512 / Block) : 1;
    /// Rows of floats need no encoding.
    static constexpr bool stages_rows = !std::is_same_v<A, activations::fp32>;

    float_block_packer(const tile_type& tile, std::size_t first) noexcept
        : tile_(tile), first_(first) {}

    /// Encodes blocks of a token, and writes their sums.
    QUANT_DETAIL_INLINE void encode(const token_to_pack& token, std::size_t row, std::size_t block,
                                    std::size_t n) noexcept {
        const float* x = token.x + block * Block;
        simd::f32x16 sum[16];
        for (std::size_t b = 0; b < n; ++b) {
            sum[b] = simd::broadcast(0.0f); // so that no sum is −0
            unroll<vectors>([&](auto v) QUANT_DETAIL_LAMBDA {
                const std::size_t col = b * Block + 16 * v;
                auto value = simd::load<float>(x + col);
                if constexpr (std::is_same_v<A, activations::bf16>) {
                    value = simd::rounded_to<bf16>(value);
                }
                sum[b] = sum[b] + value;
                if constexpr (stages_rows)
                    store_row(rows_[row] + col * layout::bytes_per_value, value);
            });
        }
        float each[16];
        if (n <= few_reductions) {
            for (std::size_t i = 0; i < n; ++i) each[i] = simd::sum_of_lanes(sum[i]);
        } else {
            for (std::size_t i = n; i < 16; ++i) sum[i] = sum[0];
            const auto add = [](const auto& a, const auto& b) QUANT_DETAIL_LAMBDA { return a + b; };
            simd::store_each(each, simd::reduce_each(sum, add));
        }
        float* sums = tile_.template sums<float>(0, block) + first_ + row;
        for (std::size_t i = 0; i < n; ++i) sums[i * tile_.at.tokens] = each[i];
    }

    QUANT_DETAIL_INLINE static void store_row(std::byte* to, const simd::f32x16& value) noexcept {
        if constexpr (bf16_pairs<A>) { // which it is rounded to
            simd::store_u16(to, simd::shift_right<16>(simd::float_to_bits(value)));
        } else {
            simd::store(to, value);
        }
    }

    /// Lays the rows of all tokens side by side.
    QUANT_DETAIL_INLINE void place(std::span<const token_to_pack> tokens, std::size_t block,
                                   std::size_t n) noexcept {
        constexpr std::size_t block_quads = Block * layout::bytes_per_value / simd::quad_bytes;
        const std::byte* rows[tile_tokens<A>];
        for (std::size_t t = 0; t < tokens.size(); ++t) {
            rows[t] = stages_rows ? rows_[t]
                                  : reinterpret_cast<const std::byte*>(tokens[t].x + block * Block);
        }
        place_rows(tile_, 0, first_, {rows, tokens.size()}, block * block_quads, n * block_quads);
    }

    const tile_type& tile_;
    std::size_t first_; ///< token of the tile
    /// Encoded rows of the tokens.
    alignas(64) std::byte rows_[stages_rows ? tile_tokens<A> : 1]
                               [stages_rows ? chunk_blocks * Block * layout::bytes_per_value : 64];
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
