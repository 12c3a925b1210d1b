// Prologues do to each row of activations what scalar code would do to the whole matrix before the
// product, in the order given, whatever the activations' type and the weights' scheme.
#include <quant/quant.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

using namespace quant;

namespace {

using w4 = scheme<int4, symmetric, group_wise<32>, fp16>;
using odd_groups = scheme<int3, asymmetric_min, group_wise<5>, float>;

constexpr std::size_t rows = 21;
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

class random_numbers {
public:
    explicit random_numbers(std::uint32_t seed) : state_(seed) {}
    std::uint32_t next() { return (state_ = state_ * 1664525u + 1013904223u) >> 8; }
    std::vector<float> floats(std::size_t n) {
        std::vector<float> made(n);
        for (float& v : made) v = static_cast<float>(next()) * 0x1p-23f - 1.0f;
        return made;
    }
    std::vector<std::uint32_t> permutation(std::size_t n) {
        std::vector<std::uint32_t> made(n);
        std::iota(made.begin(), made.end(), 0u);
        for (std::size_t i = n; i > 1; --i) std::swap(made[i - 1], made[next() % i]);
        return made;
    }

private:
    std::uint32_t state_;
};

/// A product with numbers for each column.
template <class S>
struct problem {
    std::size_t tokens, cols;
    random_numbers random{static_cast<std::uint32_t>(cols)};
    std::vector<float> w = random.floats(rows * cols), x = random.floats(tokens * cols);
    std::vector<float> factors = random.floats(cols);
    std::vector<std::uint32_t> order = random.permutation(cols);
    packed_matrix<S> packed = quantize_packed<S>(matrix_view{w.data(), rows, cols});

    problem(std::size_t token_count, std::size_t col_count)
        : tokens(token_count), cols(col_count) {}

    prologue::column_scale scale() const { return prologue::column_scale{factors}; }
    prologue::permutation permutation() const { return prologue::permutation{order}; }

    /// Every row of `from` with column k at p[k], by scalar code.
    std::vector<float> permuted(const std::vector<float>& from) const {
        std::vector<float> made(from.size());
        for (std::size_t i = 0; i < made.size(); ++i) {
            made[i] = from[i / cols * cols + order[i % cols]];
        }
        return made;
    }
    std::vector<float> scaled(const std::vector<float>& from) const {
        std::vector<float> made(from.size());
        for (std::size_t i = 0; i < made.size(); ++i) made[i] = from[i] * factors[i % cols];
        return made;
    }

    template <class A, class T, class... Args>
    std::vector<float> product(const std::vector<T>& values, Args&&... args) const {
        std::vector<float> y(tokens * rows);
        matmul<A>(matrix_view{values.data(), tokens, cols}, packed,
                  matrix_view{y.data(), tokens, rows}, args...);
        return y;
    }
};

template <class A, class S>
void check_prologues(std::size_t tokens, std::size_t cols) {
    const problem<S> p(tokens, cols);
    CAPTURE(tokens, cols);
    CHECK(p.template product<A>(p.x, p.scale(), p.permutation()) ==
          p.template product<A>(p.permuted(p.scaled(p.x))));
}

/// Every order of arguments; with one kind of activations, since each takes long to compile.
void check_orders(std::size_t tokens, std::size_t cols) {
    using A = default_activations<w4>;
    const problem<w4> p(tokens, cols);
    thread_pool pool(3);
    CAPTURE(tokens, cols);
    const auto by_columns = p.permuted(p.x), scaled = p.scaled(p.x);
    CHECK(p.product<A>(p.x, p.scale()) == p.product<A>(scaled));
    CHECK(p.product<A>(p.x, p.permutation()) == p.product<A>(by_columns));
    CHECK(p.product<A>(p.x, p.permutation(), pool, p.scale()) ==
          p.product<A>(p.scaled(by_columns)));
    CHECK(p.product<A>(p.x, epilogue::scale{2}, p.scale(), pool, epilogue::relu{}) ==
          p.product<A>(scaled, epilogue::scale{2}, epilogue::relu{}));

    // Narrow activations are widened first.
    std::vector<bf16> narrow(p.x.size());
    std::vector<float> widened(p.x.size());
    for (std::size_t i = 0; i < narrow.size(); ++i) {
        narrow[i] = bf16(p.x[i]);
        widened[i] = static_cast<float>(narrow[i]);
    }
    CHECK(p.product<A>(narrow, p.scale(), p.permutation()) ==
          p.product<A>(p.permuted(p.scaled(widened))));
}

} // namespace

TEMPLATE_TEST_CASE("prologues are what scalar code does to x", "[prologue]",
                   activations::int8<group_wise<32>>, activations::int8<per_token>,
                   activations::int16, activations::bf16, activations::fp32) {
    for (const std::size_t tokens : {1u, 2u, 5u}) {
        for (const std::size_t cols : {1u, 15u, 16u, 33u, 130u}) {
            check_prologues<TestType, w4>(tokens, cols);
        }
    }
    // Enough rows for several tasks.
    check_prologues<TestType, w4>(130, 1030);
}

TEST_CASE("prologues stand anywhere among the arguments, in their own order", "[prologue]") {
    for (const std::size_t cols : {1u, 16u, 33u, 130u}) check_orders(5, cols);
}

TEST_CASE("prologues fit weights of any group", "[prologue]") {
    check_prologues<activations::int8<per_token>, odd_groups>(5, 33);
}

TEST_CASE("activations packed with prologues serve several products", "[prologue]") {
    using A = default_activations<w4>;
    const problem<w4> p(5, 130);
    thread_pool pool(2);
    const matrix_view x{p.x.data(), p.tokens, p.cols};
    const auto check = [&](const auto& packed, const std::vector<float>& values) {
        std::vector<float> y(p.tokens * rows);
        matmul(packed, p.packed, matrix_view{y.data(), p.tokens, rows});
        CHECK(y == p.product<A>(values));
    };
    check(pack_activations<A>(x, p.scale()), p.scaled(p.x));
    check(pack_activations<A>(x, pool, p.scale(), p.permutation()), p.permuted(p.scaled(p.x)));
    check(pack_activations<A, w4>(x, p.permutation(), pool, p.scale()), p.scaled(p.permuted(p.x)));
    const any_packed_matrix<w4> any(quantize_packed<w4>(matrix_view{p.w.data(), rows, p.cols}));
    std::vector<float> y(p.tokens * rows);
    matmul(x, any, matrix_view{y.data(), p.tokens, rows}, p.permutation());
    CHECK(y == p.product<A>(p.permuted(p.x)));
}

TEST_CASE("activations may lie apart, by columns or at odd addresses", "[prologue]") {
    using A = default_activations<w4>;
    const problem<w4> p(5, 70);
    const auto expected = p.product<A>(p.permuted(p.scaled(p.x)));
    const auto check = [&](matrix_view<const float> x) {
        std::vector<float> y(p.tokens * rows);
        matmul(x, p.packed, matrix_view{y.data(), p.tokens, rows}, p.scale(), p.permutation());
        CHECK(y == expected);
    };
    std::vector<float> apart(p.tokens * 80), by_columns(p.x.size());
    for (std::size_t i = 0; i < p.x.size(); ++i) {
        apart[i / p.cols * 80 + i % p.cols] = p.x[i];
        by_columns[i % p.cols * p.tokens + i / p.cols] = p.x[i];
    }
    std::vector<std::byte> bytes(p.x.size() * sizeof(float) + 1);
    std::memcpy(bytes.data() + 1, p.x.data(), p.x.size() * sizeof(float));
    check({apart.data(), p.tokens, p.cols, 80});
    check(transposed(matrix_view<const float>{by_columns.data(), p.cols, p.tokens}));
    check(
        {static_cast<const float*>(static_cast<const void*>(bytes.data() + 1)), p.tokens, p.cols});
}

TEST_CASE("NaN from a prologue spoils its token alone", "[prologue]") {
    problem<w4> p(5, 70);
    p.x[2 * p.cols + 3] = std::numeric_limits<float>::infinity();
    p.factors[3] = 0; // 0 · ∞
    const auto y = p.product<default_activations<w4>>(p.x, p.scale());
    for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i / rows == 2));
    p.factors[3] = quiet_nan;
    for (const float v : p.product<default_activations<w4>>(p.x, p.scale())) CHECK(std::isnan(v));
}

TEST_CASE("prologues that do not fit are refused", "[prologue][errors]") {
    problem<w4> p(2, 70);
    std::vector<float> y(p.tokens * rows);
    const matrix_view<const float> x{p.x.data(), p.tokens, p.cols};
    const auto refused = [&](const auto& stage, errc code, const std::string& where) {
        const auto done = try_matmul(x, p.packed, matrix_view{y.data(), p.tokens, rows}, stage);
        REQUIRE_FALSE(done);
        CHECK(done.failure().code() == code);
        CHECK(std::string(done.failure().where()) == where);
        const auto packed = try_pack_activations<default_activations<w4>>(x, stage);
        REQUIRE_FALSE(packed);
        CHECK(packed.failure().code() == code);
    };
    const std::string scale = "matmul: prologue::column_scale";
    const std::string permutation = "matmul: prologue::permutation";
    const std::span<const float> factors(p.factors);
    const std::span<const std::uint32_t> order(p.order);
    refused(prologue::column_scale{factors.first(69)}, errc::shape_mismatch, scale);
    refused(prologue::column_scale{{}}, errc::shape_mismatch, scale);
    refused(prologue::permutation{order.first(69)}, errc::shape_mismatch, permutation);
    refused(prologue::permutation{{}}, errc::shape_mismatch, permutation);
    const auto changed = [&](std::uint32_t index) {
        auto indices = p.order;
        indices[10] = index;
        refused(prologue::permutation{indices}, errc::invalid_argument, permutation);
    };
    changed(70);
    changed(0xFFFFFFFFu);
    changed(p.order[69]);
    CHECK(prologue::permutation{order}.check(2, 70));
}

TEST_CASE("permutations of rows too long for the stack are checked, too", "[prologue][errors]") {
    constexpr std::size_t cols = 100'003;
    auto order = random_numbers(1).permutation(cols);
    CHECK(prologue::permutation{order}.check(1, cols));
    order[cols - 1] = order[0];
    CHECK(prologue::permutation{order}.check(1, cols).failure().code() == errc::invalid_argument);
}

namespace {
/// A stage of a user that needs the whole row: every number less the row's mean.
struct centred : not_an_executor {
    bool allowed = true;
    [[nodiscard]] result<void> check(std::size_t, std::size_t) const noexcept {
        if (allowed) return {};
        return error(errc::invalid_argument, "centred", "not allowed");
    }
    void apply(std::span<float> row, std::span<float> scratch) const {
        std::partial_sum(row.begin(), row.end(), scratch.begin());
        const float mean = scratch.back() / static_cast<float>(row.size());
        for (float& v : row) v -= mean;
    }
};
static_assert(prologue_stage<centred> && !epilogue_stage<centred> && !executor<centred>);
static_assert(prologue_stage<prologue::column_scale> && prologue_stage<prologue::permutation>);
static_assert(!executor<prologue::column_scale> && !executor<prologue::permutation>);
static_assert(!prologue_stage<epilogue::bias> && !prologue_stage<thread_pool> &&
              !epilogue_stage<prologue::permutation>);
} // namespace

TEST_CASE("users may write prologues that need the whole row", "[prologue]") {
    using A = default_activations<w4>;
    const problem<w4> p(5, 70);
    auto expected = p.scaled(p.x);
    for (std::size_t t = 0; t < p.tokens; ++t) {
        std::vector<float> sums(p.cols);
        centred{}.apply(std::span(expected).subspan(t * p.cols, p.cols), sums);
    }
    CHECK(p.product<A>(p.x, p.scale(), centred{}) == p.product<A>(expected));
    centred forbidden;
    forbidden.allowed = false;
    std::vector<float> y(p.tokens * rows);
    const auto failed = try_matmul(matrix_view{p.x.data(), p.tokens, p.cols}, p.packed,
                                   matrix_view{y.data(), p.tokens, rows}, forbidden);
    REQUIRE_FALSE(failed);
    CHECK(failed.failure().code() == errc::invalid_argument);
}

TEST_CASE("permutations of many columns are checked piece by piece", "[prologue][errors]") {
    random_numbers random(3);
    for (const std::size_t cols : {16384u, 16385u, 131072u, 131073u, 300000u}) {
        auto p = random.permutation(cols);
        const auto first_bad = [&] {
            const auto checked = prologue::permutation{p}.check(1, cols);
            return checked ? std::string() : std::string(checked.failure().message());
        };
        CHECK(first_bad().empty());
        std::swap(p[cols / 2], p[0]);
        p[cols - 1] = p[7];
        CHECK(first_bad() == "index " + std::to_string(p[7]) + " at " + std::to_string(cols - 1) +
                                 " for the second time");
        p[cols - 2] = static_cast<std::uint32_t>(cols);
        CHECK(first_bad() == "index " + std::to_string(cols) + " at " + std::to_string(cols - 2) +
                                 " exceeds the last column");
        p[9] = p[8];
        CHECK(first_bad() == "index " + std::to_string(p[8]) + " at 9 for the second time");
    }
}

TEST_CASE("a static scale quantizes as the same scale found in the data", "[prologue]") {
    constexpr float s = 0x1p-5f;
    const auto check = [&]<class S, class A>(std::type_identity<S>, std::type_identity<A>) {
        const problem<S> p(4, 150);
        // Every group of 5 columns, and so every token, has the magnitude that gives the scale.
        const float largest = static_cast<float>(A::max_code) * s;
        auto x = p.x;
        for (std::size_t i = 0; i < x.size(); i += 5) x[i] = i % 2 == 0 ? largest : -largest;
        const auto expected = p.template product<A>(x);
        CHECK(p.template product<A>(x, prologue::static_scale{s}) == expected);
        // What lies beyond is clipped.
        auto wild = x;
        for (std::size_t i = 0; i < x.size(); i += 10) wild[i] = x[i] * (i % 3 == 0 ? 1e30f : 1.5f);
        CHECK(p.template product<A>(wild, prologue::static_scale{s}) == expected);
        // And what is not finite is still that token's alone.
        wild[3] = std::numeric_limits<float>::infinity();
        const auto y = p.template product<A>(wild, prologue::static_scale{s});
        CHECK(std::all_of(y.begin(), y.begin() + rows, [](float v) { return std::isnan(v); }));
        CHECK(std::equal(y.begin() + rows, y.end(), expected.begin() + rows));
    };
    check(std::type_identity<w4>{}, std::type_identity<activations::int8<per_token>>{});
    check(std::type_identity<odd_groups>{}, std::type_identity<activations::int8<group_wise<5>>>{});

    for (const float bad : {0.0f, -1.0f, 1e-39f, INFINITY, quiet_nan}) {
        const auto checked = prologue::static_scale{bad}.check(1, 1);
        REQUIRE_FALSE(checked);
        CHECK(checked.failure().code() == errc::invalid_argument);
    }
}
