// Products by AMX, if the CPU has it: the same bits as without. check_product compares both.
#include "matmul_cases.hpp"

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <tuple>
#include <vector>

using namespace quant;
using cases::tested_product;

namespace {

using per_token_int8 = activations::int8<per_token>;
template <std::size_t Group>
using grouped_int8 = activations::int8<group_wise<Group>>;

using products = std::tuple<
    // Rows as steps, longer than a stretch: operands made, and codes of 8 bits in place.
    tested_product<int4, symmetric, per_channel, per_token_int8>,
    tested_product<int8, symmetric, per_channel, per_token_int8>,
    tested_product<int8, midrise, per_channel, activations::int16>,
    tested_product<int8, asymmetric, per_channel, per_token_int8>,
    // Several of them in a row; one that ends within its second stretch.
    tested_product<int6, symmetric, group_wise<1024>, per_token_int8>,
    tested_product<int8, asymmetric_min, group_wise<320>, activations::int16>,
    // Several steps to a stretch; steps that begin or end in the middle of a tile's row.
    tested_product<int4, symmetric, group_wise<32>, per_token_int8>,
    tested_product<int5, asymmetric, group_wise<96>, per_token_int8>,
    tested_product<int7, asymmetric_min, group_wise<160>, per_token_int8>,
    tested_product<int7, asymmetric, group_wise<64>, per_token_int8>,
    tested_product<int8, asymmetric, group_wise<64>, per_token_int8>,
    tested_product<int8, asymmetric_min, group_wise<32>, grouped_int8<32>>,
    tested_product<int8, symmetric, group_wise<32>, per_token_int8>,
    tested_product<int8, symmetric, group_wise<128>, grouped_int8<64>>,
    tested_product<int8, symmetric, group_wise<64>, activations::int16>,
    tested_product<int8, midrise, group_wise<64>, per_token_int8>,
    tested_product<int7, midrise, group_wise<96>, grouped_int8<96>>,
    tested_product<binary, midrise, group_wise<64>, per_token_int8>,
    tested_product<fp4, symmetric, group_wise<64>, per_token_int8>,
    tested_product<int4, asymmetric_min, group_wise<32>, activations::int16>,
    tested_product<int4, asymmetric, per_channel, grouped_int8<512>>>;
using tested = cases::sample<products>;

template <class A, std::size_t Section, std::size_t Block>
bool in_rows(const packed_activations<A, Section, Block>& x) {
    return x.view().in_rows();
}

/// A user's stage of an epilogue, which has a product of its own.
struct multiplying_stage : not_an_executor {
    using scheme_type = scheme<int4, symmetric, group_wise<64>, fp16>;
    matrix_view<const float> x;
    packed_view<scheme_type> w;

    multiplying_stage(matrix_view<const float> rows, packed_view<scheme_type> weights)
        : x(rows), w(weights) {}
    [[nodiscard]] result<void> check(std::size_t, std::size_t) const noexcept { return {}; }
    [[nodiscard]] simd::f32x16 apply(const simd::f32x16& value, std::size_t, std::size_t,
                                     std::size_t) const noexcept {
        std::vector<float> y(x.rows() * w.rows());
        const auto done =
            try_matmul<per_token_int8>(x, w, matrix_view<float>{y.data(), x.rows(), w.rows()});
        return done ? value : simd::broadcast(0.0f);
    }
};

} // namespace

TEMPLATE_LIST_TEST_CASE("AMX: products are the reference's", "[matmul]", tested) {
    using S = typename TestType::scheme;
    using A = typename TestType::activations;
    CAPTURE(to_string(describe<S>()));
    thread_pool pool(3);
    // Seven panels, of which three are left over; one; and columns of which the last row of a tile
    // has few, one superblock, and several.
    for (const cases::shape size : {cases::shape{100, 1060}, {16, 2052}, {70, 96}}) {
        // One tile and more, of one size and of two; as many as share operands, and more.
        for (const std::size_t tokens : {7u, 14u, 16u, 17u, 33u, 170u, 200u}) {
            CAPTURE(size.rows, size.cols, tokens);
            cases::check_product<S, A>(size, tokens, pool);
        }
    }
}

TEST_CASE("AMX: rows that are longer than a step", "[matmul]") {
    thread_pool pool(2);
    cases::check_product<scheme<int8, symmetric, per_channel, float>, per_token_int8>({20, 66'000},
                                                                                      18, pool);
}

TEST_CASE("AMX: an epilogue that multiplies itself", "[matmul]") {
    using S = scheme<int4, symmetric, group_wise<64>, fp16>;
    constexpr std::size_t tokens = 40, rows = 80, cols = 256;
    const auto x = cases::numbers(3).vector(tokens * cols),
               w = cases::numbers(4).vector(rows * cols);
    const auto packed = quantize_packed<S>(matrix_view<const float>{w.data(), rows, cols});
    const multiplying_stage stage{matrix_view<const float>{x.data(), 9, cols}, packed.view()};
    const auto product = [&](const auto&... with) {
        std::vector<float> y(tokens * rows);
        matmul<per_token_int8>(matrix_view<const float>{x.data(), tokens, cols}, packed,
                               matrix_view<float>{y.data(), tokens, rows}, with...);
        return y;
    };
    CHECK(cases::same_bytes(product(stage), product()));
}

TEST_CASE("AMX: columns that end anywhere", "[matmul]") {
    thread_pool pool(2);
    using S = scheme<int4, symmetric, group_wise<64>, fp16>;
    for (std::size_t cols = 1; cols <= 130; cols += 3) {
        CAPTURE(cols);
        cases::check_product<S, per_token_int8>({20, cols}, 9, pool);
    }
}

TEST_CASE("AMX: which tokens lie in rows", "[matmul]") {
    const bool here = simd::amx::available();
    std::vector<float> x(40 * 128, 0.5f);
    // Of 1 … 40 tokens those that do, by what `pack` makes of them.
    const auto counts_in_rows = [&](auto pack) {
        std::vector<std::size_t> counts;
        for (std::size_t tokens = 1; tokens <= 40; ++tokens) {
            if (in_rows(pack(matrix_view<const float>{x.data(), tokens, 128}))) {
                counts.push_back(tokens);
            }
        }
        return counts;
    };
    const auto by = [&]<class A, class Mapping, class Granularity>(A, Mapping, Granularity) {
        return counts_in_rows([](auto rows) {
            return pack_activations<A, scheme<int4, Mapping, Granularity, fp16>>(rows);
        });
    };
    const auto expected = [&](std::size_t alone, std::initializer_list<std::size_t> not_beside) {
        std::vector<std::size_t> counts;
        for (std::size_t tokens = alone; here && tokens <= 40; ++tokens) {
            if (std::ranges::find(not_beside, tokens) == not_beside.end()) counts.push_back(tokens);
        }
        return counts;
    };
    // Two tiles of 20 tokens have 10 each, three of 35 have 11 at least.
    CHECK(by(per_token_int8{}, symmetric{}, group_wise<64>{}) == expected(7, {}));
    CHECK(by(activations::int16{}, symmetric{}, per_channel{}) == expected(7, {}));
    CHECK(by(grouped_int8<64>{}, symmetric{}, group_wise<128>{}) == expected(7, {}));
    CHECK(by(per_token_int8{}, symmetric{}, group_wise<32>{}) == expected(14, {17, 18, 19}));
    CHECK(by(grouped_int8<32>{}, symmetric{}, group_wise<64>{}) == expected(14, {17, 18, 19}));
    CHECK(by(per_token_int8{}, asymmetric{}, group_wise<32>{}) ==
          expected(16, {17, 18, 19, 20, 21}));
    const auto seldom = expected(30, {33, 34, 35, 36, 37, 38, 39, 40});
    CHECK(by(per_token_int8{}, asymmetric_min{}, group_wise<32>{}) == seldom);
    CHECK(counts_in_rows([](auto rows) { return pack_activations<per_token_int8>(rows); }) ==
          seldom);
    using zero_points_of_8_bits = scheme<int8, asymmetric, group_wise<32>, fp16>;
    CHECK(counts_in_rows([](auto rows) {
              return pack_activations<per_token_int8, zero_points_of_8_bits>(rows);
          }).empty());
    CHECK(counts_in_rows([](auto rows) { return pack_activations<grouped_int8<64>>(rows); }) ==
          expected(7, {}));
    CHECK(counts_in_rows([](auto rows) {
              return pack_activations<activations::fp32>(rows);
          }).empty());
    CHECK(
        counts_in_rows([](auto rows) { return pack_activations<grouped_int8<16>>(rows); }).empty());
    const cases::pretend without(simd::amx::available(), false);
    CHECK(by(per_token_int8{}, symmetric{}, group_wise<64>{}).empty());
}

TEST_CASE("AMX: tokens with and without numbers, one by one and together", "[matmul]") {
    using S = scheme<int4, symmetric, group_wise<64>, fp16>;
    constexpr std::size_t tokens = 19, rows = 40, cols = 200;
    auto x = cases::numbers(1).vector(tokens * cols);
    x[5 * cols + 199] = std::numeric_limits<float>::quiet_NaN();
    x[18 * cols] = std::numeric_limits<float>::infinity();
    const auto w = cases::numbers(2).vector(rows * cols);
    const auto packed = quantize_packed<S>(matrix_view<const float>{w.data(), rows, cols});
    std::vector<fp16> narrow(x.size()); // whose rows are prepared one by one
    for (std::size_t i = 0; i < x.size(); ++i) narrow[i] = fp16(x[i]);
    const auto product = [&](const auto& from) {
        std::vector<float> y(tokens * rows);
        using number = std::remove_cvref_t<decltype(from[0])>;
        matmul<per_token_int8>(matrix_view<const number>{from.data(), tokens, cols}, packed,
                               matrix_view<float>{y.data(), tokens, rows});
        return y;
    };
    const auto y = product(x), y_narrow = product(narrow);
    {
        const cases::pretend without(simd::amx::available(), false);
        CHECK(cases::same_bytes(product(x), y));
        CHECK(cases::same_bytes(product(narrow), y_narrow));
    }
    for (std::size_t i = 0; i < y.size(); ++i) {
        const bool none = i / rows == 5 || i / rows == 18;
        CHECK(std::isnan(y[i]) == none);
        CHECK(std::isnan(y_narrow[i]) == none);
    }
}
