// Stages that read a matrix beside the product, the output itself among them, stages that limit
// outputs, and activation functions as stages.
#include "epilogue_cases.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

using namespace epilogue_cases;

namespace {

float first_lane(const simd::f32x16& y) {
    float lanes[16];
    simd::store(lanes, y);
    return lanes[0];
}
float silu_of(float y) { return first_lane(simd::silu(simd::broadcast(y))); }
float gelu_of(float y) { return first_lane(simd::gelu(simd::broadcast(y))); }
float gelu_tanh_of(float y) { return first_lane(simd::gelu_tanh(simd::broadcast(y))); }

float scalar_clamp(float y, float low, float high) { return y < low ? low : y > high ? high : y; }

template <class T>
float widened(T value) {
    return static_cast<float>(value);
}

const float quiet_nan = std::numeric_limits<float>::quiet_NaN();

} // namespace

TEST_CASE("gates of every type multiply before outputs are rounded", "[epilogue][gate]") {
    for (const std::size_t rows : all_rows) {
        const problem p(rows);
        CAPTURE(rows);
        const auto check = [&]<class T, class Y>(std::type_identity<T>, std::type_identity<Y>) {
            const auto values = p.as<T>(p.residual);
            const auto g = [&](std::size_t t, std::size_t r) {
                return widened(values[t * stride + r]);
            };
            const matrix_view view{values.data(), tokens, rows, stride};
            CHECK(wrong<Y>(
                      p, [&](float y, auto t, auto r) { return rounded_product(y, g(t, r)); },
                      epilogue::gate{view}) == 0);
            // Rounded before the sum, even where multiply-add would fuse them.
            CHECK(wrong<Y>(
                      p,
                      [&](float y, auto t, auto r) {
                          return rounded_product(y, g(t, r)) + p.bias[r];
                      },
                      epilogue::gate{view}, epilogue::bias{p.bias}) == 0);
            CHECK(wrong<Y>(
                      p,
                      [&](float y, auto t, auto r) {
                          return rounded_product(y + p.bias[r], g(t, r));
                      },
                      epilogue::bias{p.bias}, epilogue::gate{view}) == 0);
        };
        check(std::type_identity<float>{}, std::type_identity<float>{});
        check(std::type_identity<fp16>{}, std::type_identity<bf16>{});
        check(std::type_identity<bf16>{}, std::type_identity<fp16>{});
    }
}

TEST_CASE("gates may lie by columns, or repeat one row", "[epilogue][gate]") {
    for (const std::size_t rows : all_rows) {
        const problem p(rows);
        CAPTURE(rows);
        std::vector<float> columns(7 * rows); // element (t, r) at 7·r + t
        for (std::size_t i = 0; i < columns.size(); ++i) columns[i] = static_cast<float>(i) / 8;
        CHECK(wrong<float>(
                  p,
                  [&](float y, auto t, auto r) { return rounded_product(y, columns[7 * r + t]); },
                  epilogue::gate{transposed(matrix_view{columns.data(), rows, tokens, 7})}) == 0);
        CHECK(wrong<float>(
                  p, [&](float y, auto, auto r) { return rounded_product(y, p.bias[r]); },
                  epilogue::gate{matrix_view{p.bias.data(), tokens, rows, 0}}) == 0);
    }
}

TEST_CASE("a gated unit is two products into one output", "[epilogue][gate]") {
    const auto check = [&]<class Y>(std::type_identity<Y>) {
        thread_pool pool(3);
        for (const std::size_t rows : all_rows) {
            const problem p(rows), up(rows + 1); // other weights, of which `rows` rows are taken
            CAPTURE(rows);
            const auto up_weights = quantize_packed<w4>(matrix_view{up.w.data(), rows, cols});
            std::vector<float> plain_up(tokens * rows);
            matmul(p.x_view(), up_weights, matrix_view{plain_up.data(), tokens, rows});

            std::vector<Y> y(tokens * stride, Y(-77.0f));
            const matrix_view view{y.data(), tokens, rows, stride};
            matmul(p.x_view(), p.packed, view, pool, epilogue::silu{});
            matmul(p.x_view(), up_weights, view, pool, epilogue::gate{view});
            bool good = true;
            for (std::size_t i = 0; i < y.size(); ++i) {
                const std::size_t t = i / stride, r = i % stride, o = t * rows + r;
                const Y right =
                    r < rows ? Y(rounded_product(plain_up[o], widened(Y(silu_of(p.plain[o])))))
                             : Y(-77.0f);
                good = good && same_bits(y[i], right);
            }
            CHECK(good);
        }
    };
    check(std::type_identity<float>{});
    check(std::type_identity<fp16>{});
    check(std::type_identity<bf16>{});
}

TEST_CASE("accumulate adds to what the output held", "[epilogue][accumulate]") {
    // `wrong` fills outputs with −77.
    thread_pool pool(3);
    for (const std::size_t rows : all_rows) {
        const problem p(rows);
        CAPTURE(rows);
        const auto sum = [&](float y, std::size_t, std::size_t) { return y - 77.0f; };
        CHECK(wrong<float>(p, sum, epilogue::accumulate{}) == 0);
        CHECK(wrong<fp16>(p, sum, pool, epilogue::accumulate{}) == 0);
        CHECK(wrong<bf16>(p, sum, epilogue::accumulate{}, pool) == 0);
        CHECK(wrong<float>(
                  p, [&](float y, auto, auto) { return rounded_product(y, 3) - 77.0f; },
                  epilogue::scale{3}, epilogue::accumulate{}) == 0);
        CHECK(wrong<float>(
                  p, [&](float y, auto, auto) { return rounded_product(y - 77.0f, 3); },
                  epilogue::accumulate{}, epilogue::scale{3}) == 0);
        // Packed activations and weights known at run time take the same way.
        const any_packed_matrix<w4> any(quantize_packed<w4>(matrix_view{p.w.data(), rows, cols}));
        const auto x = pack_activations<default_activations<w4>>(p.x_view());
        std::vector<float> y(tokens * rows, 1.0f);
        const matrix_view view{y.data(), tokens, rows};
        matmul(x, p.packed, view, epilogue::accumulate{});
        matmul(p.x_view(), any, view, epilogue::accumulate{});
        bool good = true;
        for (std::size_t i = 0; i < y.size(); ++i) {
            good = good && same_bits(y[i], p.plain[i] + (p.plain[i] + 1.0f));
        }
        CHECK(good);
    }
}

TEST_CASE("clamp limits outputs as scalar code does", "[epilogue][clamp]") {
    for (const std::size_t rows : all_rows) {
        const problem p(rows);
        CAPTURE(rows);
        const auto limit = [&](float low, float high) {
            return wrong<float>(
                p, [&](float y, auto, auto) { return scalar_clamp(y, low, high); },
                epilogue::clamp{low, high});
        };
        CHECK(limit(-0.5f, 1.0f) == 0);
        CHECK(limit(0.25f, 0.25f) == 0);
        CHECK(limit(-inf, 0.0f) == 0);
        CHECK(limit(-inf, inf) == 0);
        CHECK(wrong<fp16>(
                  p, [&](float y, auto, auto r) { return scalar_clamp(y + p.bias[r], -1, 1); },
                  epilogue::bias{p.bias}, epilogue::clamp{-1, 1}) == 0);
    }
    const float values[16] = {
        0.0f,       -0.0f, 1, -1,   inf, -inf,   quiet_nan,
        -quiet_nan, 2,     6, 6.5f, 7,   1e-45f, quant::core_detail::bit_cast<float>(0x7F800001u),
        -1e-45f,    5};
    float clamped[16];
    simd::store(clamped, epilogue::clamp{0, 6}.apply(simd::load<float>(values), 0, 0, 16));
    for (std::size_t i = 0; i < 16; ++i) {
        CAPTURE(i, values[i]);
        if (std::isnan(values[i])) {
            CHECK(std::isnan(clamped[i]));
        } else {
            CHECK(same_bits(clamped[i], scalar_clamp(values[i], 0, 6)));
        }
    }
}

TEST_CASE("activation functions stand among the other stages", "[epilogue]") {
    using namespace epilogue;
    for (const std::size_t rows : all_rows) {
        const problem p(rows);
        CAPTURE(rows);
        const auto b = [&](std::size_t r) { return p.bias[r]; };
        const bias biases{p.bias};
        CHECK(wrong<float>(p, [&](float y, auto, auto) { return silu_of(y); }, silu{}) == 0);
        CHECK(wrong<bf16>(
                  p, [&](float y, auto, auto r) { return silu_of(y + b(r)); }, biases, silu{}) ==
              0);
        CHECK(wrong<fp16>(
                  p, [&](float y, auto, auto r) { return gelu_of(y) + b(r); }, gelu{}, biases) ==
              0);
        CHECK(wrong<float>(
                  p, [&](float y, auto, auto) { return gelu_tanh_of(rounded_product(y, 3)); },
                  scale{3}, gelu_tanh{}) == 0);
        CHECK(wrong<float>(
                  p, [&](float y, auto, auto) { return rounded_product(gelu_of(y), 3); }, gelu{},
                  scale{3}) == 0);
    }
}

TEST_CASE("gates of another shape and ranges without numbers are refused", "[epilogue][errors]") {
    const problem p(33);
    std::vector<float> y(tokens * p.rows);
    const matrix_view view{y.data(), tokens, p.rows};
    const auto code = [&](const auto& stage) {
        const auto done = try_matmul(p.x_view(), p.packed, view, stage);
        REQUIRE_FALSE(done);
        CHECK(std::string(done.failure().where()).starts_with("matmul: epilogue::"));
        return done.failure().code();
    };
    const float* g = p.residual.data();
    CHECK(code(epilogue::gate{matrix_view{g, tokens, p.rows - 1}}) == errc::shape_mismatch);
    CHECK(code(epilogue::gate{matrix_view{g, tokens + 1, p.rows}}) == errc::shape_mismatch);
    CHECK(code(epilogue::gate{matrix_view{g, 0, p.rows}}) == errc::empty);
    CHECK(code(epilogue::gate{matrix_view<const float>{nullptr, tokens, p.rows}}) ==
          errc::null_data);
    CHECK(code(epilogue::clamp{1, 0}) == errc::invalid_argument);
    CHECK(code(epilogue::clamp{quiet_nan, 0}) == errc::invalid_argument);
    CHECK(code(epilogue::clamp{0, quiet_nan}) == errc::invalid_argument);
    // Of y itself the product's own check speaks.
    const auto no_output = try_matmul(
        p.x_view(), p.packed, matrix_view<float>{nullptr, tokens, p.rows}, epilogue::accumulate{});
    REQUIRE_FALSE(no_output);
    CHECK(std::string(no_output.failure().where()) == "matmul: y");
}

static_assert(std::is_same_v<decltype(epilogue::gate{matrix_view<fp16>{}}), epilogue::gate<fp16>>);
static_assert(
    std::is_same_v<decltype(epilogue::gate{matrix_view<const bf16>{}}), epilogue::gate<bf16>>);
static_assert(epilogue_stage<epilogue::gate<float>> && epilogue_stage<epilogue::clamp> &&
              epilogue_stage<epilogue::silu> && epilogue_stage<epilogue::gelu> &&
              epilogue_stage<epilogue::gelu_tanh>);
static_assert(!executor<epilogue::gate<float>> && !executor<epilogue::accumulate>);
