// Epilogues do to each output what scalar code would, in the order given, in float, before the
// result is rounded to the output's type; outputs beyond the last are not touched.
#include "epilogue_cases.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

using namespace epilogue_cases;

namespace {

/// max(y, 0), −0 and negative numbers to +0, NaN as it is.
float scalar_relu(float y) { return std::isnan(y) || y > 0 ? y : 0.0f; }

} // namespace

TEST_CASE("without stages outputs are the product, rounded to their type", "[epilogue]") {
    const auto same = [](float y, std::size_t, std::size_t) { return y; };
    for (const std::size_t rows : all_rows) {
        const problem p(rows);
        CAPTURE(rows);
        CHECK(wrong<float>(p, same) == 0);
        CHECK(wrong<fp16>(p, same) == 0);
        CHECK(wrong<bf16>(p, same) == 0);
    }
}

TEST_CASE("bias, scale and relu do what scalar code does, in every order", "[epilogue]") {
    using namespace epilogue;
    for (const std::size_t rows : all_rows) {
        const problem p(rows);
        CAPTURE(rows);
        const auto b = [&](std::size_t r) { return p.bias[r]; };
        const std::span<const float> numbers(p.bias);
        CHECK(wrong<float>(p, [&](float y, auto, auto r) { return y + b(r); }, bias{numbers}) == 0);
        CHECK(wrong<float>(
                  p, [&](float y, auto, auto) { return rounded_product(y, 1.7f); }, scale{1.7f}) ==
              0);
        CHECK(wrong<float>(p, [&](float y, auto, auto) { return scalar_relu(y); }, relu{}) == 0);
        CHECK(wrong<float>(
                  p, [&](float y, auto, auto r) { return rounded_product(y + b(r), 1.7f); },
                  bias{numbers}, scale{1.7f}) == 0);
        // The product is rounded before the sum, even where multiply-add would fuse them.
        CHECK(wrong<float>(
                  p, [&](float y, auto, auto r) { return rounded_product(y, 1.7f) + b(r); },
                  scale{1.7f}, bias{numbers}) == 0);
        CHECK(wrong<float>(
                  p, [&](float y, auto, auto r) { return scalar_relu(y + b(r)); }, bias{numbers},
                  relu{}) == 0);
        CHECK(wrong<fp16>(
                  p, [&](float y, auto, auto r) { return scalar_relu(y) + b(r); }, relu{},
                  bias{numbers}) == 0);
    }
}

TEST_CASE("residuals of every type are added before outputs are rounded", "[epilogue]") {
    for (const std::size_t rows : all_rows) {
        const problem p(rows);
        CAPTURE(rows);
        const auto check = [&]<class T, class Y>(std::type_identity<T>, std::type_identity<Y>) {
            const auto values = p.as<T>(p.residual);
            const auto sum = [&](float y, std::size_t t, std::size_t r) {
                return y + static_cast<float>(values[t * stride + r]);
            };
            CHECK(wrong<Y>(p, sum,
                           epilogue::residual{matrix_view{values.data(), tokens, rows, stride}}) ==
                  0);
        };
        check(std::type_identity<float>{}, std::type_identity<float>{});
        check(std::type_identity<fp16>{}, std::type_identity<bf16>{});
        check(std::type_identity<bf16>{}, std::type_identity<fp16>{});
    }
}

TEST_CASE("a residual's type is its view's, const or not", "[epilogue]") {
    std::vector<fp16> values(1);
    const matrix_view<fp16> mutable_view{values.data(), 1, 1};
    const matrix_view<const fp16> const_view = mutable_view;
    static_assert(
        std::is_same_v<decltype(epilogue::residual{mutable_view}), epilogue::residual<fp16>>);
    static_assert(
        std::is_same_v<decltype(epilogue::residual{const_view}), epilogue::residual<fp16>>);
    CHECK(epilogue::residual{mutable_view}.values.data() == const_view.data());
}

TEST_CASE("residuals may lie by columns, or repeat one row", "[epilogue]") {
    for (const std::size_t rows : all_rows) {
        const problem p(rows);
        CAPTURE(rows);
        // Element (t, r) at 7·r + t, and one row for all tokens.
        std::vector<float> columns(7 * rows);
        for (std::size_t i = 0; i < columns.size(); ++i) columns[i] = static_cast<float>(i) / 8;
        CHECK(wrong<float>(
                  p, [&](float y, std::size_t t, std::size_t r) { return y + columns[7 * r + t]; },
                  epilogue::residual{transposed(matrix_view{columns.data(), rows, tokens, 7})}) ==
              0);
        CHECK(wrong<float>(
                  p, [&](float y, std::size_t, std::size_t r) { return y + p.bias[r]; },
                  epilogue::residual{matrix_view{p.bias.data(), tokens, rows, 0}}) == 0);
    }
}

TEST_CASE("the output itself may be the residual", "[epilogue]") {
    const auto check = [&]<class Y>(std::type_identity<Y>) {
        thread_pool pool(3);
        for (const std::size_t rows : all_rows) {
            const problem p(rows);
            CAPTURE(rows);
            std::vector<Y> y = p.as<Y>(p.residual);
            const std::vector<Y> before = y;
            const matrix_view view{y.data(), tokens, rows, stride};
            matmul(p.x_view(), p.packed, view, pool, epilogue::residual{view});
            bool good = true;
            for (std::size_t i = 0; i < y.size(); ++i) {
                const std::size_t t = i / stride, r = i % stride;
                const Y right =
                    r < rows ? Y(p.plain[t * rows + r] + static_cast<float>(before[i])) : before[i];
                good = good && same_bits(y[i], right);
            }
            CHECK(good);
        }
    };
    check(std::type_identity<float>{});
    check(std::type_identity<bf16>{});
}

TEST_CASE("relu keeps NaN, clears negative numbers and the sign of zero", "[epilogue]") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float values[16] = {0.0f,
                              -0.0f,
                              1.0f,
                              -1.0f,
                              inf,
                              -inf,
                              nan,
                              -nan,
                              quant::core_detail::bit_cast<float>(0x7F800001u),
                              quant::core_detail::bit_cast<float>(0xFF800001u),
                              std::numeric_limits<float>::denorm_min(),
                              -std::numeric_limits<float>::denorm_min(),
                              std::numeric_limits<float>::max(),
                              std::numeric_limits<float>::lowest(),
                              0x1p-126f,
                              -0x1p-126f};
    float cleared[16];
    simd::store(cleared, epilogue::relu{}.apply(simd::load<float>(values), 0, 0, 16));
    for (std::size_t i = 0; i < 16; ++i) {
        CAPTURE(i, values[i]);
        if (std::isnan(values[i])) {
            CHECK(std::isnan(cleared[i]));
        } else {
            CHECK(same_bits(cleared[i], scalar_relu(values[i])));
            CHECK_FALSE(std::signbit(cleared[i]));
        }
    }
}

TEST_CASE("infinity, NaN and −0 pass through a product's epilogues", "[epilogue]") {
    problem p(33);
    const float specials[] = {inf, -inf, std::numeric_limits<float>::quiet_NaN()};
    for (std::size_t r = 0; r < p.rows; ++r) p.bias[r] = specials[r % 3];
    std::vector<float> y(tokens * p.rows);
    const matrix_view view{y.data(), tokens, p.rows};
    matmul(p.x_view(), p.packed, view, epilogue::bias{p.bias}, epilogue::relu{});
    for (std::size_t i = 0; i < y.size(); ++i) {
        switch (i % p.rows % 3) {
        case 0: CHECK(y[i] == inf); break;
        case 1: CHECK(same_bits(y[i], 0.0f)); break;
        default: CHECK(std::isnan(y[i]));
        }
    }
    matmul(p.x_view(), p.packed, view, epilogue::scale{-0.0f});
    for (std::size_t i = 0; i < y.size(); ++i) {
        CHECK(y[i] == 0);
        CHECK(std::signbit(y[i]) != std::signbit(p.plain[i]));
    }
    matmul(p.x_view(), p.packed, view, epilogue::scale{-0.0f}, epilogue::relu{});
    for (const float v : y) CHECK(same_bits(v, 0.0f));

    // A spoilt token stays spoilt, and is no other's concern.
    p.x[2 * cols] = inf;
    matmul(p.x_view(), p.packed, view, epilogue::scale{0}, epilogue::relu{});
    for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i / p.rows == 2));
}

namespace {
/// A stage of a user: y ← |y|, and a number that must not be zero.
struct magnitude : not_an_executor {
    int allowed = 1;
    [[nodiscard]] result<void> check(std::size_t, std::size_t) const noexcept {
        if (allowed != 0) return {};
        return error(errc::invalid_argument, "magnitude", "not allowed");
    }
    [[nodiscard]] simd::f32x16 apply(const simd::f32x16& y, std::size_t, std::size_t,
                                     std::size_t) const noexcept {
        return simd::abs(y);
    }
};
} // namespace

TEST_CASE("users may write stages; executors may stand anywhere among them", "[epilogue]") {
    const problem p(33);
    static_assert(epilogue_stage<magnitude>);
    thread_pool pool(2);
    const auto expected = [&](float y, std::size_t, std::size_t) { return 2 * std::fabs(y); };
    CHECK(wrong<float>(p, expected, magnitude{}, epilogue::scale{2}) == 0);
    CHECK(wrong<float>(p, expected, magnitude{}, serial, epilogue::scale{2}) == 0);
    std::vector<float> y(tokens * p.rows);
    const matrix_view view{y.data(), tokens, p.rows};
    matmul(p.x_view(), p.packed, view, magnitude{}, epilogue::scale{2}, pool);
    for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == 2 * std::fabs(p.plain[i]));
    magnitude forbidden;
    forbidden.allowed = 0;
    const auto failed = try_matmul(p.x_view(), p.packed, view, epilogue::relu{}, forbidden);
    REQUIRE_FALSE(failed);
    CHECK(failed.failure().code() == errc::invalid_argument);
}

TEST_CASE("a bias where an executor may stand is a bias", "[epilogue]") {
    const problem p(17);
    std::vector<float> y(tokens * p.rows), again(tokens * p.rows);
    matmul(p.x_view(), p.packed, matrix_view{y.data(), tokens, p.rows}, epilogue::bias{p.bias});
    for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == p.plain[i] + p.bias[i % p.rows]);
    // A lambda that could pass for anything binds as what it is: an executor.
    const auto generic = [](auto count, auto f) {
        for (std::size_t i = 0; i < count; ++i) f(i);
    };
    matmul(p.x_view(), p.packed, matrix_view{again.data(), tokens, p.rows}, epilogue::bias{p.bias},
           generic);
    CHECK(again == y);
}
