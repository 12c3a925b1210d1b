// Pairs of 16-bit integers, and the nearest steps that searches find with them.
#include <quant/policy/presets.hpp>
#include <quant/quantize/fixed_steps.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <tuple>

using namespace quant;

namespace {

/// 32 halves: lane i's are 2i and 2i + 1.
using line = std::array<std::int16_t, 32>;

simd::i32x16 lanes_of(const line& halves) {
    std::array<std::int32_t, 16> lanes{};
    for (std::size_t i = 0; i < 16; ++i) {
        const auto lower = static_cast<std::uint16_t>(halves[2 * i]);
        const auto upper = static_cast<std::uint16_t>(halves[2 * i + 1]);
        lanes[i] = static_cast<std::int32_t>(lower | static_cast<std::uint32_t>(upper) << 16);
    }
    return simd::load<std::int32_t>(lanes.data());
}
std::array<std::int32_t, 16> integers_of(const simd::i32x16& value) {
    std::array<std::int32_t, 16> lanes{};
    simd::store(lanes.data(), value);
    return lanes;
}
line halves_of(const simd::i32x16& value) {
    line halves{};
    const auto lanes = integers_of(value);
    for (std::size_t i = 0; i < 16; ++i) {
        halves[2 * i] = static_cast<std::int16_t>(lanes[i]);
        halves[2 * i + 1] = static_cast<std::int16_t>(lanes[i] >> 16);
    }
    return halves;
}

/// f(lines) of many: random ones, small ones and ends of the range.
template <class F>
void for_many_lines(F&& f) {
    std::mt19937 random(5);
    const auto any = [&](int round) {
        line made{};
        for (auto& half : made) {
            const auto bits = static_cast<std::uint32_t>(random());
            static constexpr std::array<std::int16_t, 6> ends{-32767, -1, 0, 1, 16384, 32767};
            half = round % 3 == 0   ? static_cast<std::int16_t>(bits >> 16)
                   : round % 3 == 1 ? static_cast<std::int16_t>(bits % 41) // often equal
                                    : ends[bits % ends.size()];
        }
        return made;
    };
    for (int round = 0; round < 200; ++round) f(any(round), any(round), any(round / 3));
}

/// That what is done with halves is what `expected` does with each.
template <class Made, class Expected>
void check_each(const Made& made, const Expected& expected) {
    const line halves = halves_of(made);
    for (std::size_t i = 0; i < 32; ++i) {
        CAPTURE(i);
        REQUIRE(halves[i] == static_cast<std::int16_t>(expected(i)));
    }
}

} // namespace

TEST_CASE("halves of lanes are integers of their own", "[simd]") {
    for_many_lines([](const line& a, const line& b, const line& c) {
        const auto x = lanes_of(a), y = lanes_of(b), z = lanes_of(c);
        check_each(simd::high_product(x, y), [&](std::size_t i) {
            // −2^15 with itself is not asked for.
            return a[i] == -32768 && b[i] == -32768 ? halves_of(simd::high_product(x, y))[i]
                                                    : (a[i] * b[i] + 16384) >> 15;
        });
        check_each(simd::add_halves(x, y), [&](std::size_t i) { return a[i] + b[i]; });
        check_each(simd::subtract_halves_saturating(x, y),
                   [&](std::size_t i) { return std::clamp(a[i] - b[i], -32768, 32767); });
        check_each(simd::clamp_halves(x, simd::broadcast_halves(-7), simd::broadcast_halves(12)),
                   [&](std::size_t i) { return std::clamp<int>(a[i], -7, 12); });
        check_each(simd::shift_halves<1>(x), [&](std::size_t i) { return a[i] >> 1; });
        check_each(simd::shift_halves<9>(x), [&](std::size_t i) { return a[i] >> 9; });
        check_each(simd::add_where_greater(z, x, y, simd::broadcast_halves(-300)),
                   [&](std::size_t i) { return a[i] > b[i] ? c[i] - 300 : c[i]; });
    });
}

TEST_CASE("products of halves are summed in lanes", "[simd]") {
    for_many_lines([](const line& a, const line& b, const line& c) {
        const auto start = integers_of(lanes_of(c));
        const auto sums = integers_of(simd::dot2(lanes_of(c), lanes_of(a), lanes_of(b)));
        for (std::size_t i = 0; i < 16; ++i) {
            const std::int64_t sum = std::int64_t{start[i]} + a[2 * i] * b[2 * i] +
                                     std::int64_t{a[2 * i + 1]} * b[2 * i + 1];
            CAPTURE(i);
            REQUIRE(sums[i] == static_cast<std::int32_t>(static_cast<std::uint64_t>(sum)));
        }
    });
}

TEST_CASE("lanes become halves", "[simd]") {
    std::array<std::int32_t, 16> lower{}, upper{};
    for (int i = 0; i < 16; ++i) {
        lower[static_cast<std::size_t>(i)] = 1000 * i - 7000;
        upper[static_cast<std::size_t>(i)] = 5 - 2000 * i;
    }
    const auto low = simd::load<std::int32_t>(lower.data());
    const auto high = simd::load<std::int32_t>(upper.data());
    check_each(simd::pair_up(low, high),
               [&](std::size_t i) { return i % 2 == 0 ? lower[i / 2] : upper[i / 2]; });
    check_each(simd::in_both_halves(low), [&](std::size_t i) { return lower[i / 2]; });
}

// Of tables there are three ways: two by cells, where these can be looked up, and step by step.
using presets_of_steps =
    std::tuple<presets::q4_0, presets::q8_0, presets::iq3_s, presets::q1_0, presets::tq2_0,
               presets::q2_0, presets::iq1_s, presets::iq2_s, presets::iq3_xxs, presets::iq4_nl,
               presets::mxfp4, presets::mxfp6_e2m3, presets::best_2_7, presets::best_3_4,
               presets::best_4_5, presets::best_5_5, presets::best_6_5,
               scheme<int8, midrise, group_wise<32>, fp16>>;

TEMPLATE_LIST_TEST_CASE("steps in fixed point are the nearest", "[simd]", presets_of_steps) {
    using S = TestType;
    constexpr int table = S::tables - 1;
    constexpr int one = 1 << detail::step_fraction<S>;
    constexpr const auto& steps = detail::ladder<S, table>;
    const detail::fixed_bounds bounds{
        simd::broadcast_halves(static_cast<std::int16_t>(steps.step[0])),
        simd::broadcast_halves(static_cast<std::int16_t>(steps.step[steps.count - 1]))};
    for (int first = -16384; first < 16384; first += 32) {
        line t{};
        for (int i = 0; i < 32; ++i) {
            t[static_cast<std::size_t>(i)] = static_cast<std::int16_t>(first + i);
        }
        check_each(detail::nearest_fixed_steps<S, table>(lanes_of(t), bounds), [&](std::size_t i) {
            int nearest = steps.step[0];
            for (std::size_t k = 1; k < steps.count; ++k) {
                const int from_here = std::abs(t[i] - steps.step[k] * one);
                const int from_nearest = std::abs(t[i] - nearest * one);
                const bool prefer = S::is_linear && from_here == from_nearest;
                if (from_here < from_nearest || prefer) nearest = steps.step[k];
            }
            return nearest;
        });
    }
}
