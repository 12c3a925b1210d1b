// Tokens into their tile: quantized (or rounded) and spread over the tile's quads.
#pragma once

#include <quant/kernel/pack_float_blocks.hpp>
#include <quant/kernel/pack_integer_blocks.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Copies 16 codes, as bytes, to four quads of a token, `stride` bytes apart; `to` is the first
/// one's place.
QUANT_DETAIL_INLINE void spread_quads(const simd::i32x16& codes, std::size_t stride,
                                      std::int8_t* to, std::size_t quads) noexcept {
    std::int8_t bytes[16];
    simd::store_u8(bytes, codes);
    if (quads == 4) {
        unroll<4>([&](auto q)
                      QUANT_DETAIL_LAMBDA { std::memcpy(to + q * stride, bytes + q * 4, 4); });
    } else {
        for (std::size_t q = 0; q < quads; ++q) std::memcpy(to + q * stride, bytes + q * 4, 4);
    }
}

/// Writes one block's codes of one token; returns their sums, per half.
template <activation A, std::size_t Section, std::size_t Block>
QUANT_DETAIL_INLINE void
pack_integer_block(const activation_tile<A, Section, Block, std::byte>& tile, std::size_t token,
                   const float* x, std::size_t n, float scale, std::size_t quad, std::size_t byte,
                   std::int32_t (&sums)[2]) noexcept {
    // Rows hold a block's quads: their first one's number is a multiple of 8.
    const std::size_t stride = tile.at.in_rows() ? 4 : tile.at.tokens * 4;
    const auto inverse = simd::broadcast(inverse_scale(scale));
    simd::i32x16 low_sum = simd::broadcast<std::int32_t>(0), high_sum = low_sum;
    for (std::size_t i = 0; i < n; i += 16) {
        const std::size_t count = std::min<std::size_t>(16, n - i);
        const simd::i32x16 codes = encode_activations<A>(x + i, count, inverse);
        const auto spread = [&](std::size_t half, const simd::i32x16& part) QUANT_DETAIL_LAMBDA {
            std::int8_t* to = tile.codes(half, quad + i / 4, token);
            if constexpr (Block < 4) {
                // Few columns within a quad that is zero elsewhere.
                std::int8_t bytes[16];
                simd::store_u8(bytes, part);
                std::memcpy(to + byte, bytes, count);
            } else {
                spread_quads(part, stride, to, div_ceil(count, 4));
            }
        };
        simd::i32x16 low = codes;
        if constexpr (A::halves == 2) {
            const code_halves split(codes);
            low = split.low;
            high_sum = high_sum + split.high;
            spread(1, split.high);
        }
        low_sum = low_sum + low;
        spread(0, low);
    }
    sums[0] = simd::reduce_add(low_sum);
    sums[1] = A::halves == 2 ? simd::reduce_add(high_sum) : 0;
}

/// Packs a token's blocks as integers, one by one. A token with a number that is not finite gets
/// NaN scales.
template <activation A, std::size_t Section, std::size_t Block>
void pack_integer_token(const activation_tile<A, Section, Block, std::byte>& tile,
                        std::size_t place, token_to_pack token, float fixed) noexcept {
    const std::size_t cols = tile.at.row.cols;
    tile.at.row.for_each_block(0, [&](std::size_t block, std::size_t c, std::size_t n,
                                      std::size_t quad, std::size_t byte) QUANT_DETAIL_LAMBDA {
        if constexpr (tile_layout<A, Section, Block>::scale_per_block) {
            // Several blocks may share an activation group: each gets the group's scale.
            constexpr std::size_t size = activation_group<A>();
            const std::size_t first = c / size * size;
            const std::size_t count = std::min(size, cols - first);
            token.scale = fixed;
            if (fixed == 0) {
                token.scale = activation_scale<A>(largest_magnitude(token.x + first, count));
            }
            tile.scales(block)[place] =
                token.finite ? token.scale : std::numeric_limits<float>::quiet_NaN();
        }
        std::int32_t sums[2] = {};
        if (token.finite) {
            pack_integer_block(tile, place, token.x + c, n, token.scale, quad, byte, sums);
        }
        for (std::size_t h = 0; h < tile.at.halves; ++h) {
            token.running[h] += static_cast<std::uint32_t>(sums[h]);
            tile.template sums<std::int32_t>(h, block + 1)[place] =
                static_cast<std::int32_t>(token.running[h]);
        }
    });
}

/// Finds whether tokens are finite, true if all are, and what their scales are if each has one.
template <activation A>
bool find_token_scales(std::span<token_to_pack> tokens, std::size_t cols, float fixed) noexcept {
    static_assert(std::max(simd::amx::register_rows, tile_tokens<A>) <= scales_of_lots::most);
    scales_of_lots lots;
    for (std::size_t t = 0; t < tokens.size(); ++t) {
        lots.magnitudes[t] = largest_magnitudes(tokens[t].x, cols);
    }
    const bool finite = lots.template find<A>(tokens.size());
    for (std::size_t t = 0; t < tokens.size(); ++t) {
        tokens[t].scale = fixed != 0 ? fixed : lots.scale[t];
        tokens[t].finite = finite || std::isfinite(lots.largest[t]);
    }
    return finite;
}

/// Packs tokens `first` … of a tile as integers, with a fixed scale unless that is 0. x: their
/// rows.
template <activation A, std::size_t Section, std::size_t Block>
void pack_integer_tokens(const activation_tile<A, Section, Block, std::byte>& tile,
                         std::size_t first, std::span<const float* const> x,
                         float fixed = 0) noexcept {
    using packer = integer_block_packer<A, Section, Block>;
    const std::size_t cols = tile.at.row.cols;
    token_to_pack tokens[most_tile_tokens<A, Section, Block>];
    const std::span<token_to_pack> all_tokens(tokens, x.size());
    for (std::size_t t = 0; t < x.size(); ++t) {
        tokens[t] = {x[t], true, 0, {0, 0}};
        for (std::size_t h = 0; h < tile.at.halves; ++h) {
            tile.template sums<std::int32_t>(h, 0)[first + t] = 0;
        }
    }
    if constexpr (packer::own_scale) {
        if (fixed == 0 && packer::pack(tile, first, all_tokens)) return;
    }
    const bool finite = find_token_scales<A>(all_tokens, cols, fixed);
    for (std::size_t t = 0; t < x.size(); ++t) {
        tile.scales(0)[first + t] =
            tokens[t].finite ? tokens[t].scale : std::numeric_limits<float>::quiet_NaN();
    }
    if constexpr (packer::applies && !packer::own_scale) {
        if (finite) {
            packer::pack(tile, first, all_tokens);
            return;
        }
    }
    for (std::size_t t = 0; t < x.size(); ++t) {
        tokens[t].running[0] = tokens[t].running[1] = 0; // a packer may have begun
        pack_integer_token(tile, first + t, tokens[t], fixed);
    }
}

/// Writes the first n ≤ 16 numbers to a token's columns from `col` of a quad on, `tokens` tokens
/// side by side; `quad` is the place of the token's first number or pair there.
template <activation A>
QUANT_DETAIL_INLINE void spread_floats(const simd::f32x16& value, std::size_t tokens,
                                       std::byte* quad, std::size_t col, std::size_t n) noexcept {
    if constexpr (bf16_pairs<A>) {
        std::uint16_t narrow[16];
        simd::store_from_float<bf16>(static_cast<void*>(narrow), value);
        if (col % 2 == 0 && n % 2 == 0) {
            for (std::size_t k = 0; k < n; k += 2) {
                std::memcpy(quad + (col + k) * tokens * 2, narrow + k, 4);
            }
        } else {
            for (std::size_t k = 0; k < n; ++k) {
                const std::size_t at = col + k;
                std::memcpy(quad + at / 2 * tokens * 4 + at % 2 * 2, narrow + k, 2);
            }
        }
    } else {
        float wide[16];
        simd::store(wide, value);
        for (std::size_t k = 0; k < n; ++k) {
            std::memcpy(quad + (col + k) * tokens * 4, wide + k, 4);
        }
    }
}

/// Packs the blocks of a token from number `packed` on as floats or pairs of bf16. A token with a
/// number that is not finite becomes all NaN. A block's sum is that of sixteen sums, of every
/// sixteenth number each.
template <activation A, std::size_t Section, std::size_t Block>
void pack_float_rest(const activation_tile<A, Section, Block, std::byte>& tile, std::size_t place,
                     const token_to_pack& token, std::size_t packed) noexcept {
    const std::size_t tokens = tile.at.tokens;
    const auto nan = simd::broadcast(std::numeric_limits<float>::quiet_NaN());
    tile.at.row.for_each_block(packed, [&](std::size_t block, std::size_t c, std::size_t n,
                                           std::size_t quad, std::size_t byte) {
        std::byte* to = tile.base + quad * tokens * 4 * tile.at.bytes_per_value + place * 4;
        simd::f32x16 sum = simd::broadcast(0.0f);
        for (std::size_t i = 0; i < n; i += 16) {
            const std::size_t count = std::min<std::size_t>(16, n - i);
            simd::f32x16 value = nan;
            if (token.finite) {
                value = count == 16 ? simd::load<float>(token.x + c + i)
                                    : simd::load_partial<float>(token.x + c + i, count);
            }
            if constexpr (std::is_same_v<A, activations::bf16>) {
                value = simd::rounded_to<bf16>(value);
            }
            sum = sum + value;
            if (count == 16 && byte == 0) {
                spread_floats<A>(value, tokens, to, i, 16);
            } else {
                spread_floats<A>(value, tokens, to, i + byte, count);
            }
        }
        tile.template sums<float>(0, block)[place] = simd::sum_of_lanes(sum);
    });
}

/// Packs tokens `first` … of a tile as floats. x: their rows.
template <activation A, std::size_t Section, std::size_t Block>
void pack_float_tokens(const activation_tile<A, Section, Block, std::byte>& tile, std::size_t first,
                       std::span<const float* const> x) noexcept {
    using packer = float_block_packer<A, Section, Block>;
    token_to_pack tokens[tile_tokens<A>];
    bool finite = true;
    for (std::size_t t = 0; t < x.size(); ++t) {
        tokens[t] = {x[t], std::isfinite(largest_magnitude(x[t], tile.at.row.cols)), 0, {0, 0}};
        finite = finite && tokens[t].finite;
    }
    std::size_t packed = 0;
    if constexpr (packer::applies) {
        if (finite) packed = packer::pack(tile, first, std::span(tokens, x.size()));
    }
    for (std::size_t t = 0; t < x.size(); ++t) {
        pack_float_rest(tile, first + t, tokens[t], packed);
    }
}

/// Widens the codes of all tokens of a tile, where products take them so.
template <activation A, std::size_t Section, std::size_t Block>
void widen_codes(const activation_tile<A, Section, Block, std::byte>& tile) noexcept {
    if constexpr (tile_layout<A, Section, Block>::widened) {
        constexpr std::size_t eight_quads = 32;
        for (std::size_t h = 0; h < tile.at.halves; ++h) {
            const std::byte* from = tile.base + h * tile.at.half_bytes();
            std::byte* to = tile.widened(h);
            for (std::size_t i = 0; i < tile.at.half_bytes(); i += eight_quads) {
                simd::widen_eight_quads(from + i, to + 2 * i);
            }
        }
    }
}

/// Zeroes what the tokens of a tile leave unwritten of its values.
template <activation A, std::size_t Section, std::size_t Block>
void clear_padding(const activation_tile<A, Section, Block, std::byte>& tile) noexcept {
    const auto& row = tile.at.row;
    const std::size_t half = tile.at.half_bytes();
    // The last quad that holds columns may hold padding too; in rows, all tokens' last one may.
    std::size_t whole = row.has_gaps ? 0 : row.cols / 4;
    if (tile.at.in_rows()) whole -= whole % tile.at.row_quads;
    const std::size_t from = whole * tile.at.tokens * 4 * tile.at.bytes_per_value;
    for (std::size_t h = 0; h < tile.at.halves; ++h) {
        std::memset(tile.base + h * half + from, 0, half - from);
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
