// Two levels of scales: integers of groups and the super-scale above them, chosen together.
//
//   1. Each group: the best scale for every table and sign (or the best line), by least squares.
//   2. The super-scale: of some candidates, the one under which integers next to those scales lose
//      least, by the parabola that the error is around each of them; then the super-minimum
//      likewise, if there is one.
//   3. Each group: the integers around its best scales, with all codes made anew.
//   4. Without minimums, the super-scale again, by least squares for these codes, and the integers
//      around once more.
#pragma once

#include <quant/quantize/search.hpp>
#include <quant/quantize/two_level_groups.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace quant::inline QUANT_ABI {
namespace detail {

template <quantization_scheme S>
class two_level_search {
    static constexpr std::size_t group = S::group_cols;
    static_assert(group <= longest_lane_group,
                  "quant: groups under a super-scale have at most 256 columns");
    static constexpr std::size_t blocks = div_ceil(S::super_groups, std::size_t{16});
    /// Whether all weights of a super-group stay laid out: few enough for a first-level cache.
    static constexpr bool keeps_tiles = blocks * group <= 256;
    static constexpr bool is_signed = S::least_scale < 0;
    static constexpr std::size_t signs = is_signed && !S::has_minimum ? 2 : 1;
    static constexpr std::size_t ways = static_cast<std::size_t>(S::tables) * signs;
    using super_type = typename S::super_type;
    /// The outermost steps of a table; codes that are no table's do not ascend.
    static constexpr bool in_table = S::levels == level_kind::table;
    template <int Table>
    static constexpr float least_step = in_table ? S::step(0, Table) : S::least_step;
    template <int Table>
    static constexpr float greatest_step =
        in_table ? S::step(S::max_code, Table) : S::greatest_step;

public:
    /// Finds the numbers of a super-group of n columns, from group g of the row on; `magnitude` is
    /// that of its weights. False if the super-scale exceeds its type.
    [[nodiscard]] bool run(const float* weights, const float* importance, std::size_t n,
                           float magnitude, const row_numbers<S, true>& row,
                           std::size_t g) noexcept {
        weights_ = weights;
        importance_ = importance;
        if (importance != nullptr &&
            std::all_of(importance, importance + n, [](float factor) { return factor == 0; })) {
            importance_ = nullptr; // nothing counts: then all alike
        }
        cols_ = n;
        fits_ = true;
        groups_ = div_ceil(n, group);
        by_.weight = normalizing_factor(magnitude);
        by_.importance = normalizing_factor(importance_, n);
        if constexpr (keeps_tiles) {
            for (std::size_t b = 0; b < used_blocks(); ++b) tiles_[b] = laid_out(b);
        }
        const std::size_t super = g / S::super_groups;
        float scale = 0, minimum = 0;
        if constexpr (S::has_minimum) {
            fit_lines(scale, minimum);
            choose_lines(scale, minimum);
            row.super_minimums[super] = super_type(minimum / by_.weight);
        } else {
            fit_ways();
            scale = choose_super();
            choose_values(scale, 1);
            scale = refit(scale);
            choose_values(scale, 2);
        }
        row.supers[super] = super_type(scale / by_.weight);
        for (std::size_t i = 0; i < groups_; ++i) {
            const group_choice& chosen = choice_[i / 16];
            row.scales[g + i] = S::scale_byte(chosen.value[i % 16], chosen.table[i % 16]);
            if constexpr (S::has_minimum) {
                row.offsets[g + i] = static_cast<std::uint8_t>(chosen.minimum[i % 16]);
            }
        }
        check_levels(row, g);
        return fits_;
    }

private:
    [[nodiscard]] search_tile tile(std::size_t block) noexcept {
        if (keeps_tiles) return tiles_[block];
        return laid_out(block);
    }
    [[nodiscard]] search_tile laid_out(std::size_t block) noexcept {
        const std::size_t c = block * 16 * group;
        return lay_out(weights_ + c, importance_ == nullptr ? nullptr : importance_ + c,
                       std::min(cols_ - c, 16 * group), group, false, by_, integers_of<S>,
                       room_[keeps_tiles ? block : 0]);
    }
    [[nodiscard]] std::size_t used_blocks() const noexcept {
        return div_ceil(groups_, std::size_t{16});
    }
    /// What a super-scale is once stored; as all numbers here, for weights times by_.weight.
    [[nodiscard]] float stored(float super) const noexcept {
        const auto rounded = static_cast<float>(super_type(super / by_.weight));
        return std::fabs(rounded) < 0x1p-126f ? 0.0f : rounded * by_.weight;
    }
    void check(float super) noexcept { fits_ = fits_ && std::isfinite(super); }
    /// Levels, too, must be finite, or weights near the largest float would come back infinite.
    void check_levels(const row_numbers<S, true>& row, std::size_t g) noexcept {
        constexpr float farthest = std::max(-S::least_step, S::greatest_step) * S::unit;
        const std::size_t super = g / S::super_groups;
        for (std::size_t i = 0; i < groups_; ++i) {
            const auto value = static_cast<float>(choice_[i / 16].value[i % 16]);
            check(static_cast<float>(row.supers[super]) * value * farthest);
            if constexpr (S::has_minimum) {
                const auto minimum = static_cast<float>(choice_[i / 16].minimum[i % 16]);
                check(static_cast<float>(row.super_minimums[super]) * minimum);
            }
        }
    }

    /// f(way, table, sign) with the table as a compile-time constant.
    template <class F>
    static void for_each_way(F&& f) noexcept {
        unroll<static_cast<std::size_t>(S::tables)>([&](auto table) {
            for (std::size_t s = 0; s < signs; ++s) f(table * signs + s, table, s == 1);
        });
    }

    /// Shares of the min-max scale that are tried; see search_shares.
    [[nodiscard]] static constexpr auto first_shares() noexcept {
        if constexpr (group < 16 && S::bits <= 2) {
            return std::array<float, 2>{1.0f, 0.75f};
        } else if constexpr (S::bits <= 2 || (!has_short_groups<S> && S::bits == 3)) {
            return std::array<float, 4>{1.0f, 0.85f, 0.7f, 0.55f};
        } else if constexpr (!has_short_groups<S>) {
            return std::array<float, 3>{1.0f, 0.85f, 0.7f};
        } else if constexpr (S::bits == 3) {
            return std::array<float, 4>{1.0f, 0.93f, 0.85f, 0.74f};
        } else if constexpr (S::bits == 4) {
            return std::array<float, 3>{1.04f, 0.98f, 0.92f};
        } else {
            return std::array<float, 3>{1.1f, 1.04f, 1.0f};
        }
    }

    void fit_ways() noexcept {
        for (std::size_t b = 0; b < used_blocks(); ++b) {
            const search_tile groups = tile(b);
            const tile_extents& extents = groups.extents;
            for_each_way([&](std::size_t way, auto table, bool mirrored) {
                constexpr int t = static_cast<int>(table);
                const auto low = mirrored ? minus(extents.highest) : extents.lowest;
                const auto high = mirrored ? minus(extents.lowest) : extents.highest;
                auto from = scale_to_reach(low, high, least_step<t>, greatest_step<t>);
                if (mirrored) from = minus(from);
                keep_better by_gain{simd::broadcast(0.0f)};
                auto scale = simd::broadcast(0.0f), squares = simd::broadcast(1.0f);
                constexpr auto shares = first_shares();
                simd::f32x16 guesses[shares.size()];
                for (std::size_t i = 0; i < shares.size(); ++i) {
                    guesses[i] = from * simd::broadcast(shares[i]);
                }
                step_sums sums[shares.size()];
                sum_many_steps<S, t>(groups, guesses, bounds_of<S>(), sums);
                for (const step_sums& one : sums) {
                    by_gain.offer(one.gain(), scale, one.best_scale(), squares, one.vqq);
                }
                simd::store(ways_[b].scale[way], by_unit<S>(scale));
                simd::store(ways_[b].squares[way], squares * simd::broadcast(S::unit * S::unit));
                simd::store(ways_[b].gain[way], by_gain.score);
            });
        }
    }

    /// The super-scale under which integers next to the groups' best scales lose least.
    [[nodiscard]] float choose_super() noexcept {
        auto magnitudes = simd::broadcast(0.0f); // lanes without a group have zeros
        for (std::size_t b = 0; b < used_blocks(); ++b) {
            auto gain = simd::load<float>(ways_[b].gain[0]);
            auto scale = simd::load<float>(ways_[b].scale[0]);
            for (std::size_t way = 1; way < ways; ++way) {
                const auto other = simd::load<float>(ways_[b].gain[way]);
                scale = simd::select_greater(other, gain, simd::load<float>(ways_[b].scale[way]),
                                             scale);
                gain = simd::max(gain, other);
            }
            magnitudes = simd::max(magnitudes, simd::abs(scale));
        }
        float each[16];
        simd::store(each, magnitudes);
        const float base =
            *std::max_element(each, each + 16) / static_cast<float>(S::greatest_scale);
        check(stored(base));
        if (!fits_ || stored(base) == 0) return 0;
        // base/4 … 1.6·base by equal factors.
        constexpr bool closely = S::bits == 8;
        constexpr float factor = closely ? 1.0617036f : 1.1317433f; // 6.4^(1/31), 6.4^(1/15)
        best_super best{stored(base)};
        float first = base * 0.25f;
        for (int i = 0; i < (closely ? 2 : 1); ++i) {
            const super_candidates candidates = candidates_from(first, factor);
            best.offer(candidates, loss_under(candidates));
            first = candidates.wanted_after;
        }
        return best.super;
    }

    /// Sixteen super-scales, lane by lane: what they are once stored.
    struct super_candidates {
        simd::f32x16 super;
        float wanted_after; ///< the one behind the last, not stored
    };
    /// first, first·factor, …: written out, since no libm decides bytes.
    [[nodiscard]] super_candidates candidates_from(float first, float factor) const noexcept {
        float lanes_of_it[16];
        for (float& candidate : lanes_of_it) {
            candidate = first;
            first *= factor;
        }
        const auto wanted = simd::load<float>(lanes_of_it) / simd::broadcast(by_.weight);
        const auto rounded = simd::rounded_to<super_type>(wanted);
        const auto zero = simd::broadcast(0.0f);
        return {select_tiny(rounded, zero, rounded) * simd::broadcast(by_.weight), first};
    }
    /// The candidate with the least loss, the first of equals; not zero or infinite.
    struct best_super {
        float super;
        float loss = std::numeric_limits<float>::infinity();

        void offer(const super_candidates& candidates, const simd::f32x16& losses) noexcept {
            float supers[16], loss_of[16];
            simd::store(supers, candidates.super);
            simd::store(loss_of, losses);
            for (std::size_t i = 0; i < 16; ++i) {
                if (loss_of[i] < loss && supers[i] != 0 && std::isfinite(supers[i])) {
                    loss = loss_of[i];
                    super = supers[i];
                }
            }
        }
    };

    /// Σ over groups of what the nearest integers under each candidate lose, of all ways the best.
    [[nodiscard]] simd::f32x16 loss_under(const super_candidates& candidates) const noexcept {
        const auto inverse = inverse_of(candidates.super);
        auto sum = simd::broadcast(0.0f);
        for (std::size_t i = 0; i < groups_; ++i) {
            const group_ways& of = ways_[i / 16];
            auto least = simd::broadcast(std::numeric_limits<float>::infinity());
            for (std::size_t way = 0; way < ways; ++way) {
                const auto scale = simd::broadcast(of.scale[way][i % 16]);
                const auto value = integer_near(scale * inverse);
                const auto off =
                    scale - simd::rounded_product(candidates.super, simd::to_float(value));
                const auto lost =
                    simd::rounded_product(simd::broadcast(of.squares[way][i % 16]) * off, off);
                least = simd::min(least, lost - simd::broadcast(of.gain[way][i % 16]));
            }
            sum = sum + least;
        }
        return sum;
    }

    [[nodiscard]] static simd::i32x16 integer_near(const simd::f32x16& scale) noexcept {
        const auto inside =
            simd::min(simd::max(scale, simd::broadcast(static_cast<float>(S::least_scale))),
                      simd::broadcast(static_cast<float>(S::greatest_scale)));
        return simd::nearest(inside);
    }
    [[nodiscard]] static simd::i32x16 beside(const simd::i32x16& value, int by) noexcept {
        return simd::min(simd::max(value + simd::broadcast<std::int32_t>(by),
                                   simd::broadcast<std::int32_t>(S::least_scale)),
                         simd::broadcast<std::int32_t>(S::greatest_scale));
    }

    /// The integers with the least error under a super-scale: round 1 looks around the best scale
    /// of each way, round 2 around the integer so far with each table.
    void choose_values(float super, int round) noexcept {
        constexpr std::size_t reach = S::bits >= 6 && S::tables == 1 ? 2 : 1;
        const auto by = simd::broadcast(super), inverse = inverse_of(by);
        for (std::size_t b = 0; b < used_blocks(); ++b) {
            const search_tile groups = tile(b);
            group_choice& chosen = choice_[b];
            auto value = simd::broadcast<std::int32_t>(0), table = value;
            auto vwq = simd::broadcast(0.0f), vqq = vwq;
            keep_better by_gain{simd::broadcast(0.0f)}; // that of zeros
            // The integers up to Reach away from one of them.
            const auto offer_around = [&](auto t, const simd::i32x16& near, auto reach_of_it) {
                constexpr int most = static_cast<int>(reach_of_it);
                constexpr std::size_t count = 2 * most + 1;
                simd::i32x16 integers[count];
                simd::f32x16 scales[count];
                for (int d = -most; d <= most; ++d) {
                    integers[d + most] = beside(near, d);
                    scales[d + most] = times_unit<S>(
                        simd::rounded_product(by, simd::to_float(integers[d + most])));
                }
                step_sums sums[count];
                sum_many_steps<S, static_cast<int>(t)>(groups, scales, bounds_of<S>(), sums);
                for (std::size_t i = 0; i < count; ++i) {
                    by_gain.offer(sums[i].gain_of(scales[i]), value, integers[i], table,
                                  simd::broadcast(static_cast<std::int32_t>(t)), vwq, sums[i].vwq,
                                  vqq, sums[i].vqq);
                }
            };
            if (round == 1) {
                for_each_way([&](std::size_t way, auto t, bool) {
                    offer_around(t, integer_near(simd::load<float>(ways_[b].scale[way]) * inverse),
                                 index_constant<reach>{});
                });
            } else {
                const auto near = simd::load<std::int32_t>(chosen.value);
                unroll<static_cast<std::size_t>(S::tables)>(
                    [&](auto t) { offer_around(t, near, index_constant<1>{}); });
            }
            simd::store(chosen.value, value);
            simd::store(chosen.table, table);
            simd::store(chosen.vwq, vwq);
            simd::store(chosen.vqq, vqq);
        }
    }

    /// The super-scale that suits the codes chosen under `super`: Σ K·A / Σ K²·Q.
    [[nodiscard]] float refit(float super) const noexcept {
        auto above = simd::broadcast(0.0f), below = above;
        for (std::size_t b = 0; b < used_blocks(); ++b) {
            const auto value = simd::to_float(simd::load<std::int32_t>(choice_[b].value));
            above = above + simd::rounded_product(value, simd::load<float>(choice_[b].vwq));
            below = below + simd::rounded_product(value * value, simd::load<float>(choice_[b].vqq));
        }
        const float a = simd::sum_of_lanes(above), b = simd::sum_of_lanes(below);
        const float better = b > 0 ? stored(a / b / S::unit) : 0.0f;
        return better > 0 && std::isfinite(better) ? better : super;
    }

    /// With minimums: lines through each group, and the supers next to those that just hold the
    /// greatest of them under which the nearest integers lose least.
    void fit_lines(float& scale, float& minimum) noexcept {
        float widest = 0, lowest_minimum = 0;
        for (std::size_t b = 0; b < used_blocks(); ++b) {
            const search_tile groups = tile(b);
            const tile_extents& extents = groups.extents;
            auto m = simd::min(extents.lowest, simd::broadcast(0.0f));
            auto s = (extents.highest - m) / simd::broadcast(static_cast<float>(S::max_code));
            search_lines<S>(groups, s, m, [](simd::f32x16& width, simd::f32x16& least) {
                width = simd::max(width, simd::broadcast(0.0f));
                least = simd::min(least, simd::broadcast(0.0f));
            });
            const auto sums = sum_line<S>(groups, s, m);
            const auto slope = sums.vu / simd::max(sums.v, simd::broadcast(1e-37f));
            simd::store(ways_[b].scale, s);
            simd::store(ways_[b].minimum, m);
            simd::store(ways_[b].slope, slope);
            simd::store(ways_[b].squares, sums.vuu - simd::rounded_product(slope, sums.vu));
            simd::store(ways_[b].weight, sums.v);
            for (std::size_t i = 0; i < 16 && 16 * b + i < groups_; ++i) {
                widest = std::max(widest, ways_[b].scale[i]);
                lowest_minimum = std::min(lowest_minimum, ways_[b].minimum[i]);
            }
        }
        scale = stored(widest / static_cast<float>(S::greatest_scale));
        minimum = stored(lowest_minimum / static_cast<float>(S::greatest_minimum));
        check(scale);
        check(minimum);
        if (!fits_) scale = minimum = 0;
        scale =
            least_loss_near(scale, [&](const simd::f32x16& supers) { return scale_loss(supers); });
        minimum = least_loss_near(
            minimum, [&](const simd::f32x16& supers) { return minimum_loss(scale, supers); });
    }

    /// Of a super-scale and those around it, the one with the least loss; itself, if all are alike.
    template <class Loss>
    [[nodiscard]] float least_loss_near(float super, Loss loss_under) const noexcept {
        if (super == 0) return super;
        best_super best{super};
        const super_candidates itself{simd::broadcast(super), super};
        best.offer(itself, loss_under(itself.super));
        const super_candidates near = candidates_from(super * 0.84f, 1.01f);
        best.offer(near, loss_under(near.super));
        const super_candidates beyond = candidates_from(near.wanted_after, 1.01f);
        best.offer(beyond, loss_under(beyond.super));
        return best.super;
    }

    /// The minimum that suits a group's line once its scale is another one.
    [[nodiscard]] static simd::f32x16 minimum_under(const group_lines& of,
                                                    const simd::f32x16& scale) noexcept {
        return simd::load<float>(of.minimum) +
               simd::rounded_product(simd::load<float>(of.scale) - scale,
                                     simd::load<float>(of.slope));
    }
    [[nodiscard]] static simd::i32x16 minimum_near(const simd::f32x16& minimum,
                                                   const simd::f32x16& inverse_super) noexcept {
        const auto steps = minimum * inverse_super;
        return simd::nearest(simd::min(simd::max(steps, simd::broadcast(0.0f)),
                                       simd::broadcast(static_cast<float>(S::greatest_minimum))));
    }

    /// Σ over groups of what the integers nearest to their scales lose under each super-scale.
    [[nodiscard]] simd::f32x16 scale_loss(const simd::f32x16& supers) const noexcept {
        const auto inverse = inverse_of(supers);
        auto sum = simd::broadcast(0.0f);
        for (std::size_t i = 0; i < groups_; ++i) {
            const group_lines& of = ways_[i / 16];
            const auto scale = simd::broadcast(of.scale[i % 16]);
            const auto value = simd::to_float(integer_near(scale * inverse));
            const auto off = scale - simd::rounded_product(supers, value);
            sum = sum + simd::rounded_product(simd::broadcast(of.squares[i % 16]) * off, off);
        }
        return sum;
    }
    /// The same for each super-minimum, under a super-scale.
    [[nodiscard]] simd::f32x16 minimum_loss(float super_scale,
                                            const simd::f32x16& supers) const noexcept {
        const auto by = simd::broadcast(super_scale), inverse = inverse_of(by);
        const auto inverse_minimum = inverse_of(supers);
        auto sum = simd::broadcast(0.0f);
        for (std::size_t b = 0; b < used_blocks(); ++b) {
            const auto value = integer_near(simd::load<float>(ways_[b].scale) * inverse);
            alignas(64) float minimums[16];
            simd::store(minimums,
                        minimum_under(ways_[b], simd::rounded_product(by, simd::to_float(value))));
            for (std::size_t i = 0; i < 16 && 16 * b + i < groups_; ++i) {
                const auto minimum = simd::broadcast(minimums[i]);
                const auto least = simd::to_float(minimum_near(minimum, inverse_minimum));
                const auto off = minimum - simd::rounded_product(supers, least);
                sum = sum + simd::rounded_product(simd::broadcast(ways_[b].weight[i]) * off, off);
            }
        }
        return sum;
    }

    /// With minimums: the integers around those lines with the least error.
    void choose_lines(float super, float super_minimum) noexcept {
        const auto by = simd::broadcast(super), down = simd::broadcast(super_minimum);
        const auto inverse = inverse_of(by), inverse_minimum = inverse_of(down);
        const auto zero = simd::broadcast<std::int32_t>(0);
        const auto last = simd::broadcast<std::int32_t>(S::greatest_minimum);
        for (std::size_t b = 0; b < used_blocks(); ++b) {
            const search_tile groups = tile(b);
            const auto near = integer_near(simd::load<float>(ways_[b].scale) * inverse);
            auto value = near, minimum = zero;
            keep_better by_gain{minus(simd::broadcast(std::numeric_limits<float>::infinity()))};
            for (int d = -1; d <= 1; ++d) {
                const auto integer = beside(near, d);
                const auto scale = simd::rounded_product(by, simd::to_float(integer));
                const auto low = minimum_near(minimum_under(ways_[b], scale), inverse_minimum);
                for (int e = -1; e <= 1; ++e) {
                    const auto least =
                        simd::min(simd::max(low + simd::broadcast<std::int32_t>(e), zero), last);
                    const auto m = simd::rounded_product(down, simd::to_float(least));
                    const auto sums = sum_line<S>(groups, scale, m);
                    by_gain.offer(sums.gain(scale, m, groups.extents.lowest), value, integer,
                                  minimum, least);
                }
            }
            simd::store(choice_[b].value, value);
            simd::store(choice_[b].minimum, minimum);
            simd::store(choice_[b].table, zero);
        }
    }

    const float* weights_ = nullptr;
    const float* importance_ = nullptr;
    std::size_t cols_ = 0;
    std::size_t groups_ = 0;
    bool fits_ = true;
    tile_factors by_;
    std::conditional_t<S::has_minimum, group_lines, group_ways> ways_[blocks];
    group_choice choice_[blocks];
    search_tile tiles_[blocks];
    alignas(64) float room_[keeps_tiles ? blocks : 1][2 * 16 * group];
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
