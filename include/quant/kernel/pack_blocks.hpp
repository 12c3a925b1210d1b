// What packers of blocks have in common: the usual layouts, where blocks simply cut the row and
// have a scale of their own or the token's. Some hundred columns of all tokens are encoded row by
// row; then their quads are laid side by side. Integers are packed to the end of the row so, floats
// as far as blocks are whole. pack_token.hpp has all other cases, and the same numbers.
#pragma once

#include <quant/kernel/activation_tiles.hpp>
#include <quant/simd/interleave.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace quant::inline QUANT_ABI {
namespace detail {

/// What is known of a token before its blocks are packed, and the sums so far.
struct token_to_pack {
    const float* x;
    bool finite;
    float scale; ///< of activations with one scale per token
    /// Σ x̂ before the next block; may wrap over very long rows, differences within a step do not.
    std::uint32_t running[2];
};

/// Layouts whose blocks are whole registers and do not straddle the rows that are encoded at once.
template <std::size_t Section, std::size_t Block>
inline constexpr bool packs_blocks =
    Section == all && (Block == 16 || Block == 32 || Block == 64 || Block == 128);

/// Reductions that are done one by one: sixteen at once cost as much as five alone.
inline constexpr std::size_t few_reductions = 4;

/// Lays `quads` quads of the rows of tokens first, first + 1, … of a tile side by side, from quad
/// number `quad` of a half on.
template <activation A, std::size_t Section, std::size_t Block>
QUANT_DETAIL_INLINE void place_rows(const activation_tile<A, Section, Block, std::byte>& tile,
                                    std::size_t half, std::size_t first,
                                    std::span<const std::byte* const> rows, std::size_t quad,
                                    std::size_t quads) noexcept {
    const std::size_t all_tokens = tile.at.tokens;
    std::byte* to = tile.base + half * tile.at.half_bytes() + quad * all_tokens * simd::quad_bytes;
    if (rows.size() == all_tokens) {
        with_constant<tile_tokens<A>>(all_tokens, [&](auto count) QUANT_DETAIL_LAMBDA {
            const std::byte* each[count];
            for (std::size_t t = 0; t < count; ++t) each[t] = rows[t];
            simd::interleave_rows<count>(each, quads, to);
        });
    } else {
        for (std::size_t t = 0; t < rows.size(); ++t) {
            simd::spread_row(rows[t], quads, all_tokens, to + (first + t) * simd::quad_bytes);
        }
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
