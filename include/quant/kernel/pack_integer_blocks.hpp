// All blocks of finite tokens into their tile, as integers, and their scales. Rows are encoded 64
// columns at a time, the last ones with zeros behind them.
#pragma once

#include <quant/kernel/encode_activations.hpp>
#include <quant/kernel/pack_blocks.hpp>
#include <quant/simd/signed_bytes.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Scales of lots of activations, and what they are found by.
struct scales_of_lots {
    static constexpr std::size_t most = 16;

    simd::i32x16 magnitudes[most]; ///< largest ones of a lot, in any lanes; see magnitude_bits
    float largest[most], scale[most], inverse[most];

    /// Finds the scales of the first n lots; false if one has a number that is not finite. Inverses
    /// of further lots are numbers, too: those of zeros behind the last one.
    template <activation A>
    QUANT_DETAIL_INLINE bool find(std::size_t n) noexcept {
        if (n <= few_reductions) {
            bool finite = true;
            for (std::size_t i = 0; i < n; ++i) {
                largest[i] = core_detail::bit_cast<float>(simd::reduce_max(magnitudes[i]));
                scale[i] = activation_scale<A>(largest[i]);
                inverse[i] = inverse_scale(scale[i]);
                finite = finite && std::isfinite(largest[i]);
            }
            for (std::size_t i = n; i < few_reductions; ++i) inverse[i] = 0;
            return finite;
        }
        for (std::size_t i = n; i < most; ++i) magnitudes[i] = magnitudes[0];
        const auto greatest = [](const auto& a, const auto& b)
                                  QUANT_DETAIL_LAMBDA { return simd::native_max(a, b); };
        const simd::i32x16 bits = simd::reduce_each(magnitudes, greatest);
        simd::store_each(largest, simd::bits_to_float(bits));
        const auto scales = activation_scales<A>(simd::bits_to_float(bits));
        simd::store_each(inverse, inverse_scales(scales));
        simd::store_each(scale, scales);
        return !simd::any_greater(bits, simd::broadcast(infinity_bits - 1));
    }
};

template <activation A, std::size_t Section, std::size_t Block>
class integer_block_packer {
    using tile_type = activation_tile<A, Section, Block, std::byte>;
    static constexpr std::size_t group = activation_group<A>();

public:
    static constexpr bool applies =
        packs_blocks<Section, Block> && (group == Block || group == all);

    /// Whether blocks have scales of their own.
    static constexpr bool own_scale = applies && group == Block;

    /// Packs tokens first … first + tokens.size() − 1 of a tile. With scales of their own, false if
    /// a number is not finite: then all but padding is to be packed again. Else the caller knows
    /// that all are finite.
    static bool pack(const tile_type& tile, std::size_t first,
                     std::span<token_to_pack> tokens) noexcept {
        integer_block_packer packer(tile, first);
        const std::size_t cols = tile.at.row.cols;
        for (std::size_t col = 0; col < cols; col += chunk_cols) {
            for (std::size_t t = 0; t < tokens.size(); ++t) {
                const std::size_t n = std::min(chunk_cols, cols - col);
                if (!packer.encode(tokens[t], t, col, n)) return false;
            }
            if (!packer.in_rows_) packer.place(tokens.size(), col);
        }
        return true;
    }

private:
    static constexpr std::size_t halves = A::halves;
    static constexpr std::size_t line_cols = 64;
    /// Columns of a token that are encoded before its tile's other tokens are: 16 blocks at most.
    static constexpr std::size_t chunk_cols = applies ? std::min<std::size_t>(16 * Block, 512) : 64;
    static constexpr std::size_t chunk_lines = chunk_cols / line_cols;

    integer_block_packer(const tile_type& tile, std::size_t first) noexcept
        : tile_(tile), first_(first), in_rows_(tile.at.in_rows()) {}

    /// Columns of a row, the last ones of which are copied to where zeros follow.
    struct columns {
        const float* x;
        std::size_t lines, whole_lines;
        alignas(64) float last[line_cols];

        QUANT_DETAIL_INLINE columns(const float* from, std::size_t n) noexcept
            : x(from), lines(div_ceil(n, line_cols)), whole_lines(n / line_cols) {
            if (lines == whole_lines) return;
            const float* rest = from + whole_lines * line_cols;
            for (std::size_t i = 0; i < line_cols; i += 16) {
                const std::size_t left = n % line_cols;
                simd::store(last + i, i < left ? simd::load_partial<float>(
                                                     rest + i, std::min<std::size_t>(16, left - i))
                                               : simd::broadcast(0.0f));
            }
        }
        [[nodiscard]] QUANT_DETAIL_INLINE const float* line(std::size_t i) const noexcept {
            return i < whole_lines ? x + i * line_cols : last;
        }
    };

    /// Encodes n columns of a token, and writes their blocks' scales and sums; false if it finds
    /// that a number is not finite.
    QUANT_DETAIL_INLINE bool encode(token_to_pack& token, std::size_t row, std::size_t col,
                                    std::size_t n) noexcept {
        const columns from(token.x + col, n);
        const std::size_t blocks = div_ceil(n, Block);
        scales_of_lots lots;
        if constexpr (own_scale) {
            if (!find_scales(from, blocks, lots)) return false;
            float* scales = tile_.scales(col / Block) + first_ + row;
            for (std::size_t b = 0; b < blocks; ++b) scales[b * tile_.at.tokens] = lots.scale[b];
        } else {
            lots.inverse[0] = inverse_scale(token.scale);
        }
        simd::i32x16 quads[halves][chunk_lines];
        for (auto& half : quads) {
            // g++ calls memset for what a loop clears.
            unroll<chunk_lines>(
                [&](auto l) QUANT_DETAIL_LAMBDA { half[l] = simd::broadcast<std::int32_t>(0); });
        }
        for (std::size_t l = 0; l < from.lines; ++l) {
            simd::i32x16 bytes[halves];
            encode_line(from.line(l), lots.inverse + (own_scale ? l * line_cols / Block : 0),
                        bytes);
            for (std::size_t h = 0; h < halves; ++h) {
                simd::store_line(place_of(row, h, col, l), bytes[h]);
                quads[h][l] = simd::sum_quads(bytes[h]);
            }
        }
        for (std::size_t h = 0; h < halves; ++h) {
            std::int32_t each[16];
            simd::store_each(each, sum_blocks(quads[h]));
            auto* sums = tile_.template sums<std::int32_t>(h, col / Block + 1) + first_ + row;
            std::uint32_t running = token.running[h];  // which stores to sums might change
            for (std::size_t b = 0; b < blocks; ++b) { // lane 4q + j is block 4j + q
                running += static_cast<std::uint32_t>(each[b % 4 * 4 + b / 4]);
                sums[b * tile_.at.tokens] = static_cast<std::int32_t>(running);
            }
            token.running[h] = running;
        }
        return true;
    }

    QUANT_DETAIL_INLINE static bool find_scales(const columns& from, std::size_t blocks,
                                                scales_of_lots& lots) noexcept {
        constexpr std::size_t vectors = std::min<std::size_t>(Block / 16, 4);
        for (std::size_t l = 0; l < from.lines; ++l) {
            const float* x = from.line(l);
            unroll<4 / vectors>([&](auto i) QUANT_DETAIL_LAMBDA {
                auto largest = magnitude_bits(simd::load<float>(x + i * vectors * 16));
                unroll<vectors - 1>([&](auto v) QUANT_DETAIL_LAMBDA {
                    const auto next = simd::load<float>(x + (i * vectors + v + 1) * 16);
                    largest = simd::max(largest, magnitude_bits(next));
                });
                auto& lot = lots.magnitudes[(l * line_cols + i * vectors * 16) / Block];
                // A block may be several lines.
                lot = l * line_cols % Block == 0 ? largest : simd::max(lot, largest);
            });
        }
        return lots.template find<A>(blocks);
    }

    /// 64 columns as bytes of each half; `inverse` is that of their blocks, or of the token.
    QUANT_DETAIL_INLINE static void encode_line(const float* x, const float* inverse,
                                                simd::i32x16 (&bytes)[halves]) noexcept {
        // Codes of one byte are clamped where they become bytes; those of a fixed scale have 32
        // bits at most, see prologue::static_scale.
        constexpr bool clamps = halves == 2 && !own_scale;
        simd::i32x16 codes[4];
        unroll<4>([&](auto v) QUANT_DETAIL_LAMBDA {
            const auto factor = simd::broadcast(inverse[own_scale ? v * 16 / Block : 0]);
            codes[v] = encode_activations<A, clamps>(x + v * 16, 16, factor);
        });
        if constexpr (halves == 1) {
            bytes[0] = simd::to_signed_bytes(codes);
            if constexpr (!own_scale) bytes[0] = simd::without_least(bytes[0]);
        } else {
            simd::i32x16 low[4], high[4];
            unroll<4>([&](auto v) QUANT_DETAIL_LAMBDA {
                const code_halves split(codes[v]);
                low[v] = split.low;
                high[v] = split.high;
            });
            bytes[0] = simd::to_signed_bytes(low);
            bytes[1] = simd::to_signed_bytes(high);
        }
    }

    /// Lane 4q + j: Σ of block 4j + q, given the sums of quads.
    QUANT_DETAIL_INLINE static simd::i32x16
    sum_blocks(const simd::i32x16 (&quads)[chunk_lines]) noexcept {
        simd::i32x16 blocks[4]; // a quarter for each
        for (auto& b : blocks) b = simd::broadcast<std::int32_t>(0);
        if constexpr (Block == 16) {
            for (std::size_t i = 0; i < 4; ++i) blocks[i] = quads[i];
        } else if constexpr (Block == 32) {
            for (std::size_t i = 0; i < 4; ++i) {
                blocks[i] = simd::pair_quarters(quads[2 * i], quads[2 * i + 1]);
            }
        } else if constexpr (Block == 64) {
            for (std::size_t i = 0; i < 2; ++i) {
                blocks[i] =
                    simd::pair_quarters(simd::pair_quarters(quads[4 * i], quads[4 * i + 1]),
                                        simd::pair_quarters(quads[4 * i + 2], quads[4 * i + 3]));
            }
        } else {
            blocks[0] =
                simd::pair_quarters(simd::pair_quarters(quads[0] + quads[1], quads[2] + quads[3]),
                                    simd::pair_quarters(quads[4] + quads[5], quads[6] + quads[7]));
        }
        return simd::sum_quarters(blocks);
    }

    /// Where line number l from a column on goes: to wait for the other rows, or to its place.
    QUANT_DETAIL_INLINE std::byte* place_of(std::size_t row, std::size_t half, std::size_t col,
                                            std::size_t l) noexcept {
        if constexpr (takes_rows<A, Section, Block>) {
            if (in_rows_) {
                const std::size_t quad = (col + l * line_cols) / 4;
                return reinterpret_cast<std::byte*>(tile_.codes(half, quad, first_ + row));
            }
        }
        return rows_[row][half] + l * line_cols;
    }

    /// Lays the rows of all tokens side by side, padding of whole superblocks too.
    QUANT_DETAIL_INLINE void place(std::size_t tokens, std::size_t col) noexcept {
        const std::size_t quad = col / 4;
        const std::size_t quads = std::min(chunk_cols / 4, tile_.at.row.quads() - quad);
        for (std::size_t h = 0; h < halves; ++h) {
            const std::byte* rows[tile_tokens<A>];
            for (std::size_t t = 0; t < tokens; ++t) rows[t] = rows_[t][h];
            place_rows(tile_, h, first_, {rows, tokens}, quad, quads);
        }
    }

    const tile_type& tile_;
    std::size_t first_; ///< token of the tile
    bool in_rows_;
    /// Encoded rows of the tokens' halves.
    alignas(64) std::byte rows_[tile_tokens<A>][halves][chunk_cols];
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
