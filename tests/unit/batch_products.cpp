// A batch gives each product the bits that it has alone, whatever its shape, its neighbours and the
// executor.
#include "batch_cases.hpp"

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

using namespace batch_cases;

namespace {

/// Any executor, as one type: kernels are compiled for it once.
using any_executor = std::function<void(std::size_t, task)>;

/// Shapes that have nothing in common, empty ones at both ends and between.
template <class S = w4>
std::vector<operands<S>> mixed() {
    std::vector<std::uint32_t> many(150);
    for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<std::uint32_t>(i * 7 % 20);
    std::vector<operands<S>> made;
    made.emplace_back(40, 64, 0);
    made.emplace_back(1, 1, 1);
    made.emplace_back(70, 130, 9, std::vector<std::uint32_t>{8, 0, 8, 3});
    made.emplace_back(16, 32, 0);
    made.emplace_back(0 + 200, 300, 5);
    made.emplace_back(33, 512, 20, many); // few outputs for many tokens
    made.emplace_back(513, 96, 13);
    made.emplace_back(16, 32, 0);
    return made;
}

template <class A = automatic, class S, class... Args>
void check_batch(std::vector<operands<S>>& products, Args&&... args) {
    std::vector<product<S>> items;
    for (auto& o : products) {
        o.y.assign(o.y.size(), -77.0f);
        items.push_back(o.item());
    }
    matmul_batch<A>(items, args...);
    for (std::size_t i = 0; i < products.size(); ++i) {
        CAPTURE(i);
        CHECK(same_bits(products[i].y, products[i].template alone<A>()));
    }
}

} // namespace

TEMPLATE_TEST_CASE("a batch is its products, for any executor", "[batch]", default_activations<w4>,
                   activations::fp32) {
    auto products = mixed<>();
    check_batch<TestType>(products, any_executor(std::cref(serial)));
    for (const std::size_t threads : {1u, 2u, 3u, 7u}) {
        thread_pool pool(threads);
        check_batch<TestType>(products, any_executor(std::ref(pool)));
    }
    check_batch<TestType>(products, any_executor([](std::size_t count, task f) {
                              for (std::size_t i = count; i-- > 0;) f(i);
                          }));
}

TEST_CASE("a batch of weights in odd groups is its products", "[batch]") {
    using odd_groups = scheme<int3, asymmetric_min, group_wise<5>, float>;
    auto products = mixed<odd_groups>();
    thread_pool pool(3);
    check_batch(products, pool);
}

TEST_CASE("a batch takes two parallel regions, however many products", "[batch]") {
    std::vector<operands<>> products;
    for (std::size_t i = 0; i < 20; ++i) products.emplace_back(160, 512, 12 + i % 3);
    std::size_t regions = 0, tasks = 0;
    const any_executor count_regions = [&](std::size_t count, task f) {
        ++regions;
        tasks += count;
        serial(count, f);
    };
    check_batch(products, count_regions);
    CHECK(regions == 2);
    CHECK(tasks <= 16 * (2 + 4));
}

TEST_CASE("epilogues and prologues apply to each product of a batch", "[batch]") {
    std::vector<operands<>> products;
    products.emplace_back(70, 96, 5);
    products.emplace_back(70, 96, 9, std::vector<std::uint32_t>{2, 2, 7});
    products.emplace_back(70, 96, 40);
    const auto bias = numbers(70, 8), factors = numbers(96, 9);
    thread_pool pool(2);
    std::vector<product<w4>> items;
    for (auto& o : products) items.push_back(o.item());
    matmul_batch(items, epilogue::bias{bias}, pool, prologue::column_scale{factors},
                 epilogue::silu{}, epilogue::accumulate{});
    for (const auto& o : products) {
        CHECK(same_bits(o.y, o.alone(prologue::column_scale{factors}, epilogue::bias{bias},
                                     epilogue::silu{}, epilogue::accumulate{})));
    }
}

TEST_CASE("products of the same x pack it once", "[batch]") {
    // Seen by a prologue that counts its rows.
    struct counting : not_an_executor {
        std::atomic<int>* rows;
        explicit counting(std::atomic<int>* to) : rows(to) {}
        result<void> check(std::size_t, std::size_t) const noexcept { return {}; }
        void apply(std::span<float>, std::span<float>) const { ++*rows; }
    };
    operands<> q(70, 96, 5), k(16, 96, 5), v(33, 96, 5), other(33, 96, 5);
    k.x = v.x = q.x;
    std::atomic<int> rows{0};
    const std::array items{
        product(q.x_view(), q.w, q.y_view()), product(q.x_view(), k.w, k.y_view()),
        product(q.x_view(), v.w, v.y_view()), product(other.x_view(), other.w, other.y_view())};
    matmul_batch(items, counting{&rows});
    CHECK(rows == 10);
    for (const auto* o : {&q, &k, &v, &other}) CHECK(same_bits(o->y, o->alone()));
}

TEST_CASE("narrow activations and outputs, and rows that lie apart", "[batch]") {
    operands<> o(70, 96, 9, {8, 1, 1, 4});
    std::vector<fp16> x(9 * 100), y(4 * 80, fp16(-77.0f)), expected = y;
    for (std::size_t i = 0; i < o.x.size(); ++i) {
        x[i / 96 * 100 + i % 96] = fp16(o.x[i]);
        o.x[i] = static_cast<float>(fp16(o.x[i]));
    }
    const product item(matrix_view<fp16>{x.data(), 9, 96, 100}, o.w,
                       matrix_view<fp16>{y.data(), 4, 70, 80}, o.rows);
    matmul_batch(std::span(&item, 1));
    const auto alone = o.alone();
    for (std::size_t i = 0; i < alone.size(); ++i) {
        expected[i / 70 * 80 + i % 70] = fp16(alone[i]);
    }
    CHECK(std::memcmp(static_cast<const void*>(y.data()), static_cast<const void*>(expected.data()),
                      y.size() * sizeof(fp16)) == 0);
}

TEST_CASE("grouped products are products of each expert's rows", "[batch][grouped]") {
    constexpr std::size_t cols = 130, outputs = 90;
    const std::vector<std::size_t> ends{0, 1, 1, 14, 20, 20};
    const auto x = numbers(20 * cols, 5);
    std::vector<packed_matrix<w4>> experts;
    std::vector<packed_view<w4>> views;
    for (std::uint32_t e = 0; e < ends.size(); ++e) {
        experts.push_back(quantize_packed<w4>(
            matrix_view<const float>{numbers(outputs * cols, e).data(), outputs, cols}));
    }
    for (const auto& e : experts) views.push_back(e);
    std::vector<float> expected(20 * outputs), y(20 * outputs), again(20 * outputs);
    for (std::size_t e = 0, first = 0; e < ends.size(); first = ends[e++]) {
        if (ends[e] == first) continue;
        matmul(matrix_view<const float>{x.data() + first * cols, ends[e] - first, cols}, experts[e],
               matrix_view<float>{expected.data() + first * outputs, ends[e] - first, outputs});
    }
    thread_pool pool(2);
    const matrix_view<const float> x_view{x.data(), 20, cols};
    grouped_matmul(x_view, experts, ends, matrix_view{y.data(), 20, outputs}, pool);
    CHECK(same_bits(y, expected));
    grouped_matmul(x_view, views, ends, matrix_view{again.data(), 20, outputs});
    CHECK(same_bits(again, expected));
    // No tokens at all.
    CHECK(try_grouped_matmul(matrix_view<const float>{x.data(), 0, cols}, views,
                             std::vector<std::size_t>(6), matrix_view{y.data(), 0, outputs}));
}
