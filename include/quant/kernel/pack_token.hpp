// One token into its tile: quantized (or rounded) and spread over the tile's quads.
#pragma once

#include <quant/core/bit_cast.hpp>
#include <quant/kernel/activation_tiles.hpp>
#include <quant/quantize/group.hpp>
#include <quant/simd/convert.hpp>
#include <quant/simd/reduce.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

namespace quant::inline QUANT_ABI {
namespace detail {

/// max |x|; NaN or infinity if any of the numbers is.
[[nodiscard]] inline float largest_magnitude(const float* x, std::size_t n) noexcept {
    // Magnitudes of non-finite numbers are the largest integers, NaN above infinity.
    const auto magnitude_bits = [](const simd::f32x16& v) QUANT_DETAIL_LAMBDA {
        return simd::float_to_bits(v) & simd::broadcast<std::int32_t>(0x7FFFFFFF);
    };
    simd::i32x16 largest[4];
    for (auto& l : largest) l = simd::broadcast<std::int32_t>(0);
    std::size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        unroll<4>([&](auto j) QUANT_DETAIL_LAMBDA {
            largest[j] = simd::max(largest[j], magnitude_bits(simd::load<float>(x + i + 16 * j)));
        });
    }
    for (; i < n; i += 16) {
        const std::size_t count = std::min<std::size_t>(16, n - i);
        largest[0] = simd::max(
            largest[0], magnitude_bits(count == 16 ? simd::load<float>(x + i)
                                                   : simd::load_partial<float>(x + i, count)));
    }
    return core_detail::bit_cast<float>(simd::reduce_max(
        simd::max(simd::max(largest[0], largest[1]), simd::max(largest[2], largest[3]))));
}

/// Scale of activations of magnitude up to `largest`.
template <activation A>
[[nodiscard]] float activation_scale(float largest) noexcept {
    const float scale = largest / static_cast<float>(A::max_code);
    return scale < 0x1p-126f ? 0.0f : scale;
}

/// Sixteen activations as codes; lanes beyond n ≤ 16 are 0. Clamp: some may exceed what the scale
/// is for. Where it is that of the largest among them, none does: with scale, inverse and product
/// each rounded once, the product is at most max_code·(1 + 2^-22).
template <activation A, bool Clamp = true>
QUANT_DETAIL_INLINE simd::i32x16 encode_activations(const float* x, std::size_t n,
                                                    const simd::f32x16& inverse) noexcept {
    const auto values = n == 16 ? simd::load<float>(x) : simd::load_partial<float>(x, n);
    const auto codes = simd::nearest(values * inverse);
    if constexpr (!Clamp) return codes;
    const auto last = simd::broadcast<std::int32_t>(A::max_code);
    const auto first = simd::broadcast<std::int32_t>(-A::max_code);
    return simd::min(simd::max(codes, first), last);
}

/// Copies 16 codes, as bytes, to four quads of a token; `to` is the first quad's place.
QUANT_DETAIL_INLINE void spread_quads(const simd::i32x16& codes, std::size_t tokens,
                                      std::int8_t* to, std::size_t quads) noexcept {
    std::int8_t bytes[16];
    simd::store_u8(bytes, codes);
    if (quads == 4) {
        unroll<4>([&](auto q)
                      QUANT_DETAIL_LAMBDA { std::memcpy(to + q * tokens * 4, bytes + q * 4, 4); });
    } else {
        for (std::size_t q = 0; q < quads; ++q) std::memcpy(to + q * tokens * 4, bytes + q * 4, 4);
    }
}

/// Writes one block's codes of one token; returns their sums, per half.
template <activation A, std::size_t Section, std::size_t Block>
QUANT_DETAIL_INLINE void
pack_integer_block(const activation_tile<A, Section, Block, std::byte>& tile, std::size_t token,
                   const float* x, std::size_t n, float scale, std::size_t quad, std::size_t byte,
                   std::int32_t (&sums)[2]) noexcept {
    const std::size_t tokens = tile.at.tokens;
    const auto inverse = simd::broadcast(scale == 0 ? 0.0f : 1.0f / scale);
    simd::i32x16 low_sum = simd::broadcast<std::int32_t>(0), high_sum = low_sum;
    for (std::size_t i = 0; i < n; i += 16) {
        const std::size_t count = std::min<std::size_t>(16, n - i);
        const simd::i32x16 codes = encode_activations<A>(x + i, count, inverse);
        std::int8_t* low_to = tile.codes(0, quad + i / 4) + token * 4;
        simd::i32x16 low = codes;
        if constexpr (A::halves == 2) {
            // 256·high + low with low in −128 … 127.
            const auto high = simd::shift_right_signed<8>(codes + simd::broadcast(128));
            low = codes - simd::shift_left<8>(high);
            high_sum = high_sum + high;
            spread_quads(high, tokens, tile.codes(1, quad + i / 4) + token * 4, div_ceil(count, 4));
        }
        low_sum = low_sum + low;
        if constexpr (Block < 4) {
            // One or two columns within a quad that is zero elsewhere.
            std::int8_t bytes[16];
            simd::store_u8(bytes, low);
            std::memcpy(low_to + byte, bytes, count);
        } else {
            spread_quads(low, tokens, low_to, div_ceil(count, 4));
        }
    }
    sums[0] = simd::reduce_add(low_sum);
    sums[1] = A::halves == 2 ? simd::reduce_add(high_sum) : 0;
}

/// Packs the whole blocks of a token of finite numbers where blocks simply cut the row and have a
/// scale of their own or the token's: the usual layouts, without the bookkeeping of the others.
/// Returns how many blocks, and adds their sums to `running`.
template <activation A, std::size_t Section, std::size_t Block>
std::size_t pack_whole_blocks(const activation_tile<A, Section, Block, std::byte>& tile,
                              std::size_t token, const float* x, float scale,
                              std::uint32_t (&running)[2]) noexcept {
    constexpr bool own_scale = activation_group<A>() == Block;
    constexpr bool usual = Section == all && Block % 16 == 0 && Block <= 128 && A::halves == 1 &&
                           (own_scale || activation_group<A>() == all);
    if constexpr (!usual) {
        return 0;
    } else {
        constexpr std::size_t vectors = Block / 16;
        const std::size_t tokens = tile.at.tokens, blocks = tile.at.row.cols / Block;
        std::int8_t* codes = tile.codes(0, 0) + token * 4;
        auto* sums = tile.template sums<std::int32_t>(0, 0) + token;
        float* scales = tile.scales(0) + token;
        auto inverse = simd::broadcast(scale == 0 ? 0.0f : 1.0f / scale);
        // Packs one block; its codes' sum is that of all lanes.
        const auto pack_block = [&](std::size_t block) QUANT_DETAIL_LAMBDA {
            const float* from = x + block * Block;
            if constexpr (own_scale) {
                simd::f32x16 largest = simd::abs(simd::load<float>(from));
                unroll<vectors - 1>([&](auto i) QUANT_DETAIL_LAMBDA {
                    largest = simd::max(largest, simd::abs(simd::load<float>(from + 16 * (i + 1))));
                });
                scale = activation_scale<A>(simd::reduce_max(largest));
                inverse = simd::broadcast(scale == 0 ? 0.0f : 1.0f / scale);
                scales[block * tokens] = scale;
            }
            simd::i32x16 sum;
            unroll<vectors>([&](auto i) QUANT_DETAIL_LAMBDA {
                const auto code = encode_activations<A, !own_scale>(from + 16 * i, 16, inverse);
                spread_quads(code, tokens, codes, 4);
                codes += 16 * tokens;
                if constexpr (i == 0) {
                    sum = code;
                } else {
                    sum = sum + code;
                }
            });
            return sum;
        };
        const auto put_sum = [&](std::size_t block, std::int32_t sum) QUANT_DETAIL_LAMBDA {
            running[0] += static_cast<std::uint32_t>(sum);
            sums[(block + 1) * tokens] = static_cast<std::int32_t>(running[0]);
        };
        // Sixteen blocks at a time: sixteen reductions at once cost a third of as many alone.
        constexpr auto add = [](const auto& a, const auto& b) QUANT_DETAIL_LAMBDA { return a + b; };
        std::size_t first = 0;
        for (; first + 16 <= blocks; first += 16) {
            simd::i32x16 sum[16];
            for (std::size_t b = 0; b < 16; ++b) sum[b] = pack_block(first + b);
            std::int32_t sum_of[16];
            simd::store(sum_of, simd::reduce_each(sum, add));
            for (std::size_t b = 0; b < 16; ++b) put_sum(first + b, sum_of[b]);
        }
        for (; first < blocks; ++first) put_sum(first, simd::reduce_add(pack_block(first)));
        return blocks;
    }
}

/// Packs one token as integers, with a fixed scale unless that is 0. A token with a number that is
/// not finite gets NaN scales.
template <activation A, std::size_t Section, std::size_t Block>
void pack_integer_token(const activation_tile<A, Section, Block, std::byte>& tile,
                        std::size_t token, const float* x, float fixed = 0) noexcept {
    static_assert(A::halves == 1 || Block >= 4, "groups of int16 activations are whole rows");
    const std::size_t cols = tile.at.row.cols;
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    const float largest = largest_magnitude(x, cols);
    const bool finite = std::isfinite(largest);
    const auto scale_of = [&](float magnitude) QUANT_DETAIL_LAMBDA {
        if (!finite) return nan;
        return fixed != 0 ? fixed : activation_scale<A>(magnitude);
    };
    float scale = scale_of(largest);
    tile.scales(0)[token] = scale;
    std::uint32_t running[2] = {}; // may wrap over very long rows; differences within a step do not
    const auto set_sums = [&](std::size_t block) QUANT_DETAIL_LAMBDA {
        for (std::size_t h = 0; h < tile.at.halves; ++h) {
            tile.template sums<std::int32_t>(h, block)[token] =
                static_cast<std::int32_t>(running[h]);
        }
    };
    set_sums(0);
    // That code finds scales of groups by itself.
    const bool usual = finite && (fixed == 0 || activation_group<A>() == all);
    const std::size_t packed = usual ? pack_whole_blocks(tile, token, x, scale, running) : 0;
    tile.at.row.for_each_block(packed, [&](std::size_t block, std::size_t c, std::size_t n,
                                           std::size_t quad, std::size_t byte) QUANT_DETAIL_LAMBDA {
        if constexpr (tile_layout<A, Section, Block>::scale_per_block) {
            // Several blocks may share an activation group: each gets the group's scale.
            constexpr std::size_t size = activation_group<A>();
            const std::size_t first = c / size * size;
            const std::size_t count = std::min(size, cols - first);
            scale = scale_of(largest_magnitude(x + first, count));
            tile.scales(block)[token] = scale;
        }
        std::int32_t sums[2] = {};
        if (finite) pack_integer_block(tile, token, x + c, n, scale, quad, byte, sums);
        for (std::size_t h = 0; h < 2; ++h) running[h] += static_cast<std::uint32_t>(sums[h]);
        set_sums(block + 1);
    });
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

/// Packs one token as floats or pairs of bf16. A token with a number that is not finite becomes
/// all NaN. A block's sum is that of sixteen sums, of every sixteenth number each.
template <activation A, std::size_t Section, std::size_t Block>
void pack_float_token(const activation_tile<A, Section, Block, std::byte>& tile, std::size_t token,
                      const float* x) noexcept {
    const std::size_t tokens = tile.at.tokens;
    const bool finite = std::isfinite(largest_magnitude(x, tile.at.row.cols));
    const auto nan = simd::broadcast(std::numeric_limits<float>::quiet_NaN());
    tile.at.row.for_each_block(0, [&](std::size_t block, std::size_t c, std::size_t n,
                                      std::size_t quad, std::size_t byte) {
        std::byte* to = tile.base + quad * tokens * 4 * tile.at.bytes_per_value + token * 4;
        simd::f32x16 sum = simd::broadcast(0.0f);
        for (std::size_t i = 0; i < n; i += 16) {
            const std::size_t count = std::min<std::size_t>(16, n - i);
            simd::f32x16 value = nan;
            if (finite) {
                value = count == 16 ? simd::load<float>(x + c + i)
                                    : simd::load_partial<float>(x + c + i, count);
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
        tile.template sums<float>(0, block)[token] = simd::sum_of_lanes(sum);
    });
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
    // The last quad that holds columns may hold padding too.
    const std::size_t whole = row.has_gaps ? 0 : row.cols / 4;
    const std::size_t from = whole * tile.at.tokens * 4 * tile.at.bytes_per_value;
    for (std::size_t h = 0; h < tile.at.halves; ++h) {
        std::memset(tile.base + h * half + from, 0, half - from);
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
