// Products of few tokens, whose tiles AVX-512 treats each in its own way.
#include "matmul_cases.hpp"

#include <tuple>
#include <utility>

using namespace quant;

namespace {

using per_token_int8 = activations::int8<per_token>;
template <std::size_t Group>
using grouped_int8 = activations::int8<group_wise<Group>>;
template <class Code, class Mapping, std::size_t Group>
using grouped = scheme<Code, Mapping, group_wise<Group>, fp16>;

/// Products of `Rows` outputs by each number of columns, of each number of tokens.
template <class S, class A, std::size_t Rows, class Columns, class Counts>
struct few;
template <class S, class A, std::size_t Rows, std::size_t... Columns, std::size_t... Counts>
struct few<S, A, Rows, std::index_sequence<Columns...>, std::index_sequence<Counts...>> {
    static void check() {
        CAPTURE(to_string(describe<S>()));
        thread_pool pool(2);
        for (const std::size_t cols : {Columns...}) {
            for (const std::size_t tokens : {Counts...}) {
                CAPTURE(cols, tokens);
                cases::check_product<S, A>({Rows, cols}, tokens, pool);
            }
        }
    }
};
template <std::size_t... Columns>
using columns = std::index_sequence<Columns...>;
template <std::size_t... Tokens>
using counts = std::index_sequence<Tokens...>;

using products = std::tuple<
    // Tiles of three beside tiles of four. Eleven panels: of the last group of three, one stands
    // in, without a pool. Panels of which twelve are a short block, and a long one.
    few<scheme<int8, symmetric, per_channel, float>, per_token_int8, 166, columns<500, 3'100>,
        counts<7>>,
    few<grouped<int3, asymmetric, 64>, per_token_int8, 166, columns<500, 7'000>, counts<7>>,
    few<grouped<int4, asymmetric_min, 32>, grouped_int8<32>, 166, columns<6'020>, counts<7>>,
    few<grouped<int7, symmetric, 128>, per_token_int8, 166, columns<3'300>, counts<7>>,
    // Steps of two superblocks, for tiles of five and six; groups that are whole, and last ones of
    // one superblock and less.
    few<grouped<binary, midrise, 64>, grouped_int8<64>, 40, columns<640, 660, 700>,
        counts<5, 6, 11>>,
    few<grouped<binary, midrise, 64>, per_token_int8, 40, columns<640, 673>, counts<5, 12>>,
    few<grouped<int2, symmetric, 64>, grouped_int8<64>, 40, columns<640, 650, 690>,
        counts<5, 6, 11>>,
    few<grouped<int2, asymmetric, 64>, per_token_int8, 40, columns<640, 683>, counts<5, 12>>,
    // Groups of more than 65536 columns, which are steps, end with a short one; and a second group
    // after such a one.
    few<grouped<int4, symmetric, 65'600>, per_token_int8, 3, columns<140'000>, counts<1, 3>>,
    few<grouped<int8, asymmetric, 65'600>, activations::int16, 3, columns<140'000>, counts<2>>>;

} // namespace

TEMPLATE_LIST_TEST_CASE("few tokens: products are the reference's", "[matmul]",
                        cases::sample<products>) {
    TestType::check();
}

TEST_CASE("few tokens: which blocks are too long", "[matmul]") {
    const auto unit = [](std::size_t larger, std::size_t smaller, std::size_t panel_bytes) {
        return detail::block_unit<per_token_int8>(larger, smaller, panel_bytes);
    };
    if constexpr (isa::current::vector_bytes == 64) {
        CHECK(unit(4, 3, 36 << 10) == 12); // 432 KiB
        CHECK(unit(4, 3, 37 << 10) == detail::panels_beside_tiles_of_four);
        CHECK(unit(5, 4, 240 << 10) == 6); // 1440 KiB
        CHECK(unit(5, 4, 241 << 10) == 2);
        CHECK(unit(6, 6, 1 << 20) == 2);
        CHECK(unit(3, 3, 1 << 20) == 4);
    } else {
        CHECK(unit(4, 3, 1 << 20) == 1);
    }
}

TEST_CASE("cores: AMD's families", "[simd]") {
    CHECK(simd::family_of(0x00A20F10) == 0x19); // Zen 3
    CHECK(simd::family_of(0x00A10F11) == 0x19); // Zen 4
    CHECK(simd::family_of(0x00B40F40) == 0x1A); // Zen 5
    CHECK(simd::family_of(0x00000663) == 6);    // K7: no extended family
}
