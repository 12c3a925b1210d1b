// Products of few tokens, whose tiles AVX-512 treats each in its own way.
#include "matmul_cases.hpp"

#include <initializer_list>

using namespace quant;

namespace {

using per_token_int8 = activations::int8<per_token>;
template <std::size_t Group>
using grouped_int8 = activations::int8<group_wise<Group>>;
template <class Code, class Mapping, std::size_t Group>
using grouped = scheme<Code, Mapping, group_wise<Group>, fp16>;

/// Products of `rows` outputs by all columns that are given.
template <class S, class A>
void check(std::size_t rows, std::initializer_list<std::size_t> columns,
           std::initializer_list<std::size_t> counts) {
    CAPTURE(to_string(describe<S>()));
    thread_pool pool(2);
    for (const std::size_t cols : columns) {
        for (const std::size_t tokens : counts) {
            CAPTURE(cols, tokens);
            cases::check_product<S, A>({rows, cols}, tokens, pool);
        }
    }
}

} // namespace

TEST_CASE("few tokens: tiles of three beside tiles of four", "[matmul]") {
    // Eleven panels: of the last group of three, one stands in, without a pool. Panels of which
    // twelve are a short block, and a long one.
    check<scheme<int8, symmetric, per_channel, float>, per_token_int8>(166, {500, 3'100}, {7});
    check<grouped<int3, asymmetric, 64>, per_token_int8>(166, {500, 7'000}, {7});
    check<grouped<int4, asymmetric_min, 32>, grouped_int8<32>>(166, {6'020}, {7});
    check<grouped<int7, symmetric, 128>, per_token_int8>(166, {3'300}, {7});
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

TEST_CASE("few tokens: steps of two superblocks", "[matmul]") {
    // Tiles of five and six; groups that are whole, and last ones of one superblock and less.
    check<grouped<binary, midrise, 64>, grouped_int8<64>>(40, {640, 660, 700}, {5, 6, 11});
    check<grouped<binary, midrise, 64>, per_token_int8>(40, {640, 673}, {5, 12});
    check<grouped<int2, symmetric, 64>, grouped_int8<64>>(40, {640, 650, 690}, {5, 6, 11});
    check<grouped<int2, asymmetric, 64>, per_token_int8>(40, {640, 683}, {5, 12});
}

TEST_CASE("cores: AMD's families", "[simd]") {
    CHECK(simd::family_of(0x00A20F10) == 0x19); // Zen 3
    CHECK(simd::family_of(0x00A10F11) == 0x19); // Zen 4
    CHECK(simd::family_of(0x00B40F40) == 0x1A); // Zen 5
    CHECK(simd::family_of(0x00000663) == 6);    // K7: no extended family
}

TEST_CASE("few tokens: groups that end with a short step", "[matmul]") {
    // Of more than 65536 columns, which are steps; and a second group after such a one.
    check<grouped<int4, symmetric, 65'600>, per_token_int8>(3, {140'000}, {1, 3});
    check<grouped<int8, asymmetric, 65'600>, activations::int16>(3, {140'000}, {2});
}
