// The table of GGUF types: blocks of all that exist, reasons for all that do not, and what decoding
// does alike for all.
#include "gguf_image.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

using namespace gguf_test;
namespace gguf = quant::gguf;
using quant::gguf::try_dequantize;

namespace {

/// All types.
std::vector<type> all_types() {
    std::vector<type> made;
    for (std::uint32_t id = 0; id < 100; ++id) {
        if (quant::gguf::try_block_size(static_cast<type>(id)))
            made.push_back(static_cast<type>(id));
    }
    return made;
}

/// Bit for bit, any NaN as any other.
bool same(float a, float b) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
    return quant::core_detail::bit_cast<std::uint32_t>(a) ==
           quant::core_detail::bit_cast<std::uint32_t>(b);
}

} // namespace

TEST_CASE("gguf: every type has its name, its id and its block", "[gguf]") {
    struct row {
        std::uint32_t id;
        type which;
        std::string_view name;
        std::size_t weights;
        std::size_t bytes;
    };
    const row rows[] = {
        {0, type::f32, "f32", 1, 4},
        {1, type::f16, "f16", 1, 2},
        {2, type::q4_0, "q4_0", 32, 18},
        {3, type::q4_1, "q4_1", 32, 20},
        {6, type::q5_0, "q5_0", 32, 22},
        {7, type::q5_1, "q5_1", 32, 24},
        {8, type::q8_0, "q8_0", 32, 34},
        {9, type::q8_1, "q8_1", 32, 36},
        {10, type::q2_k, "q2_k", 256, 84},
        {11, type::q3_k, "q3_k", 256, 110},
        {12, type::q4_k, "q4_k", 256, 144},
        {13, type::q5_k, "q5_k", 256, 176},
        {14, type::q6_k, "q6_k", 256, 210},
        {15, type::q8_k, "q8_k", 256, 292},
        {16, type::iq2_xxs, "iq2_xxs", 256, 66},
        {17, type::iq2_xs, "iq2_xs", 256, 74},
        {18, type::iq3_xxs, "iq3_xxs", 256, 98},
        {19, type::iq1_s, "iq1_s", 256, 50},
        {20, type::iq4_nl, "iq4_nl", 32, 18},
        {21, type::iq3_s, "iq3_s", 256, 110},
        {22, type::iq2_s, "iq2_s", 256, 82},
        {23, type::iq4_xs, "iq4_xs", 256, 136},
        {24, type::i8, "i8", 1, 1},
        {25, type::i16, "i16", 1, 2},
        {26, type::i32, "i32", 1, 4},
        {27, type::i64, "i64", 1, 8},
        {28, type::f64, "f64", 1, 8},
        {29, type::iq1_m, "iq1_m", 256, 56},
        {30, type::bf16, "bf16", 1, 2},
        {34, type::tq1_0, "tq1_0", 256, 54},
        {35, type::tq2_0, "tq2_0", 256, 66},
        {39, type::mxfp4, "mxfp4", 32, 17},
        {40, type::nvfp4, "nvfp4", 64, 36},
        {41, type::q1_0, "q1_0", 128, 18},
        {42, type::q2_0, "q2_0", 64, 18},
    };
    for (const row& each : rows) {
        CAPTURE(each.name);
        CHECK(static_cast<std::uint32_t>(each.which) == each.id);
        CHECK(gguf::to_string(each.which) == each.name);
        CHECK(*gguf::try_block_size(each.which) == each.weights);
        CHECK(*gguf::try_block_bytes(each.which) == each.bytes);
    }
}

TEST_CASE("gguf: an id that is no type is refused by its number and reason", "[gguf]") {
    const auto check = [](std::uint32_t id, std::string_view reason) {
        const auto which = static_cast<type>(id);
        CHECK(gguf::to_string(which) == std::string_view("unknown"));
        const std::string expected = "type id " + std::to_string(id) + " " + std::string(reason);
        const quant::error failures[] = {gguf::try_block_size(which).failure(),
                                         gguf::try_block_bytes(which).failure(),
                                         gguf::try_dequantize(which, {}, {}).failure()};
        for (const quant::error& failure : failures) {
            CHECK(failure.code() == errc::unsupported);
            CHECK(failure.message() == expected);
        }
    };
    check(4, "was removed from the format (Q4_2)");
    check(5, "was removed from the format (Q4_3)");
    check(31, "was removed from the format (Q4_0_4_4)");
    check(32, "was removed from the format (Q4_0_4_8)");
    check(33, "was removed from the format (Q4_0_8_8)");
    check(36, "was removed from the format (IQ4_NL_4_4; a fork reuses it for I2_S)");
    check(37, "was removed from the format (IQ4_NL_4_8)");
    check(38, "was removed from the format (IQ4_NL_8_8)");
    for (const std::uint32_t id : {97u, 99u, 133u, 158u, 202u, 399u}) {
        check(id, "exists in a fork of the format only");
    }
    for (const std::uint32_t id : {43u, 96u, 100u, 159u, 201u, 400u, UINT32_MAX}) {
        check(id, "is unknown");
    }
}

TEST_CASE("gguf blocks: sizes that do not fit are errors, and nothing is written", "[gguf]") {
    const std::vector<std::byte> bytes(3 * 292);
    std::vector<float> out(1024, 42.0f);
    for (const type which : all_types()) {
        const std::size_t weights = *quant::gguf::try_block_size(which);
        const std::size_t size = *quant::gguf::try_block_bytes(which);
        const std::span<const std::byte> all(bytes);
        const std::span<float> room(out);
        const auto code = [&](std::size_t blocks_bytes, std::size_t floats) {
            const auto done = try_dequantize(which, all.first(blocks_bytes), room.first(floats));
            return done ? std::optional<errc>() : done.failure().code();
        };
        CAPTURE(quant::gguf::to_string(which));
        if (size > 1) CHECK(code(2 * size - 1, 2 * weights) == errc::shape_mismatch);
        if (size > 1) CHECK(code(2 * size + 1, 2 * weights) == errc::shape_mismatch);
        CHECK(code(2 * size, 2 * weights - 1) == errc::shape_mismatch);
        CHECK(code(2 * size, 2 * weights + 1) == errc::shape_mismatch);
        CHECK(code(2 * size, 0) == errc::shape_mismatch);
        CHECK(code(0, weights) == errc::shape_mismatch);
        CHECK(out[0] == 42.0f);
        CHECK(code(0, 0) == std::nullopt);
        CHECK(out[0] == 42.0f);
    }
}

TEST_CASE("gguf blocks: a row of blocks is its blocks, each at any address", "[gguf]") {
    std::mt19937 random(11);
    for (const type which : all_types()) {
        const std::size_t weights = *quant::gguf::try_block_size(which);
        const std::size_t size = *quant::gguf::try_block_bytes(which);
        // Buffers of their own sizes, so that a sanitizer sees an access past their ends.
        std::vector<std::byte> blocks(3 * size);
        for (std::byte& b : blocks) b = static_cast<std::byte>(random() & 255u);
        std::vector<float> together(3 * weights);
        REQUIRE(try_dequantize(which, blocks, together).has_value());
        for (std::size_t i = 0; i < 3; ++i) {
            std::vector<std::byte> shifted(1 + size);
            std::memcpy(shifted.data() + 1, blocks.data() + i * size, size);
            std::vector<float> alone(weights);
            REQUIRE(try_dequantize(which, std::span(shifted).subspan(1), alone).has_value());
            std::size_t different = 0;
            for (std::size_t j = 0; j < weights; ++j) {
                different += !same(alone[j], together[i * weights + j]);
            }
            CAPTURE(quant::gguf::to_string(which), i);
            CHECK(different == 0);
        }
    }
}
