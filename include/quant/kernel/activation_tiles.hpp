// Tiles of packed activations: where the numbers of up to tile_tokens tokens lie.
//
// The tokens of a tile lie side by side, quad by quad, so that a product reads one stream. Per
// tile, each part on a 64-byte boundary:
//
//   integer A   codes   [halves][quads][T][4] int8, or in rows [halves][quads / 16][T][64]
//               sums    [halves][blocks + 1][T] int32, running sums before each block
//               scales  [blocks][T] float, or [1][T] per token
//               widened [halves][quads · T / 4][2][4][2] int16: the codes again, for 8-bit weights
//                       on instruction sets that multiply those so (see simd/widened_quads.hpp)
//   float A     values  [quads · 4][T] float, or [quads · 2][T][2] bf16 (see bf16_pairs)
//               sums    [blocks][T] float, each block's own sum
//
// Quads are padded with zeros to whole superblocks, as the weights are; in rows to two of them.
//
// Tiles in rows are AMX's. They have more tokens than other tiles can have, which is how they are
// told from them.
#pragma once

#include <quant/kernel/plan.hpp>
#include <quant/pack/layout.hpp>
#include <quant/simd/amx.hpp>
#include <quant/simd/isa.hpp>
#include <quant/simd/widened_quads.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Tokens of a full tile: as many as the accumulators of two panels (of one, with fewer or
/// narrower registers) leave room for.
template <activation A>
inline constexpr std::size_t tile_tokens = [] {
    if (QUANT_DETAIL_SCALAR) return std::size_t{2};
    const bool large = isa::current::vector_bytes == 64;
    if constexpr (is_integer_activation<A>) {
        if (A::halves == 2) return std::size_t{large ? 3u : 2u};
    }
    if (large) return std::size_t{6};
    return std::size_t{isa::current::registers == 32 || isa::current::vector_bytes == 32 ? 4u : 2u};
}();

/// Whether tiles of many tokens lie in rows, if the CPU has AMX: where all steps are whole
/// superblocks, whatever the scheme.
template <activation A, std::size_t Section, std::size_t Block>
inline constexpr bool takes_rows = simd::amx::compiled && is_integer_activation<A> &&
                                   Section == all && Block % superblock_cols == 0;

/// How many tokens a tile must have to lie in rows: alone, and beside others, with which it shares
/// operands. What AMX takes for each step costs the same for few tokens as for many, nearly, so
/// that short steps need fuller tiles, the more the more is done at their end. Measured.
struct rows_rule {
    static constexpr std::size_t never = simd::amx::register_rows + 1;
    std::size_t alone, beside_others;

    [[nodiscard]] constexpr bool holds(std::size_t tokens) const noexcept {
        if (tokens <= simd::amx::register_rows) return tokens >= alone;
        return tokens / div_ceil(tokens, simd::amx::register_rows) >= beside_others;
    }
};

/// For products with weights of scheme S. Minimums are a multiply-add more for each output; zero
/// points of 8-bit codes, which leave signed bytes no room, a product of integers.
template <activation A, quantization_scheme S>
inline constexpr rows_rule rows_rule_of = [] {
    constexpr rows_rule always{7, 7}, seldom{rows_rule::never, 15};
    if (product_plan<S, A>::step > superblock_cols) return always;
    if (S::has_minimum) return seldom;
    if (S::has_zero_point)
        return S::bits == 8 ? rows_rule{rows_rule::never, rows_rule::never} : rows_rule{16, 11};
    return rows_rule{14, 10};
}();
/// For products with weights that are not known yet, whose steps may be short if activations have
/// one scale per token, or per 32 columns.
template <activation A>
inline constexpr rows_rule common_rows_rule =
    activation_group<A>() == all || activation_group<A>() <= superblock_cols
        ? rows_rule{rows_rule::never, 15}
        : rows_rule{7, 7};

/// Tokens of a tile, at most.
template <activation A, std::size_t Section, std::size_t Block>
inline constexpr std::size_t most_tile_tokens =
    takes_rows<A, Section, Block> ? simd::amx::register_rows : tile_tokens<A>;

/// Whether A's numbers are kept as pairs of bf16 for the instruction set's bf16 dot product.
template <activation A>
inline constexpr bool bf16_pairs =
    std::is_same_v<A, activations::bf16> && isa::current::bf16_dot_product;

/// How n tokens are cut into tiles: as few as can be, of sizes that differ by one at most, so that
/// no product ends in a tile much smaller than the others.
struct tile_split {
    std::size_t tokens = 0;
    std::size_t tiles = 0;

    tile_split() noexcept = default;
    tile_split(std::size_t n, std::size_t largest) noexcept
        : tokens(n), tiles(div_ceil(n, largest)) {}

    [[nodiscard]] std::size_t smaller() const noexcept { return tokens / tiles; }
    /// Tiles of one token more; they come first.
    [[nodiscard]] std::size_t larger_tiles() const noexcept { return tokens % tiles; }

    [[nodiscard]] std::size_t tokens_in(std::size_t tile) const noexcept {
        return smaller() + (tile < larger_tiles() ? 1 : 0);
    }
    [[nodiscard]] std::size_t first_token(std::size_t tile) const noexcept {
        return tile * smaller() + std::min(tile, larger_tiles());
    }
};

/// Sums and scales are read by whole registers, which may reach behind the last tile's.
inline constexpr std::size_t over_read_bytes = 64;

/// Positions within one tile.
template <activation A, std::size_t Section, std::size_t Block>
struct tile_layout {
    activation_layout<Section, Block> row;
    std::size_t tokens = 1;

    static constexpr bool integer = is_integer_activation<A>;
    static constexpr bool scale_per_block = integer && activation_group<A>() != all;
    static constexpr std::size_t halves = [] {
        if constexpr (integer) return static_cast<std::size_t>(A::halves);
        return std::size_t{1};
    }();
    /// Whether codes are there widened, too.
    static constexpr bool widened = integer && simd::widens_quads<8>;
    static constexpr std::size_t bytes_per_value = integer ? 1 : bf16_pairs<A> ? 2 : 4;
    /// Quads of a token that lie side by side in rows.
    static constexpr std::size_t row_quads = simd::amx::row_bytes / 4;

    /// Whether codes lie in rows.
    [[nodiscard]] bool in_rows() const noexcept {
        return takes_rows<A, Section, Block> && tokens > tile_tokens<A>;
    }
    [[nodiscard]] std::size_t half_bytes() const noexcept {
        const std::size_t quads = in_rows() ? round_up(row.quads(), row_quads) : row.quads();
        return quads * tokens * 4 * bytes_per_value;
    }
    /// From a half's start to the codes of one token in a quad.
    [[nodiscard]] std::size_t codes_at(std::size_t quad, std::size_t token) const noexcept {
        if (in_rows()) {
            return (quad / row_quads * tokens + token) * row_quads * 4 + quad % row_quads * 4;
        }
        return (quad * tokens + token) * 4;
    }
    [[nodiscard]] std::size_t values_bytes() const noexcept {
        return round_up(halves * half_bytes(), 64);
    }
    [[nodiscard]] std::size_t sums_per_half() const noexcept {
        return (row.blocks() + (integer ? 1 : 0)) * tokens;
    }
    [[nodiscard]] std::size_t sums_bytes() const noexcept {
        return round_up(halves * sums_per_half() * 4, 64);
    }
    [[nodiscard]] std::size_t scales_bytes() const noexcept {
        return integer ? round_up((scale_per_block ? row.blocks() : 1) * tokens * 4, 64) : 0;
    }
    [[nodiscard]] std::size_t bytes() const noexcept {
        return widened_at() + (widened ? 2 * values_bytes() : 0);
    }
    [[nodiscard]] std::size_t widened_at() const noexcept {
        return values_bytes() + sums_bytes() + scales_bytes();
    }
};

/// One tile in memory; Byte is const for products, mutable while it is packed.
template <activation A, std::size_t Section, std::size_t Block, class Byte = const std::byte>
struct activation_tile {
    tile_layout<A, Section, Block> at;
    Byte* base = nullptr;

    template <class T>
    using part = std::conditional_t<std::is_const_v<Byte>, const T, T>;

    [[nodiscard]] part<std::int8_t>* codes(std::size_t half, std::size_t quad,
                                           std::size_t token) const noexcept {
        return reinterpret_cast<part<std::int8_t>*>(base) + half * at.half_bytes() +
               at.codes_at(quad, token);
    }
    /// The codes, widened.
    [[nodiscard]] Byte* widened(std::size_t half) const noexcept {
        return base + at.widened_at() + half * 2 * at.half_bytes();
    }
    /// float or bf16 values, as bf16_pairs<A> says.
    template <class T>
    [[nodiscard]] part<T>* values(std::size_t quad) const noexcept {
        return reinterpret_cast<part<T>*>(base) + quad * 4 * at.tokens;
    }
    /// Running integer sums before a block, or float sums of a block; one per token.
    template <class T>
    [[nodiscard]] part<T>* sums(std::size_t half, std::size_t block) const noexcept {
        return reinterpret_cast<part<T>*>(base + at.values_bytes()) + half * at.sums_per_half() +
               block * at.tokens;
    }
    [[nodiscard]] part<float>* scales(std::size_t block) const noexcept {
        return reinterpret_cast<part<float>*>(base + at.values_bytes() + at.sums_bytes()) +
               (at.scale_per_block ? block : 0) * at.tokens;
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
