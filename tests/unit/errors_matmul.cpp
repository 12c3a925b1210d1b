// What products refuse, and what numbers that are not finite do to a product: they spoil their own
// token and nothing else.
#include "sizes.hpp"

#include <quant/quant.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

using namespace quant;

namespace {

using w4 = scheme<int4, symmetric, group_wise<32>, fp16>;
using w3 = scheme<int3, asymmetric_min, group_wise<5>, float>;
using integers = activations::int8<group_wise<32>>;

constexpr std::size_t rows = 21, cols = 70, tokens = 5;

std::vector<float> numbers(std::size_t n) {
    std::vector<float> made(n);
    for (std::size_t i = 0; i < n; ++i) made[i] = static_cast<float>(i * 29 % 83) - 41;
    return made;
}

struct operands {
    std::vector<float> w = numbers(rows * cols), x = numbers(tokens * cols);
    std::vector<float> y = std::vector<float>(tokens * rows);
    packed_matrix<w4> packed = quantize_packed<w4>(matrix_view{w.data(), rows, cols});

    matrix_view<const float> x_view() const { return {x.data(), tokens, cols}; }
    matrix_view<float> y_view() { return {y.data(), tokens, rows}; }
};

struct outcome {
    errc code;
    std::string where;
};
bool operator==(const outcome& a, const outcome& b) {
    return a.code == b.code && a.where == b.where;
}

/// The error of try_matmul, after checking that matmul throws the same.
template <class X, class W, class Y, class... Args>
outcome refused(const X& x, const W& w, matrix_view<Y> y, const Args&... args) {
    const auto done = try_matmul(x, w, y, args...);
    REQUIRE_FALSE(done);
    try {
        matmul(x, w, y, args...);
        FAIL("no exception");
    } catch (const error& thrown) {
        CHECK(std::string(thrown.what()) == done.failure().what());
    }
    return {done.failure().code(), std::string(done.failure().where())};
}

bool is_nan(float x) { return std::isnan(x); }

} // namespace

TEST_CASE("operands without elements or data are refused", "[errors][matmul]") {
    operands o;
    const auto x = o.x_view();
    const auto y = o.y_view();
    CHECK(refused(matrix_view<const float>{}, o.packed, y) == outcome{errc::empty, "matmul: x"});
    CHECK(refused(matrix_view{o.x.data(), 0, cols}, o.packed, y) ==
          outcome{errc::empty, "matmul: x"});
    CHECK(refused(matrix_view<const float>{nullptr, tokens, cols}, o.packed, y) ==
          outcome{errc::null_data, "matmul: x"});
    CHECK(refused(matrix_view<const float>{o.x.data(), beyond_half, beyond_half}, o.packed, y) ==
          outcome{errc::size_overflow, "matmul: x"});
    CHECK(refused(x, packed_matrix<w4>(), y) == outcome{errc::empty, "matmul: w"});
    CHECK(refused(x, packed_view<w4>(), y) == outcome{errc::empty, "matmul: w"});
    CHECK(refused(x, packed_view<w4>(nullptr, rows, cols), y) ==
          outcome{errc::null_data, "matmul: w"});
    CHECK(refused(x, o.packed, matrix_view<float>{}) == outcome{errc::empty, "matmul: y"});
    CHECK(refused(x, o.packed, matrix_view<float>{nullptr, tokens, rows}) ==
          outcome{errc::null_data, "matmul: y"});
}

TEST_CASE("shapes that do not fit are refused, with the operand that is wrong",
          "[errors][matmul]") {
    operands o;
    const auto y = o.y_view();
    const outcome bad_x{errc::shape_mismatch, "matmul: x"};
    const outcome bad_y{errc::shape_mismatch, "matmul: y"};
    CHECK(refused(matrix_view{o.x.data(), tokens, cols - 1}, o.packed, y) == bad_x);
    CHECK(refused(matrix_view{o.x.data(), 1, cols + 1}, o.packed, y) == bad_x);
    CHECK(refused(o.x_view(), o.packed, matrix_view{o.y.data(), tokens - 1, rows}) == bad_y);
    CHECK(refused(o.x_view(), o.packed, matrix_view{o.y.data(), tokens, rows - 1}) == bad_y);
    CHECK(refused(o.x_view(), o.packed, matrix_view{o.y.data(), rows, tokens}) == bad_y);
    CHECK(try_matmul(o.x_view(), o.packed, y));
}

TEST_CASE("outputs whose rows overlap or whose columns are apart are refused", "[errors][matmul]") {
    operands o;
    std::vector<float> large(tokens * rows * 2);
    const outcome bad{errc::invalid_stride, "matmul: y"};
    const auto x = o.x_view();
    CHECK(refused(x, o.packed, matrix_view{o.y.data(), tokens, rows, rows - 1}) == bad);
    CHECK(refused(x, o.packed, matrix_view{o.y.data(), tokens, rows, 0}) == bad);
    CHECK(refused(x, o.packed, matrix_view{large.data(), tokens, rows, 2 * rows, 2}) == bad);
    CHECK(refused(x, o.packed, transposed(matrix_view{o.y.data(), rows, tokens})) == bad);
    CHECK(refused(x, o.packed, matrix_view{o.y.data(), tokens, rows, SIZE_MAX / 2}) ==
          outcome{errc::size_overflow, "matmul: y"});
}

TEST_CASE("rows of outputs may lie apart; what is between stays", "[matmul]") {
    operands o;
    matmul(o.x_view(), o.packed, o.y_view());
    std::vector<float> apart(tokens * (rows + 3), -7.0f);
    matmul(o.x_view(), o.packed, matrix_view{apart.data(), tokens, rows, rows + 3});
    for (std::size_t t = 0; t < tokens; ++t) {
        const float* row = apart.data() + t * (rows + 3);
        CHECK(std::memcmp(row, o.y.data() + t * rows, rows * sizeof(float)) == 0);
        for (std::size_t i = rows; i < rows + 3; ++i) CHECK(row[i] == -7.0f);
    }
}

TEST_CASE("epilogues of another size are refused", "[errors][matmul][epilogue]") {
    operands o;
    const auto x = o.x_view();
    const auto y = o.y_view();
    const std::vector<float> many(tokens * rows + 10, 1.0f);
    const std::span<const float> ones(many);
    const outcome bad_bias{errc::shape_mismatch, "matmul: epilogue::bias"};
    CHECK(refused(x, o.packed, y, epilogue::bias{ones.first(rows - 1)}) == bad_bias);
    CHECK(refused(x, o.packed, y, epilogue::bias{ones.first(rows + 1)}) == bad_bias);
    CHECK(refused(x, o.packed, y, epilogue::bias{{}}) == bad_bias);
    CHECK(refused(x, o.packed, y, serial, epilogue::scale{2}, epilogue::bias{{}}) == bad_bias);

    const auto residual = [&](std::size_t r, std::size_t c) {
        return epilogue::residual{matrix_view{many.data(), r, c}};
    };
    const std::string where = "matmul: epilogue::residual";
    CHECK(refused(x, o.packed, y, residual(tokens, rows - 1)) ==
          outcome{errc::shape_mismatch, where});
    CHECK(refused(x, o.packed, y, residual(tokens + 1, rows)) ==
          outcome{errc::shape_mismatch, where});
    CHECK(refused(x, o.packed, y, residual(0, rows)) == outcome{errc::empty, where});
    CHECK(refused(x, o.packed, y,
                  epilogue::residual{matrix_view<const float>{nullptr, tokens, rows}}) ==
          outcome{errc::null_data, where});
    // The first stage that is wrong is named.
    CHECK(refused(x, o.packed, y, epilogue::bias{{}}, residual(0, 0)) == bad_bias);
}

TEST_CASE("packed activations are checked like others", "[errors][matmul]") {
    operands o;
    auto x = pack_activations<integers>(o.x_view());
    CHECK(x.rows() == tokens);
    CHECK(x.cols() == cols);
    CHECK(try_matmul(x, o.packed, o.y_view()));
    CHECK(refused(x, o.packed, matrix_view{o.y.data(), tokens - 1, rows}) ==
          outcome{errc::shape_mismatch, "matmul: y"});
    CHECK(refused(pack_activations<integers>(matrix_view{o.x.data(), 2, 69}), o.packed,
                  o.y_view()) == outcome{errc::shape_mismatch, "matmul: x"});
    const auto taken = std::move(x);
    CHECK(x.rows() == 0);
    CHECK(x.cols() == 0);
    CHECK(x.tiles() == 0);
    CHECK(refused(x, o.packed, o.y_view()) == outcome{errc::empty, "matmul: x"});
    CHECK(try_matmul(taken, o.packed, o.y_view()));

    const auto code = [](matrix_view<const float> view) {
        const auto made = try_pack_activations<integers>(view);
        REQUIRE_FALSE(made);
        CHECK_THROWS_AS(pack_activations<integers>(view), error);
        return made.failure().code();
    };
    CHECK(code({}) == errc::empty);
    CHECK(code({nullptr, 2, 2}) == errc::null_data);
    CHECK(code({o.x.data(), beyond_half, beyond_half}) == errc::size_overflow);
    CHECK(code({o.x.data(), 1, two_to(size_bits - 4), 0, 0}) == errc::size_overflow);
    if (has_endless_sizes) {
        CHECK(code({o.x.data(), 1, two_to(49), 0, 0}) == errc::out_of_memory);
    }
    const auto grouped = try_pack_activations<activations::fp32, w3>(matrix_view<const float>{});
    CHECK(grouped.failure().code() == errc::empty);
}

TEMPLATE_TEST_CASE("a token with NaN or infinity gives NaN, others their own bits",
                   "[matmul][non_finite]", activations::int8<per_token>, integers,
                   activations::int16, activations::bf16, activations::fp32) {
    operands o;
    std::vector<float> bias(rows, 0.5f);
    const auto product = [&] {
        std::vector<float> y(tokens * rows, -1.0f);
        matmul<TestType>(o.x_view(), o.packed, matrix_view{y.data(), tokens, rows},
                         epilogue::bias{bias});
        return y;
    };
    const std::vector<float> clean = product();
    const float inf = std::numeric_limits<float>::infinity();
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), inf, -inf,
                            std::numeric_limits<float>::signaling_NaN()}) {
        for (const std::size_t column : {std::size_t{0}, std::size_t{33}, cols - 1}) {
            for (std::size_t token = 0; token < tokens; ++token) {
                float& spoilt = o.x[token * cols + column];
                const float before = spoilt;
                std::memcpy(&spoilt, &bad, sizeof bad);
                const auto y = product();
                spoilt = before;
                bool good = true;
                for (std::size_t i = 0; i < y.size(); ++i) {
                    const bool same = std::memcmp(&y[i], &clean[i], sizeof(float)) == 0;
                    good = good && (i / rows == token ? is_nan(y[i]) : same);
                }
                CAPTURE(bad, column, token);
                CHECK(good);
            }
        }
    }
}

TEST_CASE("a token is spoilt in its group's padding and in fp16, too", "[matmul][non_finite]") {
    // Groups of 5 are padded to 16 columns; zero weights times NaN must be NaN, padding must not.
    const auto w = numbers(rows * 7);
    const auto packed = quantize_packed<w3>(matrix_view{w.data(), rows, 7});
    std::vector<fp16> x(2 * 7, fp16(1.0f));
    x[6] = fp16::from_bits(0x7C00u);
    std::vector<fp16> y(2 * rows);
    matmul(matrix_view{x.data(), 2, 7}, packed, matrix_view{y.data(), 2, rows});
    for (std::size_t i = 0; i < rows; ++i) {
        CHECK(is_nan(static_cast<float>(y[i])));
        CHECK(std::isfinite(static_cast<float>(y[rows + i])));
    }
}

TEST_CASE("the largest finite activations are not taken for infinite", "[matmul][non_finite]") {
    constexpr float largest = std::numeric_limits<float>::max();
    std::vector<float> w(16 * 32, 0), x(32, 0), y(16);
    w[0] = 0x1p-20f;
    x[0] = largest;
    const auto packed = quantize_packed<w4>(matrix_view{w.data(), 16, 32});
    const auto relative_error = [&] { return std::fabs(y[0] / x[0] / 0x1p-20f - 1); };
    matmul(matrix_view{x.data(), 1, 32}, packed, matrix_view{y.data(), 1, 16});
    CHECK(relative_error() < 0.01f);
    CHECK(y[1] == 0);
    x[0] = largest / 8; // float products add levels, up to 8 steps, before they are scaled
    matmul<activations::fp32>(matrix_view{x.data(), 1, 32}, packed, matrix_view{y.data(), 1, 16});
    CHECK(relative_error() < 0.01f);
}

TEST_CASE("weights of a scheme known at run time report errors like others", "[errors][any]") {
    using any = any_packed_matrix<w4, w3>;
    const auto w = numbers(rows * cols);
    const matrix_view<const float> view{w.data(), rows, cols};
    operands o;

    const auto made = any::try_quantize(describe<w4>(), view);
    REQUIRE(made);
    CHECK(made->rows() == rows);
    CHECK(made->cols() == cols);
    CHECK(made->descriptor() == describe<w4>());
    CHECK(made->nominal_bits() == o.packed.nominal_bits());
    CHECK(made->bytes().size() == o.packed.bytes().size());
    matmul(o.x_view(), *made, o.y_view());
    const auto expected = [&](const auto& packed) {
        std::vector<float> y(tokens * rows);
        matmul(o.x_view(), packed, matrix_view{y.data(), tokens, rows});
        return y;
    };
    CHECK(o.y == expected(o.packed));
    const any other = quantize_packed<w3>(view);
    CHECK(other.descriptor() == describe<w3>());
    matmul(o.x_view(), other, o.y_view());
    CHECK(o.y == expected(quantize_packed<w3>(view)));

    const auto unknown =
        any::try_quantize(describe<scheme<int8, symmetric, per_channel, float>>(), view);
    REQUIRE_FALSE(unknown);
    CHECK(unknown.failure().code() == errc::unsupported);
    CHECK(any::try_quantize({}, view).failure().code() == errc::unsupported);
    CHECK_THROWS_AS(any::quantize({}, view), error);
    CHECK(any::quantize(describe<w3>(), view).descriptor() == describe<w3>());
    CHECK(any::try_quantize(describe<w3>(), matrix_view<const float>{}).failure().code() ==
          errc::empty);

    const any nothing;
    CHECK(nothing.descriptor() == describe<w4>()); // empty, of the first scheme
    CHECK(nothing.rows() == 0);
    CHECK(nothing.bytes().empty());
    CHECK(refused(o.x_view(), nothing, o.y_view()) == outcome{errc::empty, "matmul: w"});
    CHECK(refused(matrix_view{o.x.data(), tokens, cols - 1}, *made, o.y_view()) ==
          outcome{errc::shape_mismatch, "matmul: x"});

    any source = quantize_packed<w3>(view);
    const any taken = std::move(source);
    CHECK(taken.rows() == rows);
    CHECK(source.rows() == 0);
    CHECK(refused(o.x_view(), source, o.y_view()) == outcome{errc::empty, "matmul: w"});
}
