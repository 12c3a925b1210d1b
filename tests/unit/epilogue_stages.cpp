// Epilogues do to each output what scalar code would, in the order given, in float, before the
// result is rounded to the output's type; outputs beyond the last are not touched.
#include <quant/quant.hpp>

#include <catch2/catch_test_macros.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

using namespace quant;

namespace {

using w4 = scheme<int4, symmetric, group_wise<32>, fp16>;

constexpr std::size_t tokens = 5, cols = 40, stride = 80; // stride of outputs and residuals
constexpr std::size_t all_rows[] = {1, 15, 16, 17, 33, 70};
constexpr float inf = std::numeric_limits<float>::infinity();

/// A product and what its epilogues add.
struct problem {
    std::size_t rows;
    std::vector<float> w, x, bias, plain;
    std::vector<float> residual = std::vector<float>(tokens * stride);
    packed_matrix<w4> packed;

    explicit problem(std::size_t r)
        : rows(r), w(rows * cols), x(tokens * cols), bias(rows), plain(tokens * rows) {
        std::uint32_t state = static_cast<std::uint32_t>(rows);
        const auto fill = [&](std::vector<float>& to) {
            for (float& v : to) {
                state = state * 1664525u + 1013904223u;
                v = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
            }
        };
        fill(w), fill(x), fill(bias), fill(residual);
        packed = quantize_packed<w4>(matrix_view{w.data(), rows, cols});
        matmul(x_view(), packed, matrix_view{plain.data(), tokens, rows});
    }
    matrix_view<const float> x_view() const { return {x.data(), tokens, cols}; }

    /// Residual (or anything of that shape) as T, rows `stride` apart.
    template <class T>
    std::vector<T> as(const std::vector<float>& from) const {
        std::vector<T> made(from.size());
        for (std::size_t i = 0; i < from.size(); ++i) made[i] = T(from[i]);
        return made;
    }
};

template <class T>
bool same_bits(T a, T b) {
    return std::memcmp(static_cast<const void*>(&a), static_cast<const void*>(&b), sizeof a) == 0;
}

/// How many outputs of type Y differ from `expected(value, token, output)` of the plain product,
/// or lie outside the outputs and changed.
template <class Y, class... Stages>
std::size_t wrong(const problem& p,
                  const std::function<float(float, std::size_t, std::size_t)>& expected,
                  const Stages&... stages) {
    const Y untouched(-77.0f);
    std::vector<Y> y(tokens * stride + 16, untouched);
    matmul(p.x_view(), p.packed, matrix_view{y.data(), tokens, p.rows, stride}, stages...);
    std::size_t failed = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
        const std::size_t t = i / stride, r = i % stride;
        const bool output = t < tokens && r < p.rows;
        const Y right = output ? Y(expected(p.plain[t * p.rows + r], t, r)) : untouched;
        if (!same_bits(y[i], right)) ++failed;
    }
    return failed;
}

/// max(y, 0), −0 and negative numbers to +0, NaN as it is.
float scalar_relu(float y) { return std::isnan(y) || y > 0 ? y : 0.0f; }

float product(float a, float b) {
    volatile float rounded = a * b;
    return rounded;
}

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
                  p, [&](float y, auto, auto) { return product(y, 1.7f); }, scale{1.7f}) == 0);
        CHECK(wrong<float>(p, [&](float y, auto, auto) { return scalar_relu(y); }, relu{}) == 0);
        CHECK(wrong<float>(
                  p, [&](float y, auto, auto r) { return product(y + b(r), 1.7f); }, bias{numbers},
                  scale{1.7f}) == 0);
        // The product is rounded before the sum, even where multiply-add would fuse them.
        CHECK(wrong<float>(
                  p, [&](float y, auto, auto r) { return product(y, 1.7f) + b(r); }, scale{1.7f},
                  bias{numbers}) == 0);
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
                              std::bit_cast<float>(0x7F800001u),
                              std::bit_cast<float>(0xFF800001u),
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
