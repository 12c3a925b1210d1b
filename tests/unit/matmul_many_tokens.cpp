// Products of so many tokens that operands are made of codes ahead of them: every shape of their
// kernels, and every way in which steps, stretches and panels end.
#include "matmul_cases.hpp"

#include <tuple>

using namespace quant;
using cases::tested_product;

namespace {

using per_token_int8 = activations::int8<per_token>;

using products = std::tuple<
    // Rows as steps, in place and made; with zero points and minimums.
    tested_product<int8, symmetric, per_channel, per_token_int8>,
    tested_product<int4, asymmetric, per_channel, per_token_int8>,
    tested_product<int5, asymmetric_min, per_tensor, per_token_int8>,
    tested_product<int8, asymmetric, per_channel, activations::int16>,
    // Steps longer than a stretch that are not rows, and one that ends within its second.
    tested_product<int6, symmetric, group_wise<1024>, per_token_int8>,
    tested_product<int8, asymmetric, group_wise<320>, per_token_int8>,
    tested_product<int3, asymmetric_min, group_wise<272>, activations::int16>,
    // Several steps to a stretch: whole superblocks, and groups that end in their middle.
    tested_product<int3, symmetric, group_wise<64>, per_token_int8>,
    tested_product<int7, asymmetric, group_wise<48>, per_token_int8>,
    tested_product<int7, symmetric, group_wise<64>, per_token_int8>,
    tested_product<int7, asymmetric_min, group_wise<64>, activations::int8<group_wise<64>>>,
    tested_product<int7, asymmetric_min, group_wise<32>, activations::int16>,
    tested_product<int7, symmetric, per_channel, per_token_int8>,
    tested_product<int2, midrise, group_wise<128>, per_token_int8>,
    tested_product<binary, midrise, group_wise<96>, per_token_int8>,
    tested_product<fp4, symmetric, group_wise<80>, per_token_int8>,
    tested_product<int4, symmetric, group_wise<16>, activations::int16>,
    tested_product<int7, symmetric, group_wise<32>, per_token_int8>,
    tested_product<int4, asymmetric_min, group_wise<32>, activations::int8<group_wise<32>>>,
    tested_product<int5, asymmetric_min, group_wise<32>, activations::int16>,
    // Scales of activations for each step.
    tested_product<int8, symmetric, group_wise<128>, activations::int8<group_wise<64>>>,
    tested_product<int6, asymmetric_min, group_wise<64>, activations::int8<group_wise<64>>>,
    tested_product<int4, asymmetric, per_channel, activations::int8<group_wise<512>>>>;
using tested = cases::sample<products>;

} // namespace

TEMPLATE_LIST_TEST_CASE("many tokens: products are the reference's", "[matmul]", tested) {
    using S = typename TestType::scheme;
    using A = typename TestType::activations;
    CAPTURE(to_string(describe<S>()));
    constexpr std::size_t largest = detail::tile_tokens<A>, least = detail::least_tiles_ahead<S, A>;
    static_assert(least != 0 || !isa::current::dot_product || isa::current::vector_bytes != 64);
    constexpr std::size_t smallest = detail::least_stretch_tokens<A>;
    const cases::pretend not_here(simd::on_amd_cores(), false); // check_product pretends, too
    thread_pool pool(3);
    // Seven panels, of which three are left over; six, of which two are; and columns of which the
    // last superblock has few.
    for (const cases::shape size : {cases::shape{100, 1060}, {83, 333}, {64, 2052}}) {
        // As few tokens as make so many tiles, which then are small; and tiles of two sizes.
        const std::size_t tiles =
            std::max({least, detail::least_tiles_ahead_on_amd<S, A>, std::size_t{2}});
        const std::size_t few = std::max(tiles * smallest, (tiles - 1) * largest + 1);
        for (const std::size_t tokens : {few, tiles * largest + largest / 2}) {
            CAPTURE(size.rows, size.cols, tokens);
            CHECK((tokens + largest - 1) / largest >= tiles);
            cases::check_product<S, A>(size, tokens, pool);
        }
    }
}

TEST_CASE("many tokens: more than share operands", "[matmul]") {
    const cases::pretend not_here(simd::on_amd_cores(), false);
    thread_pool pool(2);
    cases::check_product<scheme<int4, symmetric, group_wise<128>, fp16>, per_token_int8>(
        {64, 300}, 24 * detail::tile_tokens<per_token_int8> + 40, pool);
}

TEST_CASE("many tokens: which CPU makes operands ahead of them", "[matmul]") {
    using six = scheme<int6, symmetric, group_wise<64>, fp16>;
    using seven = scheme<int7, symmetric, group_wise<64>, fp16>;
    constexpr std::size_t least = detail::least_tiles_ahead<seven, per_token_int8>;
    {
        const cases::pretend not_here(simd::on_amd_cores(), false);
        CHECK(detail::least_tiles_ahead_here<six, per_token_int8>() == least);
        CHECK(detail::least_tiles_ahead_here<seven, per_token_int8>() == least);
    }
    const cases::pretend here(simd::on_amd_cores(), true);
    CHECK(detail::least_tiles_ahead_here<six, per_token_int8>() == 0);
    CHECK(detail::least_tiles_ahead_here<seven, per_token_int8>() == (least == 0 ? 0 : 8));
    CHECK((detail::least_tiles_ahead_on_amd<seven, per_token_int8> != 0) == (least != 0));
}

TEST_CASE("many tokens: rows that are longer than a step", "[matmul]") {
    const cases::pretend not_here(simd::on_amd_cores(), false);
    thread_pool pool(2);
    cases::check_product<scheme<int8, symmetric, per_channel, float>, per_token_int8>({50, 66'000},
                                                                                      12, pool);
}
