// Products by AMX, if the CPU has it: the same bits as without. check_product compares both.
#include "matmul_cases.hpp"

#include <limits>
#include <tuple>

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
    tested_product<int8, symmetric, group_wise<128>, grouped_int8<64>>,
    tested_product<int8, midrise, group_wise<64>, per_token_int8>,
    tested_product<int7, midrise, group_wise<96>, grouped_int8<96>>,
    tested_product<binary, midrise, group_wise<64>, per_token_int8>,
    tested_product<fp4, symmetric, group_wise<64>, per_token_int8>,
    tested_product<int4, asymmetric_min, group_wise<32>, activations::int16>,
    tested_product<int4, asymmetric, per_channel, grouped_int8<512>>>;

template <class A, std::size_t Section, std::size_t Block>
bool in_rows(const packed_activations<A, Section, Block>& x) {
    return x.view().in_rows();
}

} // namespace

TEMPLATE_LIST_TEST_CASE("AMX: products are the reference's", "[matmul]", cases::sample<products>) {
    using S = typename TestType::scheme;
    using A = typename TestType::activations;
    CAPTURE(to_string(describe<S>()));
    thread_pool pool(3);
    // Seven panels, of which three are left over; one; and columns of which the last row of a tile
    // has few, one superblock, and several.
    for (const cases::shape size : {cases::shape{100, 1060}, {16, 2052}, {70, 96}}) {
        // One tile and more, of one size and of two; and more than share operands.
        for (const std::size_t tokens : {7u, 14u, 16u, 17u, 33u, 200u}) {
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

TEST_CASE("AMX: columns that end anywhere", "[matmul]") {
    thread_pool pool(2);
    using S = scheme<int4, symmetric, group_wise<64>, fp16>;
    for (std::size_t cols = 1; cols <= 130; cols += 3) {
        CAPTURE(cols);
        cases::check_product<S, per_token_int8>({20, cols}, 9, pool);
    }
}

TEST_CASE("AMX: which tokens lie in rows", "[matmul]") {
    using short_steps = scheme<int4, symmetric, group_wise<32>, fp16>;
    using long_steps = scheme<int4, symmetric, group_wise<128>, fp16>;
    const bool here = simd::amx::available();
    std::vector<float> x(40 * 128, 0.5f);
    const auto rows_of = [&](std::size_t tokens) {
        return matrix_view<const float>{x.data(), tokens, 128};
    };
    for (const std::size_t tokens : {7u, 14u, 16u, 17u, 20u, 33u}) {
        CAPTURE(tokens);
        const bool full = tokens != 7 && tokens != 17;
        CHECK(in_rows(pack_activations<per_token_int8, long_steps>(rows_of(tokens))) == here);
        CHECK(in_rows(pack_activations<per_token_int8, short_steps>(rows_of(tokens))) ==
              (here && full));
        CHECK(in_rows(pack_activations<per_token_int8>(rows_of(tokens))) == (here && full));
        CHECK_FALSE(in_rows(pack_activations<activations::fp32>(rows_of(tokens))));
        CHECK_FALSE(in_rows(pack_activations<grouped_int8<16>>(rows_of(tokens))));
    }
    CHECK_FALSE(in_rows(pack_activations<per_token_int8, long_steps>(rows_of(6))));
    const cases::pretend without(simd::amx::available(), false);
    CHECK_FALSE(in_rows(pack_activations<per_token_int8, long_steps>(rows_of(16))));
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
