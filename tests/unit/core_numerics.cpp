// The edges of the numbers: what quantize makes of groups that are zero, constant, tiny, huge,
// single or lopsided, for every mapping.
#include "equal_ranges.hpp"
#include "sample.hpp"

#include <quant/quantize/dequantize.hpp>
#include <quant/quantize/quantize.hpp>
#include <quant/reference/quantize.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <tuple>
#include <type_traits>
#include <vector>

using namespace quant;

namespace {

using all_mappings = cases::sample_if_sanitized<std::tuple<
    scheme<int4, symmetric, group_wise<32>, float>, scheme<int4, midrise, group_wise<32>, float>,
    scheme<int4, asymmetric, group_wise<32>, float>,
    scheme<int4, asymmetric_min, group_wise<32>, float>,
    scheme<int8, symmetric, group_wise<20>, fp16>, scheme<int3, asymmetric_min, per_channel, bf16>,
    scheme<int2, asymmetric, block_wise<2, 24>, fp16>, scheme<binary, midrise, per_tensor, fp16>>>;

template <class S>
inline constexpr bool is_midrise = std::is_same_v<typename S::mapping_type, midrise>;

bool plus_zero(float x) { return x == 0 && !std::signbit(x); }

/// Quantizes, checks that the result is the reference's, and gives the matrix back as floats.
template <class S>
std::vector<float> round_trip(const std::vector<float>& w, std::size_t rows) {
    const std::size_t cols = w.size() / rows;
    const auto q = quantize<S>(matrix_view{w.data(), rows, cols});
    const auto expected = reference::quantize<S>(w, rows, cols);
    CHECK(equal_ranges(q.codes(), expected.codes));
    CHECK(std::memcmp(q.scales().data(), expected.scales.data(), q.scales().size_bytes()) == 0);
    if (S::has_offset) {
        CHECK(std::memcmp(q.offsets().data(), expected.offsets.data(), q.offsets().size_bytes()) ==
              0);
    }
    std::vector<float> back(w.size(), -1.0f);
    dequantize(q, matrix_view{back.data(), rows, cols});
    for (const float x : back) CHECK(std::isfinite(x));
    return back;
}

/// The step between levels that a group of this range needs, and with it the largest error.
template <class S>
double step(double lowest, double highest) {
    using mapping = typename S::mapping_type;
    const double n = S::max_code;
    const double largest = std::max(highest, -lowest);
    if (std::is_same_v<mapping, symmetric>) return largest / (1 << (S::bits - 1));
    if (std::is_same_v<mapping, midrise>) return 2 * largest / n;
    if (std::is_same_v<mapping, asymmetric>) {
        return (std::max(highest, 0.0) - std::min(lowest, 0.0)) / n;
    }
    return (highest - lowest) / n;
}

/// Every weight comes back within half a step; at symmetric's short end, within a whole one.
template <class S>
void check_close(const std::vector<float>& w, std::size_t rows) {
    const auto back = round_trip<S>(w, rows);
    const auto [low, high] = std::minmax_element(w.begin(), w.end());
    const double one = step<S>(*low, *high);
    const bool short_end = std::is_same_v<typename S::mapping_type, symmetric>;
    const bool coarse = std::is_same_v<typename S::scale_type, bf16>;
    // Scales are rounded, to 2^-9 relative at worst; a row of n steps drifts by that much.
    const double largest = std::max(std::fabs(double{*low}), std::fabs(double{*high}));
    const double slack = largest * (coarse ? 0x1p-7 : 0x1p-10);
    for (std::size_t i = 0; i < w.size(); ++i) {
        const double error = std::fabs(double{back[i]} - double{w[i]});
        if (error > one * (short_end ? 1.0 : 0.5) + slack) {
            CAPTURE(i, w[i], back[i], one);
            FAIL_CHECK("too far away");
        }
    }
}

} // namespace

TEMPLATE_LIST_TEST_CASE("groups of zeros have scale 0 and come back as +0", "[numerics]",
                        all_mappings) {
    for (const float zero : {0.0f, -0.0f}) {
        for (const std::size_t cols : {1u, 7u, 32u, 100u}) {
            std::vector<float> w(3 * cols, zero);
            if (cols > 1) w[1] = -zero; // mixed signs
            const auto q = quantize<TestType>(matrix_view{w.data(), 3, cols});
            for (const auto scale : q.scales()) CHECK(plus_zero(static_cast<float>(scale)));
            for (const auto offset : q.offsets()) CHECK(plus_zero(static_cast<float>(offset)));
            for (const auto code : q.codes()) CHECK(code == TestType::zero_code);
            for (const float x : round_trip<TestType>(w, 3)) CHECK(plus_zero(x));
        }
    }
}

TEMPLATE_LIST_TEST_CASE("groups of denormals have scale 0; nothing divides by a tiny scale",
                        "[numerics]", all_mappings) {
    const float least = std::numeric_limits<float>::denorm_min();
    for (const float tiny : {least, -least, 0x1p-130f, -0x1p-127f}) {
        std::vector<float> w(2 * 40, tiny);
        w[3] = -tiny;
        w[5] = 0;
        for (const float x : round_trip<TestType>(w, 2)) CHECK(std::fabs(x) <= std::fabs(tiny));
        if constexpr (!TestType::has_minimum) {
            for (const float x : round_trip<TestType>(w, 2)) CHECK(plus_zero(x));
        }
    }
}

TEMPLATE_LIST_TEST_CASE("denormals beside a normal weight are small, not harmful", "[numerics]",
                        all_mappings) {
    std::vector<float> w(2 * 40, std::numeric_limits<float>::denorm_min());
    w[7] = 1;
    w[50] = -1;
    check_close<TestType>(w, 2);
}

TEST_CASE("scales just above the least normal float are kept", "[numerics]") {
    using s8 = scheme<int8, symmetric, per_channel, float>;
    std::vector<float> w = {0x1p-119f, -0x1p-120f, 0, 0x1p-126f};
    const auto q = quantize<s8>(matrix_view{w.data(), 1, 4});
    CHECK(q.scales()[0] == -0x1p-126f);
    CHECK(round_trip<s8>(w, 1) == w);
    for (float& x : w) x /= 2; // the scale is half as large: zero
    CHECK(quantize<s8>(matrix_view{w.data(), 1, 4}).scales()[0] == 0);
    // fp16's least scale is larger: weights below half of 2^-24 steps vanish.
    using h8 = scheme<int8, symmetric, per_channel, fp16>;
    const std::vector<float> half = {0x1p-18f, 0x1p-19f};
    CHECK(quantize<h8>(matrix_view{half.data(), 1, 2}).scales()[0] == fp16(0.0f));
    const std::vector<float> above = {0x1.8p-18f, 0};
    CHECK(quantize<h8>(matrix_view{above.data(), 1, 2}).scales()[0] == fp16(-0x1p-24f));
}

TEST_CASE("the largest floats come back finite or are refused", "[numerics]") {
    constexpr float largest = std::numeric_limits<float>::max();
    const auto check = []<class S>(std::type_identity<S>, float low, float high) {
        std::vector<float> w = {low, high, 0, 1, low / 2, high / 2, low, high};
        check_close<S>(w, 2);
    };
    using g = group_wise<32>;
    check(std::type_identity<scheme<int8, symmetric, g, float>>{}, -largest, largest);
    check(std::type_identity<scheme<int4, symmetric, g, float>>{}, largest / 3, largest);
    check(std::type_identity<scheme<binary, symmetric, g, float>>{}, -largest, 0.0f);
    check(std::type_identity<scheme<int8, midrise, g, float>>{}, -largest / 2, largest / 2);
    check(std::type_identity<scheme<int4, asymmetric, g, float>>{}, -largest / 4, largest / 4);
    check(std::type_identity<scheme<int4, asymmetric_min, g, float>>{}, -largest / 4, largest / 4);
}

TEMPLATE_LIST_TEST_CASE("constant rows come back", "[numerics]", all_mappings) {
    for (const float value : {1.0f, -1.0f, 0.75f, -96.0f, 0x1p-12f}) {
        const std::vector<float> w(4 * 40, value);
        check_close<TestType>(w, 4);
        if constexpr (TestType::has_minimum) {
            CHECK(round_trip<TestType>(w, 4) == w); // the minimum is the value
        }
    }
}

TEMPLATE_LIST_TEST_CASE("one giant outlier costs its group, no other", "[numerics]", all_mappings) {
    std::vector<float> w(2 * 96);
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(i % 13) / 13 - 0.5f;
    const std::vector<float> before = round_trip<TestType>(w, 2);
    for (const float giant : {20000.0f, -20000.0f}) {
        w[41] = giant;
        check_close<TestType>(w, 2);
        const std::vector<float> after = round_trip<TestType>(w, 2);
        const std::size_t size = TestType::group_size(96);
        for (std::size_t i = 0; i < w.size(); ++i) {
            const bool same_block = TestType::scale_row(i / 96) == TestType::scale_row(0);
            if (!same_block || i % 96 / size != 41 / size) CHECK(after[i] == before[i]);
        }
    }
}

TEMPLATE_LIST_TEST_CASE("one column, one row and one element are matrices", "[numerics]",
                        all_mappings) {
    check_close<TestType>({-0.5f}, 1);
    check_close<TestType>({3.0f}, 1);
    check_close<TestType>({0.5f, -0.25f, 0.125f, 1.0f, -1.0f}, 1);
    const std::vector<float> column = {0.5f, -0.25f, 0.125f, 1.0f, -1.0f};
    check_close<TestType>(column, 5);
    if constexpr (!is_midrise<TestType> && TestType::group_rows == 1 &&
                  !std::is_same_v<typename TestType::mapping_type, asymmetric>) {
        // Powers of two alone in their group are exact.
        CHECK(round_trip<TestType>(column, 5) == column);
    }
}

TEST_CASE("groups larger than the row are the row", "[numerics]") {
    const std::vector<float> w = {0.5f, -1.0f, 0.25f, 0.75f, -0.125f, 1.0f};
    const auto check = [&]<class Large, class Row>(std::type_identity<Large>,
                                                   std::type_identity<Row>) {
        const auto large = quantize<Large>(matrix_view{w.data(), 2, 3});
        const auto row = quantize<Row>(matrix_view{w.data(), 2, 3});
        CHECK(equal_ranges(large.codes(), row.codes()));
        CHECK(equal_ranges(large.scales(), row.scales()));
        CHECK(equal_ranges(large.offsets(), row.offsets()));
    };
    check(std::type_identity<scheme<int4, asymmetric, group_wise<4294967295>, float>>{},
          std::type_identity<scheme<int4, asymmetric, per_channel, float>>{});
    check(std::type_identity<scheme<int4, symmetric, block_wise<4294967295, 4>, float>>{},
          std::type_identity<scheme<int4, symmetric, per_tensor, float>>{});
    check(std::type_identity<scheme<int4, asymmetric_min, group_wise<3>, fp16>>{},
          std::type_identity<scheme<int4, asymmetric_min, per_channel, fp16>>{});
}

TEST_CASE("zero is exact wherever an asymmetric group lies", "[numerics]") {
    using a4 = scheme<int4, asymmetric, group_wise<8>, float>;
    for (const float shift : {-9.0f, -3.3f, -0.1f, 0.0f, 0.1f, 3.3f, 9.0f}) {
        std::vector<float> w(8);
        for (std::size_t i = 0; i < 8; ++i) w[i] = shift + static_cast<float>(i) / 7;
        w[4] = 0;
        CHECK(round_trip<a4>(w, 1)[4] == 0);
    }
}

TEST_CASE("midrise has no zero: the least levels are plus and minus one step", "[numerics]") {
    using m2 = scheme<int2, midrise, group_wise<8>, float>;
    const std::vector<float> w = {3.0f, -3.0f, 0.0f, -0.0f, 0.001f, -0.001f, 1.9f, -2.1f};
    const std::vector<float> expected = {3, -3, 1, 1, 1, -1, 1, -3};
    CHECK(round_trip<m2>(w, 1) == expected);
}
