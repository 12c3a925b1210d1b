// Observers of activations: ranges and histograms against their definitions, order and merging,
// errors.
#include "calibrate_observing.hpp"
#include "sizes.hpp"

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace quant;
using namespace observing;

namespace {

std::vector<float> column(const std::vector<float>& x, std::size_t cols, std::size_t c) {
    std::vector<float> made;
    for (std::size_t i = c; i < x.size(); i += cols) made.push_back(x[i]);
    return made;
}

value_range defined_range(const std::vector<float>& x) {
    return {*std::min_element(x.begin(), x.end()), *std::max_element(x.begin(), x.end())};
}

/// The definition: the least exponent with which all numbers fit, then one pass.
struct defined_histogram {
    int exponent = -149;
    std::int64_t first = 0;
    std::vector<std::uint64_t> counts;

    defined_histogram(const std::vector<float>& x, std::size_t bins) {
        const value_range range = defined_range(x);
        const auto bin = [&](float number) {
            return static_cast<std::int64_t>(
                std::floor(std::ldexp(static_cast<long double>(number), -exponent)));
        };
        const float most = std::max(std::fabs(range.lowest), std::fabs(range.highest));
        if (most > 0) exponent = std::max(-149, std::ilogb(most) - 22);
        while (bin(range.highest) - bin(range.lowest) >= static_cast<std::int64_t>(bins)) {
            ++exponent;
        }
        first = bin(range.lowest);
        counts.resize(static_cast<std::size_t>(bin(range.highest) - first) + 1);
        for (const float number : x) ++counts[static_cast<std::size_t>(bin(number) - first)];
    }
};

void check_histogram(const histogram_view& h, const std::vector<float>& x, std::size_t bins) {
    const defined_histogram expected(x, bins);
    REQUIRE(h.range == defined_range(x));
    REQUIRE(h.exponent == expected.exponent);
    REQUIRE(h.first == expected.first);
    REQUIRE(std::equal(h.counts.begin(), h.counts.end(), expected.counts.begin(),
                       expected.counts.end()));
    // The bound of a bin's width.
    const double spread =
        static_cast<double>(h.range.highest) - static_cast<double>(h.range.lowest);
    const int finest =
        h.range.max_abs() == 0 ? -149 : std::max(-149, std::ilogb(h.range.max_abs()) - 22);
    REQUIRE((h.exponent == finest || h.width() < 2 * spread / (static_cast<double>(bins) - 1)));
}

/// Numbers of which each batch widens the range.
std::vector<float> growing_numbers() {
    std::vector<float> made = {0.0f, -0.0f, least_float, -least_float};
    for (int e = -149; e <= 127; e += 3) {
        made.push_back(std::ldexp(1.0f, e));
        made.push_back(-std::ldexp(0.7f, e));
    }
    made.insert(made.end(), {FLT_MAX, -FLT_MAX, 1.0f, -1.0f});
    return made;
}

} // namespace

TEST_CASE("ranges of tensors and of channels are exact, for every width, type and stride") {
    for (const std::size_t cols : {1u, 3u, 15u, 16u, 17u, 32u, 100u}) {
        for (const std::size_t rows : {1u, 2u, 9u}) {
            CAPTURE(rows, cols);
            const auto x = random_numbers(rows * cols, 5.0f);
            auto whole = min_max_observer::per_tensor();
            auto each = min_max_observer::per_channel(cols);
            whole.observe(as_rows(x, cols));
            each.observe(as_rows(x, cols));
            REQUIRE(whole.range() == defined_range(x));
            REQUIRE(each.channels() == cols);
            REQUIRE(each.tokens() == rows);
            for (std::size_t c = 0; c < cols; ++c) {
                REQUIRE(each.range(c) == defined_range(column(x, cols, c)));
            }
            // Transposed: tokens are columns in memory.
            auto across = min_max_observer::per_channel(rows);
            across.observe(transposed(as_rows(x, cols)));
            for (std::size_t r = 0; r < rows; ++r) {
                REQUIRE(across.range(r) == defined_range({&x[r * cols], &x[r * cols] + cols}));
            }
            std::vector<bf16> narrow;
            for (const float number : x) narrow.push_back(bf16(number));
            auto narrow_observer = min_max_observer::per_channel(cols);
            narrow_observer.observe(matrix_view(narrow.data(), rows, cols));
            const value_range last = defined_range(column(x, cols, cols - 1));
            REQUIRE(narrow_observer.range(cols - 1) ==
                    value_range{static_cast<float>(bf16(last.lowest)),
                                static_cast<float>(bf16(last.highest))});
        }
    }
}

TEST_CASE("edges of ranges, and the scale of int8 activations") {
    auto observer = min_max_observer::per_tensor();
    const std::vector<float> negative_zero = {-0.0f}, extremes = {FLT_MAX, -FLT_MAX, least_float};
    observer.observe(as_rows(negative_zero, 1));
    CHECK(observer.range() == value_range{0, 0});
    CHECK_FALSE(std::signbit(observer.range().lowest));
    CHECK(observer.range().int8_scale() == 0.0f);
    observer.observe(as_rows(extremes, 3));
    CHECK(observer.range() == value_range{-FLT_MAX, FLT_MAX});
    CHECK(observer.range().int8_scale() == FLT_MAX / 127.0f);
    CHECK(observer.tokens() == 2);
    CHECK(value_range{-2.54f, 1.0f}.int8_scale() == 2.54f / 127.0f);
    CHECK(value_range{-1, 3}.symmetrized() == value_range{-3, 3});
    CHECK(value_range{-4, 3}.symmetrized() == value_range{-4, 4});
}

TEST_CASE("histograms are those of one pass, whatever the order and the growth of the range") {
    generator numbers;
    for (const std::size_t bins : {2u, 3u, 64u, 2048u, 65536u}) {
        CAPTURE(bins);
        for (auto x : {random_numbers(500), random_numbers(99, 1e30f), growing_numbers(),
                       std::vector<float>{1000.25f}, std::vector<float>{0.0f, -0.0f},
                       std::vector<float>(7, -3.5f), std::vector<float>{1e6f, 1e6f + 1, 1e6f + 9},
                       std::vector<float>{-least_float, 0.0f, least_float},
                       std::vector<float>{FLT_MAX, -FLT_MAX}, std::vector<float>{-1, 0, 1, 2}}) {
            for (int order = 0; order < 3; ++order) {
                auto one_by_one = histogram_observer::per_tensor(bins);
                auto at_once = histogram_observer::per_tensor(bins);
                for (const float& number : x) one_by_one.observe(view(&number, 1, 1));
                at_once.observe(as_rows(x, x.size()));
                check_histogram(one_by_one.histogram(), x, bins);
                check_histogram(at_once.histogram(), x, bins);
                REQUIRE(at_once.count() == x.size());
                REQUIRE(at_once.range() == defined_range(x));

                // Thrown into three observers, and merged.
                std::vector<histogram_observer> parts;
                for (int i = 0; i < 3; ++i) parts.push_back(histogram_observer::per_tensor(bins));
                for (const float& number : x)
                    parts[numbers.next() % 3].observe(view(&number, 1, 1));
                parts[1].merge(parts[2]);
                parts[0].merge(parts[1]);
                REQUIRE(parts[0].serialize() == one_by_one.serialize());
                for (std::size_t i = x.size(); i > 1; --i)
                    std::swap(x[i - 1], x[numbers.next() % i]);
            }
        }
    }
}

TEST_CASE("histograms of channels are those of their columns") {
    const std::size_t cols = 19, bins = 32;
    auto x = random_numbers(40 * cols);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] *= static_cast<float>(1 << i % cols % 12);
    auto observer = histogram_observer::per_channel(cols, bins);
    observer.observe(view(x.data(), 3, cols));
    observer.observe(view(x.data() + 3 * cols, 37, cols));
    CHECK(observer.count() == 40);
    for (std::size_t c = 0; c < cols; ++c) {
        check_histogram(observer.histogram(c), column(x, cols, c), bins);
    }
    std::vector<fp16> narrow;
    std::vector<float> widened;
    for (const float number : x) {
        narrow.push_back(fp16(number));
        widened.push_back(static_cast<float>(narrow.back()));
    }
    auto of_halves = histogram_observer::per_channel(40, bins);
    of_halves.observe(transposed(matrix_view(narrow.data(), 40, cols)));
    for (std::size_t r = 0; r < 40; ++r) {
        check_histogram(of_halves.histogram(r), {&widened[r * cols], &widened[r * cols] + cols},
                        bins);
    }
}

TEST_CASE("moving averages follow their formula") {
    const std::size_t cols = 5;
    const auto x = random_numbers(12 * cols, 3.0f);
    for (const double momentum : {0.0, 0.5, 0.99}) {
        auto each = moving_average_observer::per_channel(cols, momentum);
        auto whole = moving_average_observer::per_tensor(momentum);
        double lowest = 0, highest = 0, all_lowest = 0;
        for (std::size_t batch = 0; batch < 4; ++batch) {
            const std::vector<float> rows(&x[batch * 3 * cols], &x[batch * 3 * cols] + 3 * cols);
            each.observe(as_rows(rows, cols));
            whole.observe(as_rows(rows, cols));
            const value_range b = defined_range(column(rows, cols, 2)),
                              of_all = defined_range(rows);
            const auto next = [&](double a, float to) {
                const auto target = static_cast<double>(to);
                return batch == 0 ? target : std::fma(1 - momentum, target - a, a);
            };
            lowest = next(lowest, b.lowest);
            highest = next(highest, b.highest);
            all_lowest = next(all_lowest, of_all.lowest);
        }
        CHECK(each.range(2) ==
              value_range{static_cast<float>(lowest), static_cast<float>(highest)});
        CHECK(whole.range().lowest == static_cast<float>(all_lowest));
        CHECK(each.momentum() == momentum);
        CHECK(each.batches() == 4);
        CHECK(each.tokens() == 12);
    }
    SECTION("extremes do not overflow, constants stay") {
        auto observer = moving_average_observer::per_tensor(0.9);
        const std::vector<float> high = {FLT_MAX}, low = {-FLT_MAX};
        observer.observe(as_rows(high, 1));
        observer.observe(as_rows(low, 1));
        CHECK(std::isfinite(observer.range().lowest));
        auto constant = moving_average_observer::per_tensor(0.3);
        const std::vector<float> same = {0.1f};
        for (int i = 0; i < 100; ++i) constant.observe(as_rows(same, 1));
        CHECK(constant.range() == value_range{0.1f, 0.1f});
    }
    SECTION("merging weights by batches") {
        const std::vector<float> one = {1.0f}, four = {4.0f};
        auto a = moving_average_observer::per_tensor(0.5),
             b = moving_average_observer::per_tensor(0.5);
        a.merge(b);
        CHECK(a.tokens() == 0);
        a.observe(as_rows(one, 1));
        a.observe(as_rows(one, 1));
        a.merge(moving_average_observer::per_tensor(0.5));
        CHECK(a.range() == value_range{1, 1});
        b.observe(as_rows(four, 1));
        auto copy = moving_average_observer::per_tensor(0.5);
        copy.merge(b);
        CHECK(copy.serialize() == b.serialize());
        a.merge(b);
        CHECK(a.range() == value_range{2, 2});
        CHECK(a.batches() == 3);
    }
}

TEMPLATE_TEST_CASE("what cannot be observed is refused, and changes nothing", "", min_max_observer,
                   moving_average_observer, histogram_observer) {
    std::vector<float> x = random_numbers(4 * 20);
    auto each = TestType::per_channel(20);
    auto whole = TestType::per_tensor();
    check_fails(errc::empty, "nothing was observed", [&] { return whole.try_range(); });
    each.observe(as_rows(x, 20));
    whole.observe(as_rows(x, 20));
    const bytes each_before = each.serialize(), whole_before = whole.serialize();
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
        for (const std::size_t c : {2u, 17u}) {
            auto broken = x;
            for (float& number : broken) number *= 100;
            broken[2 * 20 + c] = bad;
            broken[3 * 20] = bad;
            const std::string place = std::string(std::isnan(bad) ? "NaN" : "infinity") +
                                      " at token 2, column " + std::to_string(c);
            check_fails(errc::non_finite, place.c_str(),
                        [&] { return each.try_observe(as_rows(broken, 20)); });
            check_fails(errc::non_finite, place.c_str(),
                        [&] { return whole.try_observe(as_rows(broken, 20)); });
        }
    }
    const view good = as_rows(x, 20);
    check_fails(errc::empty, "observe: x", [&] { return each.try_observe(view()); });
    check_fails(errc::null_data, "observe: x",
                [&] { return each.try_observe(view(nullptr, 4, 20)); });
    check_fails(errc::size_overflow, "observe: x",
                [&] { return each.try_observe(view(x.data(), 4, 20, two_to(size_bits - 2))); });
    check_fails(errc::shape_mismatch, "10 columns, the observer has 20",
                [&] { return each.try_observe(as_rows(x, 10)); });
    check_fails(errc::shape_mismatch, "merge", [&] { return each.try_merge(whole); });
    check_fails(errc::shape_mismatch, "1 channels, the observer has 1",
                [&] { return whole.try_merge(TestType::per_channel(1)); });
    check_fails(errc::invalid_argument, "channel 20 of 20", [&] { return each.try_range(20); });
    bytes small(each_before.size() - 1);
    check_fails(errc::shape_mismatch, "serialize", [&] { return each.try_serialize(small); });
    check_fails(errc::empty, "no columns", [] { return TestType::try_per_channel(0); });
    CHECK(each.serialize() == each_before);
    CHECK(whole.serialize() == whole_before);
    CHECK_THROWS_AS(each.observe(view()), quant::error);
    CHECK_THROWS_AS(each.merge(whole), quant::error);
    CHECK_THROWS_AS(each.range(20), quant::error);
    CHECK_THROWS_AS(TestType::per_channel(0), quant::error);
    CHECK_THROWS_AS(TestType::deserialize({}), quant::error);

    // What was moved from has no channels.
    const TestType taken = std::move(whole);
    CHECK(taken.serialize() == whole_before);
    CHECK_FALSE(whole.try_observe(good).has_value()); // NOLINT(bugprone-use-after-move)
    CHECK_FALSE(whole.try_range().has_value());
}

TEMPLATE_TEST_CASE("merging is observing, and goes on so", "", min_max_observer,
                   histogram_observer) {
    const std::size_t cols = 7;
    const auto x = random_numbers(30 * cols), y = random_numbers(9 * cols, 44.0f);
    auto at_once = TestType::per_channel(cols);
    auto a = TestType::per_channel(cols), b = TestType::per_channel(cols);
    auto reversed = TestType::per_channel(cols);
    at_once.observe(as_rows(x, cols));
    at_once.observe(as_rows(y, cols));
    a.observe(as_rows(x, cols));
    b.observe(as_rows(y, cols));
    reversed.merge(b);
    reversed.merge(TestType::per_channel(cols));
    reversed.merge(a);
    a.merge(b);
    CHECK(a.serialize() == at_once.serialize());
    CHECK(reversed.serialize() == at_once.serialize());
    a.merge(a);
    CHECK(a.tokens() == 2 * at_once.tokens());
    CHECK(a.range(3) == at_once.range(3));
}

TEST_CASE("options without meaning are refused; sums that do not fit, too") {
    for (const std::size_t bins :
         {std::size_t{0}, std::size_t{1}, histogram_observer::most_bins + 1}) {
        check_fails(errc::invalid_argument, "bins",
                    [&] { return histogram_observer::try_per_tensor(bins); });
    }
    for (const double momentum : {-0.1, 1.0, 2.0, static_cast<double>(NAN)}) {
        check_fails(errc::invalid_argument, "momentum",
                    [&] { return moving_average_observer::try_per_tensor(momentum); });
    }
    const std::size_t far_too_many = std::numeric_limits<std::size_t>::max() / 2;
    check_fails(errc::size_overflow, "channels",
                [&] { return histogram_observer::try_per_channel(far_too_many); });
    check_fails(errc::size_overflow, "",
                [&] { return min_max_observer::try_per_channel(far_too_many); });
    check_fails(errc::invalid_argument, "3 bins, the observer has 2", [] {
        return histogram_observer::per_tensor(2).try_merge(histogram_observer::per_tensor(3));
    });
    check_fails(errc::invalid_argument, "momentum", [] {
        return moving_average_observer::per_tensor(0.5).try_merge(
            moving_average_observer::per_tensor(0.6));
    });
    auto full = histogram_observer::per_tensor(2);
    const std::vector<float> x = {1.0f};
    full.observe(as_rows(x, 1));
    for (int i = 0; i < 63; ++i) full.merge(full);
    const bytes before = full.serialize();
    check_fails(errc::size_overflow, "2^64", [&] { return full.try_merge(full); });
    CHECK(full.serialize() == before);
    CHECK(full.histogram().counts[0] == std::uint64_t{1} << 63);
    check_fails(errc::empty, "nothing",
                [] { return histogram_observer::per_tensor().try_histogram(); });
}
