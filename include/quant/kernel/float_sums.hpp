// Float sums of one step: T tokens × P panels of 16 outputs, in the order of the columns.
#pragma once

#include <quant/kernel/integer_sums.hpp>
#include <quant/policy/activations.hpp>
#include <quant/simd/lookup.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Whether all codes' levels fit a table of sixteen: the same for all groups, few bits.
template <quantization_scheme S>
inline constexpr bool levels_by_table = S::bits <= 4 && !S::has_zero_point && S::tables == 1;

/// The level of each code, code after code.
template <quantization_scheme S, class T>
inline constexpr std::array<T, 16> level_table = [] {
    std::array<T, 16> table{};
    for (int u = 0; u <= S::max_code; ++u) {
        const float level = S::is_level(u) ? S::step(u) : 0.0f;
        if constexpr (std::is_same_v<T, float>) {
            table[static_cast<std::size_t>(u)] = level;
        } else {
            table[static_cast<std::size_t>(u)] = bf16(level).bits;
        }
    }
    return table;
}();

/// Whether levels are made of codes that are floats already, as integer_column gives them.
template <quantization_scheme S>
inline constexpr bool levels_by_offset = S::is_linear && S::multiplier == 1 &&
                                         !levels_by_table<S> && simd::has_integer_columns;

/// What is taken from codes (twice the codes, for midrise) to make them levels; if
/// levels_by_offset, the bits of that plus integer_offset as a float; with two tables, which of
/// them.
template <quantization_scheme S>
QUANT_DETAIL_INLINE simd::i32x16 level_shift(const lane_grid<S>& grid) noexcept {
    if constexpr (S::tables == 2) return grid.table();
    auto shift = simd::broadcast<std::int32_t>(S::offset);
    if constexpr (S::has_zero_point) shift = grid.zero_point();
    if constexpr (levels_by_offset<S>) {
        return simd::float_to_bits(simd::to_float(shift) + simd::broadcast(simd::integer_offset));
    }
    return shift;
}

/// Levels of one of the four columns in a quad's codes.
template <quantization_scheme S, std::size_t Column>
QUANT_DETAIL_INLINE simd::f32x16 level_of(const simd::i32x16& codes,
                                          const simd::i32x16& shift) noexcept {
    const auto shifted = simd::shift_right<8 * static_cast<int>(Column)>(codes);
    if constexpr (levels_by_table<S> && simd::has_lookup) {
        return simd::lookup(level_table<S, float>, shifted);
    } else if constexpr (levels_by_table<S> && core_detail::steps_fit_bf16<S> &&
                         simd::has_pair_lookup) {
        const auto pair = simd::lookup_pairs<Column / 2>(level_table<S, std::uint16_t>, codes);
        return simd::bits_to_float(Column % 2 == 0 ? simd::shift_left<16>(pair)
                                                   : pair & simd::broadcast(-65536));
    } else if constexpr (levels_by_offset<S>) {
        return simd::integer_column<Column>(codes) - simd::bits_to_float(shift);
    } else if constexpr (S::tables == 2) {
        return steps_of<S>(shifted | shift);
    } else if constexpr (!S::is_linear) {
        return steps_of<S>(shifted);
    } else {
        const auto code = shifted & simd::broadcast<std::int32_t>(0xFF);
        return simd::to_float((S::multiplier == 1 ? code : code + code) - shift);
    }
}

/// Levels of two neighbouring columns as pairs of bf16, which holds them exactly: integers up to
/// 256, and what takes_activations lets pass.
template <quantization_scheme S, std::size_t Pair>
QUANT_DETAIL_INLINE simd::i32x16 level_pair(const simd::i32x16& codes,
                                            const simd::i32x16& shift) noexcept {
    if constexpr (levels_by_table<S> && simd::has_pair_lookup) {
        return simd::lookup_pairs<Pair>(level_table<S, std::uint16_t>, codes);
    } else {
        const auto first = simd::float_to_bits(level_of<S, 2 * Pair>(codes, shift));
        const auto second = simd::float_to_bits(level_of<S, 2 * Pair + 1>(codes, shift));
        return simd::shift_right<16>(first) | second; // the lower half of `second` is 0
    }
}

/// One of T activations as all kernels read it: a float, or a pair of bf16 bits.
template <activation A>
using float_operand = std::conditional_t<bf16_pairs<A>, std::int32_t, float>;

/// Bytes of one token's operands in a quad.
template <activation A>
inline constexpr std::size_t quad_bytes = bf16_pairs<A> ? 8 : 16;

template <activation A>
QUANT_DETAIL_INLINE float_operand<A> load_operand(const std::byte* x, std::size_t index) noexcept {
    float_operand<A> operand;
    std::memcpy(&operand, x + index * sizeof operand, sizeof operand);
    return operand;
}

/// sum + level·x; with pairs, two columns at once, the instruction's own order and rounding.
QUANT_DETAIL_INLINE simd::f32x16 multiply_add(const simd::f32x16& level, float x,
                                              const simd::f32x16& sum) noexcept {
    return simd::fma(level, simd::broadcast(x), sum);
}
QUANT_DETAIL_INLINE simd::f32x16 multiply_add(const simd::i32x16& pair, std::int32_t x,
                                              const simd::f32x16& sum) noexcept {
    return simd::dot2_bf16(sum, pair, simd::broadcast(x));
}

/// Σ of a step's activations: their blocks' sums in order.
QUANT_DETAIL_INLINE float sum_of_blocks(const float* blocks, std::size_t count,
                                        std::size_t tokens) noexcept {
    float sum = 0;
    for (std::size_t b = 0; b < count; ++b) sum += blocks[b * tokens];
    return sum;
}

/// sum[p][t] = Σ t·x by multiply-adds, one chain per output; decodes as it goes.
template <quantization_scheme S, activation A, std::size_t T, std::size_t P>
struct float_sums {
    simd::f32x16 sum[P][T];
    simd::i32x16 shift[P];
    struct memory {};
    float activation_sum[simd::native_size<float>];

    /// blocks: the sums of the step's `count` blocks of activations, of `tokens` tokens each.
    QUANT_DETAIL_INLINE void start(const float* blocks, std::size_t count,
                                   const lane_grid<S> (&grid)[P], std::size_t tokens = T) noexcept {
        QUANT_DETAIL_UNROLLED
        for (std::size_t t = 0; t < T; ++t) {
            activation_sum[t] = S::has_minimum ? sum_of_blocks(blocks + t, count, tokens) : 0.0f;
        }
        QUANT_DETAIL_UNROLLED
        for (std::size_t p = 0; p < P; ++p) {
            shift[p] = level_shift(grid[p]);
            QUANT_DETAIL_UNROLLED
            for (std::size_t t = 0; t < T; ++t) sum[p][t] = simd::broadcast(0.0f);
        }
    }

    /// Adds quads First … Last − 1 of the superblock at `at` in each panel.
    template <std::size_t First, std::size_t Last>
    QUANT_DETAIL_INLINE void add(const std::byte* const (&panels)[P], std::size_t at,
                                 const std::byte* x, std::size_t /*half_bytes*/) noexcept {
        unroll<Last - First>([&](auto q) QUANT_DETAIL_LAMBDA {
            simd::i32x16 codes[P];
            QUANT_DETAIL_UNROLLED
            for (std::size_t p = 0; p < P; ++p) {
                codes[p] = decode_quad<S::bits, First + q>(panels[p] + at);
            }
            add_codes(codes, x + q * quad_bytes<A> * T, T);
        });
    }

    /// Adds one quad of codes; x: the activations of its first column, `stride` per column (pair).
    QUANT_DETAIL_INLINE void add_codes(const simd::i32x16 (&codes)[P], const std::byte* x,
                                       std::size_t stride) noexcept {
        unroll<bf16_pairs<A> ? 2 : 4>([&](auto column) QUANT_DETAIL_LAMBDA {
            QUANT_DETAIL_UNROLLED
            for (std::size_t p = 0; p < P; ++p) {
                const auto level = [&]() QUANT_DETAIL_LAMBDA {
                    if constexpr (bf16_pairs<A>) {
                        return level_pair<S, column>(codes[p], shift[p]);
                    } else {
                        return level_of<S, column>(codes[p], shift[p]);
                    }
                }();
                QUANT_DETAIL_UNROLLED
                for (std::size_t t = 0; t < T; ++t) {
                    sum[p][t] =
                        multiply_add(level, load_operand<A>(x, column * stride + t), sum[p][t]);
                }
            }
        });
    }

    QUANT_DETAIL_INLINE simd::f32x16 total(std::size_t p, std::size_t t) const noexcept {
        return sum[p][t];
    }
    QUANT_DETAIL_INLINE auto activation_totals() const noexcept {
        if constexpr (T == 1) {
            return activation_sum[0];
        } else {
            return simd::native_load<float>(activation_sum);
        }
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
