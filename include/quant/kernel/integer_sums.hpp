// Integer sums of one step: T tokens × P panels of 16 outputs, exact.
#pragma once

#include <quant/core/unroll.hpp>
#include <quant/kernel/activation_tiles.hpp>
#include <quant/kernel/integer_operand.hpp>
#include <quant/kernel/lane_grid.hpp>
#include <quant/kernel/step_totals.hpp>
#include <quant/kernel/sum_chains.hpp>
#include <quant/pack/packed_matrix.hpp>
#include <quant/pack/planes.hpp>
#include <quant/quantize/group.hpp>
#include <quant/simd/convert.hpp>
#include <quant/simd/dot4.hpp>
#include <quant/simd/dot8.hpp>
#include <quant/simd/widened_quads.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace quant::inline QUANT_ABI {
namespace detail {

struct no_tables {};

/// sum[h][p][t] = Σ (multiplier·u − offset − z)·x̂ over the step's columns, lane by lane, where u is
/// the code as stored and x̂ one half of an activation's code.
///
/// What is multiplied is unsigned (integer_operand.hpp). Each sum starts at what that is too much,
/// −(excess + z)·Σ x̂; midrise codes of 8 bits, or of one token alone, are doubled at the end. Of
/// one token alone there are several, sum[h][0][chain]: the first starts so, and end() adds the
/// others to it.
template <quantization_scheme S, activation A, std::size_t T, std::size_t P>
struct integer_sums {
    static constexpr std::size_t halves = static_cast<std::size_t>(A::halves);
    using operand = integer_operand<S>;
    using turns = sum_chains<S, A>;
    /// Whether sums of one token and one panel take turns; more keep products busy by themselves,
    /// as sums of 16 bits do.
    static constexpr bool alone = isa::current::vector_bytes == 64 && T * P == 1 &&
                                  simd::quads_per_pair_sum<operand::bits> == 0;
    static constexpr std::size_t chains = alone ? turns::count : 1;
    using sum_array = simd::i32x16[halves][P][T * chains];
    sum_array sum;
    /// Σ x̂ per token of each half: one register, and in memory to broadcast from.
    static_assert(T <= simd::native_size<std::int32_t>);
    std::conditional_t<T == 1, std::int32_t, simd::native<std::int32_t>> activation_sum[halves];
    /// Which of two tables each panel's group chose.
    [[no_unique_address]] std::conditional_t<S::tables == 2, simd::i32x16[P], no_tables> tables;
    /// Where numbers wait to be broadcast; the caller's, since registers hold all that is here.
    using memory = std::int32_t[halves][simd::native_size<std::int32_t>];

    /// Whether 2u + 1 is multiplied for midrise codes, else sums of u are doubled at the end.
    static constexpr bool odd = operand::odd && !alone;
    static constexpr bool doubles_sums = S::multiplier == 2 && !odd;
    static constexpr int operand_bits = operand::bits;
    /// What sums are due at their start: so many Σ x̂, with zero points z·Σ x̂.
    static constexpr int shift_factor = S::has_zero_point ? -1
                                        : doubles_sums    ? 0
                                                          : -operand::excess;
    /// Whether add() takes widened activations.
    static constexpr bool widened = simd::widens_quads<operand_bits>;
    /// Where sums of 16 bits take the registers, or all products would wait for the shift, sums
    /// start at 0 instead and are shifted at the end.
    static constexpr std::size_t pair_run =
        std::bit_floor(std::min<std::size_t>(simd::quads_per_pair_sum<operand_bits>, 8));
    /// Whether sums of 16 bits hold a step of several superblocks: `sum` is theirs from start() to
    /// end(). Where registers are few, that spares sums of 32 bits, which are in memory meanwhile.
    static constexpr bool pairs_hold_step = [] {
        if (isa::current::vector_bytes != 32 || pair_run == 0 || operand_bits == 8) return false;
        const std::size_t quads = div_ceil(product_plan<S, A>::step, 16) * 4;
        return quads > 8 && quads <= simd::quads_per_pair_sum<operand_bits>;
    }();
    static constexpr bool shift_at_end = pair_run != 0 || widened;
    /// Tokens that are multiplied two at a time, eight columns at once: their sums lie interleaved
    /// from start() to end().
    static constexpr std::size_t paired_tokens = simd::multiplies_token_pairs ? T / 2 * 2 : 0;

    static constexpr bool short_step = product_plan<S, A>::step <= superblock_cols;
    /// Whether no quad is read before the products of the one before it: clang reads ahead, and
    /// puts on the stack what registers then have no room for. That does no harm, measured, where
    /// codes in one plane have twelve sums that are scaled at each superblock.
    static constexpr bool reads_in_turn =
        simd::can_compute_first && (!short_step || P * T != 12 || planes<S::bits>::count > 1);
    /// Whether lines of codes are read once for all their quads: where there are so few sums that
    /// 32 registers have room for lines, and a line does not give so many quads that its reading is
    /// nothing beside them.
    static constexpr bool keeps_lines = isa::current::vector_bytes == 64 &&
                                        !(reads_in_turn && S::bits == 1) &&
                                        halves * P * T <= (reads_in_turn ? 8 : 10);
    /// Whether g++ is kept from reading codes again for each token, or decoding them again: 3 and 4
    /// tokens of 8 bits spent a fourth of their time so.
    static constexpr bool keeps_codes =
        isa::current::vector_bytes == 64 && T > 1 &&
        (S::bits == 8 || halves == 2 || planes<S::bits>::count > 1);

    /// before, after: running sums of activations at the step's first column and after its last;
    /// halves are half_sums apart. SumsFit16Bits: |Σ x̂| < 2^15 over a step.
    template <bool SumsFit16Bits>
    QUANT_DETAIL_INLINE void start(const std::int32_t* before, const std::int32_t* after,
                                   std::size_t half_sums, const lane_grid<S> (&grid)[P],
                                   memory& base) noexcept {
        if constexpr (S::tables == 2) {
            QUANT_DETAIL_UNROLLED
            for (std::size_t p = 0; p < P; ++p) tables[p] = grid[p].table();
        }
        QUANT_DETAIL_UNROLLED
        for (std::size_t h = 0; h < halves; ++h) {
            if constexpr (T == 1) {
                activation_sum[h] = // running sums of very long rows wrap around
                    static_cast<std::int32_t>(static_cast<std::uint32_t>(after[h * half_sums]) -
                                              static_cast<std::uint32_t>(before[h * half_sums]));
            } else {
                activation_sum[h] = simd::native_load<std::int32_t>(after + h * half_sums) -
                                    simd::native_load<std::int32_t>(before + h * half_sums);
            }
            if constexpr (shift_factor != 0) store_sum<shift_factor>(activation_sum[h], base[h]);
        }
        for_each_further_chain([&](auto h, auto c) QUANT_DETAIL_LAMBDA {
            sum[h][0][c] = simd::broadcast<std::int32_t>(0);
        });
        if constexpr (shift_at_end || shift_factor == 0) {
            for_each_sum(sum, [](simd::i32x16& s)
                                  QUANT_DETAIL_LAMBDA { s = simd::broadcast<std::int32_t>(0); });
        } else {
            for_each_shift<SumsFit16Bits>(grid, base,
                                          [](simd::i32x16& s, const simd::i32x16& shift)
                                              QUANT_DETAIL_LAMBDA { s = shift; });
        }
        for_token_pairs(simd::interleave_tokens);
    }

    /// Adds quads First … Last − 1 of the superblock at `at` in each panel. `x`: the activations
    /// of quad First, widened ones if `widened`; halves are half_bytes apart.
    template <std::size_t First, std::size_t Last>
    QUANT_DETAIL_INLINE void add(const std::byte* const (&panels)[P], std::size_t at,
                                 const std::byte* x, std::size_t half_bytes) noexcept {
        if constexpr (paired_tokens != 0) {
            static_assert((Last - First) % 2 == 0);
            unroll<(Last - First) / 2>([&](auto i) QUANT_DETAIL_LAMBDA {
                simd::i32x16 even[P], odd_quad[P];
                decode<First + 2 * i>(panels, at, even);
                decode<First + 2 * i + 1>(panels, at, odd_quad);
                multiply_two_quads(even, odd_quad, x + 2 * i * T * quad_cols, half_bytes);
            });
        } else if constexpr (widened) {
            add_widened<First, Last>(panels, at, x, half_bytes);
        } else if constexpr (alone) {
            add_in_turns<First, Last>(panels[0] + at, x, half_bytes);
        } else if constexpr (pair_run == 0 || pairs_hold_step) {
            if constexpr (reads_in_turn && !short_step) {
                // Addresses that are not read again with each quad. Short steps, measured, are
                // slower by them with codes in several planes.
                const std::byte* from[P];
                QUANT_DETAIL_UNROLLED
                for (std::size_t p = 0; p < P; ++p) from[p] = panels[p] + at;
                add_quads<First, Last>(from, 0, x, half_bytes);
            } else {
                add_quads<First, Last>(panels, at, x, half_bytes);
            }
        } else if constexpr (operand_bits == 8) { // by halves of four bits
            add_pair_sums<First, Last, 1>(panels, at, x, half_bytes,
                                          [](simd::i32x16& codes) QUANT_DETAIL_LAMBDA {
                                              codes = codes & simd::broadcast(0x0F0F0F0F);
                                          });
            add_pair_sums<First, Last, 16>(panels, at, simd::again(x), half_bytes,
                                           [](simd::i32x16& codes) QUANT_DETAIL_LAMBDA {
                                               codes = simd::shift_right<4>(codes) &
                                                       simd::broadcast(0x0F0F0F0F);
                                           });
        } else { // sums of a few quads fit 16 bits: widen them once for all
            constexpr std::size_t quads = std::min(pair_run, Last - First);
            static_assert((Last - First) % quads == 0);
            unroll<(Last - First) / quads>([&](auto r) QUANT_DETAIL_LAMBDA {
                constexpr std::size_t from = r * quads;
                add_pair_sums<First + from, First + from + quads, 1>(
                    panels, at, x + from * T * quad_cols, half_bytes,
                    [](simd::i32x16&) QUANT_DETAIL_LAMBDA {});
            });
        }
    }

    /// Adds one quad of codes for one token; x: its activations.
    QUANT_DETAIL_INLINE void add_codes(const simd::i32x16 (&codes)[P], const std::byte* x,
                                       std::size_t half_bytes) noexcept
        requires(T == 1)
    {
        QUANT_DETAIL_UNROLLED
        for (std::size_t h = 0; h < halves; ++h) {
            const auto* from = reinterpret_cast<const std::int8_t*>(x + h * half_bytes);
            QUANT_DETAIL_UNROLLED
            for (std::size_t p = 0; p < P; ++p) {
                const auto multiplied = [&]() QUANT_DETAIL_LAMBDA {
                    if constexpr (!S::is_linear) return raised(codes[p], p);
                    if constexpr (odd) return codes[p] + codes[p] + simd::broadcast(0x01010101);
                    return codes[p];
                }();
                sum[h][p][0] = add_quad(sum[h][p][0], multiplied, from);
            }
        }
    }

    /// Makes sums of codes sums of levels, as far as start() has not.
    template <bool SumsFit16Bits>
    QUANT_DETAIL_INLINE void end(const lane_grid<S> (&grid)[P], memory& base) noexcept {
        for_token_pairs(simd::deinterleave_tokens);
        for_each_further_chain([&](auto h, auto c) QUANT_DETAIL_LAMBDA {
            constexpr int by = turns::shift_to_previous(c);
            auto& s = sum[h][0];
            s[c - 1] = s[c - 1] + (by > 0 ? simd::shift_right_signed<by>(s[c]) : s[c]);
        });
        if constexpr (pairs_hold_step) {
            for_each_sum(sum, [](simd::i32x16& s) QUANT_DETAIL_LAMBDA {
                s = simd::fold_pairs<1>(simd::broadcast<std::int32_t>(0), s);
            });
        }
        if constexpr (doubles_sums) {
            QUANT_DETAIL_UNROLLED
            for (std::size_t h = 0; h < halves; ++h) {
                store_sum<-S::offset>(activation_sum[h], base[h]);
            }
            for_each_shift<SumsFit16Bits>(grid, base,
                                          [](simd::i32x16& s, const simd::i32x16& shift)
                                              QUANT_DETAIL_LAMBDA { s = s + s + shift; });
        } else if constexpr (shift_at_end && shift_factor != 0) {
            for_each_shift<SumsFit16Bits>(grid, base,
                                          [](simd::i32x16& s, const simd::i32x16& shift)
                                              QUANT_DETAIL_LAMBDA { s = s + shift; });
        }
    }

    /// The step's dot product as float.
    QUANT_DETAIL_INLINE simd::f32x16 total(std::size_t p, std::size_t t) const noexcept {
        return total_of<A>(sum[0][p][t], sum[halves - 1][p][t]);
    }

    /// Σ x̂ of the step, one lane per token; of one token, a number.
    QUANT_DETAIL_INLINE auto activation_totals() const noexcept {
        return activation_total<A>(activation_sum);
    }

private:
    /// Factor · sum, to broadcast from.
    template <int Factor, class Sum>
    QUANT_DETAIL_INLINE static void
    store_sum(const Sum& sum, std::int32_t (&to)[simd::native_size<std::int32_t>]) noexcept {
        if constexpr (T == 1) {
            simd::store_to_broadcast(to, Factor * sum);
        } else {
            simd::store_to_broadcast(to, simd::native_times<Factor>(sum));
        }
    }

    template <class F>
    QUANT_DETAIL_INLINE static void for_each_sum(sum_array& sums, F f) noexcept {
        QUANT_DETAIL_UNROLLED
        for (std::size_t h = 0; h < halves; ++h) {
            QUANT_DETAIL_UNROLLED
            for (std::size_t p = 0; p < P; ++p) {
                QUANT_DETAIL_UNROLLED
                for (std::size_t t = 0; t < T; ++t) f(sums[h][p][t]);
            }
        }
    }

    /// f(half, chain) for each chain but the first, the last one first.
    template <class F>
    QUANT_DETAIL_INLINE static void for_each_further_chain(F f) noexcept {
        unroll<halves>([&](auto h) QUANT_DETAIL_LAMBDA {
            unroll<chains - 1>([&](auto c)
                                   QUANT_DETAIL_LAMBDA { f(h, index_constant<chains - 1 - c>{}); });
        });
    }

    /// Adds quads First … Last − 1, each decoded before its products.
    template <std::size_t First, std::size_t Last>
    QUANT_DETAIL_INLINE void add_quads(const std::byte* const (&panels)[P], std::size_t at,
                                       const std::byte* x, std::size_t half_bytes) noexcept {
        [[maybe_unused]] kept_lines<S::bits> lines[P];
        unroll<Last - First>([&](auto q) QUANT_DETAIL_LAMBDA {
            if constexpr (reads_in_turn && q > 0) {
                for_each_sum(sum, simd::compute_first<std::int32_t>);
                simd::then_read();
            }
            simd::i32x16 codes[P];
            if constexpr (keeps_lines) {
                QUANT_DETAIL_UNROLLED
                for (std::size_t p = 0; p < P; ++p) {
                    codes[p] = raised(
                        lines[p].template decode<First + q, First, operand::form>(panels[p] + at),
                        p);
                }
            } else {
                decode<First + q>(panels, at, codes);
                if constexpr (keeps_codes) {
                    QUANT_DETAIL_UNROLLED
                    for (auto& c : codes) c = simd::keep_in_register(c);
                }
            }
            multiply_quad(codes, x + q * T * quad_cols, half_bytes, sum,
                          [](simd::i32x16& s, const simd::i32x16& c, const std::int8_t* quad)
                              QUANT_DETAIL_LAMBDA { s = add_quad(s, c, quad); });
        });
    }

    /// Adds quads First … Last − 1 of one token and one panel. Registers hold all lines of codes in
    /// several planes; reading them first, from front to back, is what memory is fastest at.
    template <std::size_t First, std::size_t Last>
    QUANT_DETAIL_INLINE void add_in_turns(const std::byte* superblock, const std::byte* x,
                                          std::size_t half_bytes) noexcept {
        kept_lines<S::bits> lines;
        if constexpr (S::bits < 8) lines.template read<First, Last>(superblock);
        unroll<Last - First>([&](auto q) QUANT_DETAIL_LAMBDA {
            constexpr std::size_t quad = First + q;
            constexpr code_form form{false, turns::raise(quad), operand::form.clean};
            const auto decoded = [&]() QUANT_DETAIL_LAMBDA {
                if constexpr (S::bits < 8) return lines.template decode<quad, form>();
                return lines.template decode<quad, First, form>(superblock);
            }();
            const simd::i32x16 codes = raised(decoded, 0);
            QUANT_DETAIL_UNROLLED
            for (std::size_t h = 0; h < halves; ++h) {
                const auto* from = reinterpret_cast<const std::int8_t*>(x + h * half_bytes);
                auto& to = sum[h][0][turns::chain(quad)];
                to = simd::dot4_at<8>(to, codes, from + q * quad_cols);
            }
        });
    }

    /// sum + codes · quad, as sums are from start() to end().
    QUANT_DETAIL_INLINE static simd::i32x16
    add_quad(const simd::i32x16& to, const simd::i32x16& codes, const std::int8_t* quad) noexcept {
        if constexpr (pairs_hold_step) return simd::add_pairs(to, codes, simd::load_quad(quad));
        if constexpr (P == 1) return simd::dot4_at<operand_bits>(to, codes, quad);
        return simd::dot4<operand_bits>(to, codes, simd::load_quad(quad));
    }

    /// f(sum, shift) for each sum, with the shift −(offset + z)·Σ x̂ that is due to it.
    template <bool SumsFit16Bits, class F>
    QUANT_DETAIL_INLINE void for_each_shift(const lane_grid<S> (&grid)[P], const memory& base,
                                            F f) noexcept {
        simd::i32x16 zero_points[P];
        if constexpr (S::has_zero_point) {
            QUANT_DETAIL_UNROLLED
            for (std::size_t p = 0; p < P; ++p) zero_points[p] = grid[p].zero_point();
        }
        QUANT_DETAIL_UNROLLED
        for (std::size_t h = 0; h < halves; ++h) {
            QUANT_DETAIL_UNROLLED
            for (std::size_t t = 0; t < T; ++t) {
                const auto by = simd::broadcast(base[h][t]);
                QUANT_DETAIL_UNROLLED
                for (std::size_t p = 0; p < P; ++p) {
                    if constexpr (!S::has_zero_point) {
                        f(sum[h][p][t], by);
                    } else if constexpr (SumsFit16Bits) {
                        f(sum[h][p][t], simd::multiply_low_halves(zero_points[p], by));
                    } else {
                        f(sum[h][p][t], zero_points[p] * by);
                    }
                }
            }
        }
    }

    /// f(sum, sum of the next token) for the tokens that are multiplied two at a time. By constant
    /// indices: clang 19 keeps more sums on the stack where f exchanges their lanes in a loop.
    template <class F>
    QUANT_DETAIL_INLINE void for_token_pairs(F f) noexcept {
        unroll<halves * P*(paired_tokens / 2)>([&](auto i) QUANT_DETAIL_LAMBDA {
            constexpr std::size_t pairs = paired_tokens / 2;
            auto& sums = sum[i / pairs / P][i / pairs % P];
            f(sums[i % pairs * 2], sums[i % pairs * 2 + 1]);
        });
    }

    /// Two quads that follow each other: pairs of tokens by dot8, the odd one by dot4.
    QUANT_DETAIL_INLINE void multiply_two_quads(const simd::i32x16 (&even)[P],
                                                const simd::i32x16 (&odd_quad)[P],
                                                const std::byte* x,
                                                std::size_t half_bytes) noexcept {
        QUANT_DETAIL_UNROLLED
        for (std::size_t h = 0; h < halves; ++h) {
            const auto* even_x = reinterpret_cast<const std::int8_t*>(x + h * half_bytes);
            const auto* odd_x = even_x + T * quad_cols;
            QUANT_DETAIL_UNROLLED
            for (std::size_t p = 0; p < P; ++p) {
                auto& sums = sum[h][p];
                simd::dot8<paired_tokens / 2>(sums, even[p], odd_quad[p], even_x, odd_x);
                if constexpr (paired_tokens < T) {
                    constexpr std::size_t t = paired_tokens;
                    sums[t] = simd::dot4<operand_bits>(sums[t], even[p],
                                                       simd::load_quad(even_x + t * quad_cols));
                    sums[t] = simd::dot4<operand_bits>(sums[t], odd_quad[p],
                                                       simd::load_quad(odd_x + t * quad_cols));
                }
            }
        }
    }

    /// Adds quads First … Last − 1 by products of 16 bits; x: widened activations.
    template <std::size_t First, std::size_t Last>
    QUANT_DETAIL_INLINE void add_widened(const std::byte* const (&panels)[P], std::size_t at,
                                         const std::byte* x, std::size_t half_bytes) noexcept {
        unroll<Last - First>([&](auto q) QUANT_DETAIL_LAMBDA {
            simd::i32x16 codes[P];
            decode<First + q>(panels, at, codes);
            unroll<2>([&](auto is_odd) QUANT_DETAIL_LAMBDA {
                simd::i32x16 widened_codes[P];
                QUANT_DETAIL_UNROLLED
                for (std::size_t p = 0; p < P; ++p)
                    widened_codes[p] = simd::widen<is_odd>(codes[p]);
                QUANT_DETAIL_UNROLLED
                for (std::size_t h = 0; h < halves; ++h) {
                    QUANT_DETAIL_UNROLLED
                    for (std::size_t t = 0; t < T; ++t) {
                        const auto pair = simd::widened_pair<is_odd>(x + h * half_bytes, q * T + t);
                        QUANT_DETAIL_UNROLLED
                        for (std::size_t p = 0; p < P; ++p) {
                            auto& s = sum[h][p][t];
                            s = simd::add_products(s, widened_codes[p], pair);
                        }
                    }
                }
            });
        });
    }

    /// Adds quads First … Last − 1, whose sums of pairs fit 16 bits, of what `part` makes of codes.
    template <std::size_t First, std::size_t Last, int Weight, class Part>
    QUANT_DETAIL_INLINE void add_pair_sums(const std::byte* const (&panels)[P], std::size_t at,
                                           const std::byte* x, std::size_t half_bytes,
                                           Part part) noexcept {
        sum_array pairs;
        for_each_sum(pairs, [](simd::i32x16& s)
                                QUANT_DETAIL_LAMBDA { s = simd::broadcast<std::int32_t>(0); });
        unroll<Last - First>([&](auto q) QUANT_DETAIL_LAMBDA {
            simd::i32x16 codes[P];
            decode<First + q>(panels, at, codes);
            QUANT_DETAIL_UNROLLED
            for (std::size_t p = 0; p < P; ++p) part(codes[p]);
            multiply_quad(
                codes, x + q * T * quad_cols, half_bytes, pairs,
                [](simd::i32x16& s, const simd::i32x16& c, const std::int8_t* quad)
                    QUANT_DETAIL_LAMBDA { s = simd::add_pairs(s, c, simd::load_quad(quad)); });
        });
        QUANT_DETAIL_UNROLLED
        for (std::size_t h = 0; h < halves; ++h) {
            QUANT_DETAIL_UNROLLED
            for (std::size_t p = 0; p < P; ++p) {
                QUANT_DETAIL_UNROLLED
                for (std::size_t t = 0; t < T; ++t) {
                    sum[h][p][t] = simd::fold_pairs<Weight>(sum[h][p][t], pairs[h][p][t]);
                }
            }
        }
    }

    template <std::size_t Quad>
    QUANT_DETAIL_INLINE void decode(const std::byte* const (&panels)[P], std::size_t at,
                                    simd::i32x16 (&codes)[P]) const noexcept {
        QUANT_DETAIL_UNROLLED
        for (std::size_t p = 0; p < P; ++p) {
            codes[p] = raised(decode_quad<S::bits, Quad, operand::form>(panels[p] + at), p);
        }
    }

    /// What is multiplied for decoded codes: a step, where they name their steps themselves.
    QUANT_DETAIL_INLINE simd::i32x16 raised(const simd::i32x16& codes,
                                            [[maybe_unused]] std::size_t panel) const noexcept {
        if constexpr (S::tables == 2) return operand::of(codes, tables[panel]);
        return operand::of(codes, codes);
    }

    /// dot(sum, codes, quad) for all sums of one quad. One function for all quads: compilers' time
    /// goes by their number.
    template <class Dot>
    QUANT_DETAIL_INLINE static void multiply_quad(const simd::i32x16 (&codes)[P],
                                                  const std::byte* x, std::size_t half_bytes,
                                                  sum_array& sums, Dot dot) noexcept {
        QUANT_DETAIL_UNROLLED
        for (std::size_t h = 0; h < halves; ++h) {
            const auto* from = reinterpret_cast<const std::int8_t*>(x + h * half_bytes);
            QUANT_DETAIL_UNROLLED
            for (std::size_t t = 0; t < T; ++t) {
                QUANT_DETAIL_UNROLLED
                for (std::size_t p = 0; p < P; ++p) {
                    dot(sums[h][p][t], codes[p], from + t * quad_cols);
                }
            }
        }
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
