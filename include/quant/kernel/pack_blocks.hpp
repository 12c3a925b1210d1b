// Whole blocks of finite tokens into their tile: the usual layouts, where blocks simply cut the row
// and have a scale of their own or the token's. Some hundred columns of all tokens are encoded row
// by row; then their quads are laid side by side. pack_token.hpp has all other cases, and the same
// numbers.
#pragma once

#include <quant/kernel/activation_tiles.hpp>
#include <quant/kernel/encode_activations.hpp>
#include <quant/simd/interleave.hpp>
#include <quant/simd/reduce.hpp>

#include <algorithm>
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

template <activation A, std::size_t Section, std::size_t Block>
class block_packer {
    using tile_type = activation_tile<A, Section, Block, std::byte>;
    using layout = tile_layout<A, Section, Block>;
    static constexpr bool integer = is_integer_activation<A>;

public:
    static constexpr bool applies =
        Section == all && (Block == 16 || Block == 32 || Block == 64 || Block == 128) &&
        (!integer || activation_group<A>() == Block || activation_group<A>() == all);

    /// Whether blocks have scales of their own.
    static constexpr bool own_scale = applies && integer && activation_group<A>() == Block;

    /// Packs the whole blocks of tokens first … first + tokens.size() − 1 of a tile; returns how
    /// many blocks. With scales of their own, none if a number is not finite; else the caller knows
    /// that all are.
    static std::size_t pack(const tile_type& tile, std::size_t first,
                            std::span<token_to_pack> tokens) noexcept {
        const std::size_t blocks = tile.at.row.cols / Block;
        block_packer packer(tile, first);
        for (std::size_t block = 0; block < blocks; block += chunk_blocks) {
            const std::size_t n = std::min(chunk_blocks, blocks - block);
            for (std::size_t t = 0; t < tokens.size(); ++t) {
                if (!packer.encode(tokens[t], t, first + t, block, n)) return 0;
            }
            if (!packer.in_rows_) packer.place(tokens, block, n);
        }
        return blocks;
    }

private:
    static constexpr std::size_t vectors = Block / 16;
    static constexpr std::size_t halves = layout::halves;
    /// Blocks of a token that are encoded before its tile's other tokens are.
    static constexpr std::size_t chunk_blocks =
        applies ? std::min<std::size_t>(16, 512 / Block) : 1;
    /// Blocks that make 64 columns or more: bytes are put together four vectors at a time.
    static constexpr std::size_t step_blocks = applies && Block < 64 ? 64 / Block : 1;
    /// Reductions that are done one by one: sixteen at once cost as much as five alone.
    static constexpr std::size_t few = 4;
    /// Rows of floats need no encoding.
    static constexpr bool stages_rows = !std::is_same_v<A, activations::fp32>;

    using sums_type = std::conditional_t<integer, simd::i32x16, simd::f32x16>;
    using sum_type = std::conditional_t<integer, std::int32_t, float>;

    block_packer(const tile_type& tile, std::size_t first) noexcept
        : tile_(tile), first_(first), in_rows_(tile.at.in_rows()) {}

    /// Encodes blocks of a token, and writes their scales and sums; false if it finds that a number
    /// is not finite.
    QUANT_DETAIL_INLINE bool encode(token_to_pack& token, std::size_t row, std::size_t place,
                                    std::size_t block, std::size_t n) noexcept {
        const float* x = token.x + block * Block;
        float inverse[16] = {};
        if constexpr (own_scale) {
            if (!set_scales(x, place, block, n, inverse)) return false;
        } else if constexpr (integer) {
            inverse[0] = inverse_scale(token.scale);
        }
        sums_type sum[halves][16];
        std::size_t b = 0;
        for (; b + step_blocks <= n; b += step_blocks) {
            encode_blocks<step_blocks>(x, inverse, row, block, b, sum);
        }
        if constexpr (step_blocks > 1) {
            for (; b < n; ++b) encode_blocks<1>(x, inverse, row, block, b, sum);
        }
        for (std::size_t h = 0; h < halves; ++h) {
            sum_type each[16];
            if (n <= few) {
                for (std::size_t i = 0; i < n; ++i) each[i] = sum_of_lanes(sum[h][i]);
            } else {
                for (std::size_t i = n; i < 16; ++i) sum[h][i] = sum[h][0];
                simd::store_each(each, simd::reduce_each(sum[h], sum_of{}));
            }
            auto* sums = tile_.template sums<sum_type>(h, block + integer) + place;
            for (std::size_t i = 0; i < n; ++i) {
                if constexpr (integer) {
                    token.running[h] += static_cast<std::uint32_t>(each[i]);
                    sums[i * tile_.at.tokens] = static_cast<std::int32_t>(token.running[h]);
                } else {
                    sums[i * tile_.at.tokens] = each[i];
                }
            }
        }
        return true;
    }

    /// Scales of blocks, and what to multiply with instead of dividing; false if a number is not
    /// finite.
    QUANT_DETAIL_INLINE bool set_scales(const float* x, std::size_t place, std::size_t block,
                                        std::size_t n, float (&inverse)[16]) noexcept {
        float* scales = tile_.scales(block) + place;
        const std::size_t tokens = tile_.at.tokens;
        simd::i32x16 largest[16];
        for (std::size_t b = 0; b < n; ++b) {
            largest[b] = magnitude_bits(simd::load<float>(x + b * Block));
            unroll<vectors - 1>([&](auto v) QUANT_DETAIL_LAMBDA {
                const auto next = simd::load<float>(x + b * Block + 16 * (v + 1));
                largest[b] = simd::max(largest[b], magnitude_bits(next));
            });
        }
        if (n <= few) {
            for (std::size_t b = 0; b < n; ++b) {
                const std::int32_t bits = simd::reduce_max(largest[b]);
                if (bits >= infinity_bits) return false;
                const float scale = activation_scale<A>(core_detail::bit_cast<float>(bits));
                scales[b * tokens] = scale;
                inverse[b] = inverse_scale(scale);
            }
        } else {
            for (std::size_t b = n; b < 16; ++b) largest[b] = largest[0];
            const simd::i32x16 bits = simd::reduce_each(largest, greatest_of{});
            if (simd::any_greater(bits, simd::broadcast(infinity_bits - 1))) return false;
            const auto scale = activation_scales<A>(simd::bits_to_float(bits));
            simd::store_each(inverse, inverse_scales(scale));
            float each[16];
            simd::store_each(each, scale);
            for (std::size_t b = 0; b < n; ++b) scales[b * tokens] = each[b];
        }
        return true;
    }

    struct sum_of {
        template <class V>
        QUANT_DETAIL_INLINE V operator()(const V& a, const V& b) const noexcept {
            return a + b;
        }
    };
    struct greatest_of {
        template <class V>
        QUANT_DETAIL_INLINE V operator()(const V& a, const V& b) const noexcept {
            return simd::native_max(a, b);
        }
    };
    QUANT_DETAIL_INLINE static sum_type sum_of_lanes(const sums_type& v) noexcept {
        if constexpr (integer) {
            return simd::reduce_add(v);
        } else {
            return simd::sum_of_lanes(v);
        }
    }

    /// Encodes N blocks of a row from block b of those on that begin with number `block`.
    template <std::size_t N>
    QUANT_DETAIL_INLINE void encode_blocks(const float* x, const float (&inverse)[16],
                                           std::size_t row, std::size_t block, std::size_t b,
                                           sums_type (&sum)[halves][16]) noexcept {
        constexpr std::size_t at_once = N * vectors % 4 == 0 ? 4 : 1;
        unroll<N * vectors / at_once>([&](auto i) QUANT_DETAIL_LAMBDA {
            const std::size_t col = b * Block + i * at_once * 16;
            sums_type value[halves][at_once];
            unroll<at_once>([&](auto v) QUANT_DETAIL_LAMBDA {
                constexpr std::size_t place = i * at_once + v, own = place / vectors;
                const auto factor = simd::broadcast(inverse[own_scale ? b + own : 0]);
                encode_vector<v>(x + col + 16 * v, factor, value);
                for (std::size_t h = 0; h < halves; ++h) {
                    auto& total = sum[h][b + own];
                    // 0 and more, so that no sum is −0.
                    if (place % vectors == 0) total = simd::broadcast(sum_type{0});
                    total = total + value[h][v];
                }
            });
            for (std::size_t h = 0; stages_rows && h < halves; ++h) {
                store_row(place_of(row, block * Block, col, h), value[h]);
            }
        });
    }

    /// Where codes of a row go from a column on, counted from first_col, where its blocks begin: to
    /// wait for the other rows, or to their place in the tile.
    QUANT_DETAIL_INLINE std::byte* place_of(std::size_t row, std::size_t first_col, std::size_t col,
                                            std::size_t half) noexcept {
        if constexpr (takes_rows<A, Section, Block>) {
            if (in_rows_) {
                return reinterpret_cast<std::byte*>(
                    tile_.codes(half, (first_col + col) / 4, first_ + row));
            }
        }
        return rows_[row][half] + col * layout::bytes_per_value;
    }

    /// Sixteen numbers of a row as the tile has them.
    template <std::size_t V, std::size_t N>
    QUANT_DETAIL_INLINE static void encode_vector(const float* x, const simd::f32x16& inverse,
                                                  sums_type (&value)[halves][N]) noexcept {
        if constexpr (integer) {
            const auto codes = encode_activations<A, !own_scale>(x, 16, inverse);
            value[0][V] = codes;
            if constexpr (halves == 2) {
                const code_halves split(codes);
                value[0][V] = split.low;
                value[1][V] = split.high;
            }
        } else {
            value[0][V] = simd::load<float>(x);
            if constexpr (std::is_same_v<A, activations::bf16>) {
                value[0][V] = simd::rounded_to<bf16>(value[0][V]);
            }
        }
    }

    template <std::size_t N>
    QUANT_DETAIL_INLINE static void store_row(std::byte* to, const sums_type (&value)[N]) noexcept {
        if constexpr (integer && N == 4) {
            simd::store_i8(to, value);
        } else {
            unroll<N>([&](auto v) QUANT_DETAIL_LAMBDA {
                std::byte* at = to + v * 16 * layout::bytes_per_value;
                if constexpr (integer) {
                    simd::store_u8(at, value[v]);
                } else if constexpr (bf16_pairs<A>) {
                    // encode_vector has rounded it
                    simd::store_u16(at, simd::shift_right<16>(simd::float_to_bits(value[v])));
                } else {
                    simd::store(at, value[v]);
                }
            });
        }
    }

    /// Lays the rows of all tokens side by side.
    QUANT_DETAIL_INLINE void place(std::span<const token_to_pack> tokens, std::size_t block,
                                   std::size_t n) noexcept {
        constexpr std::size_t block_quads = Block * layout::bytes_per_value / simd::quad_bytes;
        const std::size_t all_tokens = tile_.at.tokens;
        for (std::size_t h = 0; h < halves; ++h) {
            std::byte* to = tile_.base + h * tile_.at.half_bytes() +
                            block * block_quads * all_tokens * simd::quad_bytes;
            const auto row = [&](std::size_t t) QUANT_DETAIL_LAMBDA {
                return stages_rows
                           ? rows_[t][h]
                           : reinterpret_cast<const std::byte*>(tokens[t].x + block * Block);
            };
            if (tokens.size() == all_tokens) {
                with_constant<tile_tokens<A>>(all_tokens, [&](auto count) QUANT_DETAIL_LAMBDA {
                    const std::byte* rows[count];
                    for (std::size_t t = 0; t < count; ++t) rows[t] = row(t);
                    simd::interleave_rows<count>(rows, n * block_quads, to);
                });
            } else {
                for (std::size_t t = 0; t < tokens.size(); ++t) {
                    simd::spread_row(row(t), n * block_quads, all_tokens,
                                     to + (first_ + t) * simd::quad_bytes);
                }
            }
        }
    }

    const tile_type& tile_;
    std::size_t first_; ///< token of the tile
    bool in_rows_;
    /// Encoded rows of the tokens' halves.
    alignas(64) std::byte rows_[stages_rows ? tile_tokens<A> : 1][halves]
                               [stages_rows ? chunk_blocks * Block * layout::bytes_per_value : 64];
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
