// Block decoders against the reference implementation's floats and against exact arithmetic, also
// where the compiler fuses products into adds.
#include <quant/io/gguf/blocks.hpp>

#include <catch2/catch_test_macros.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

using quant::errc;
using quant::fp16;
using quant::gguf::try_dequantize;
using quant::gguf::type;

namespace {

struct decoded_type {
    type which;
    const char* file; // the golden data's name of it
};
constexpr decoded_type decoded[] = {
    {type::f16, "f16"},   {type::bf16, "bf16"}, {type::q8_0, "q8_0"},
    {type::q4_0, "q4_0"}, {type::q4_1, "q4_1"}, {type::q6_k, "q6_K"},
};

std::optional<std::vector<std::byte>> read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return std::nullopt;
    const std::vector<char> text{std::istreambuf_iterator<char>(in), {}};
    const auto bytes = std::as_bytes(std::span(text));
    return std::vector<std::byte>(bytes.begin(), bytes.end());
}

/// Bit for bit, any NaN as any other.
bool same(float a, float b) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

/// Returns whether there was such data.
bool check_golden(const decoded_type& each, const std::string& kind) {
    const std::filesystem::path folder(QUANT_SHARED_DATA "/gguf_golden");
    const auto blocks = read(folder / (each.file + kind + ".blocks"));
    const auto floats = read(folder / (each.file + kind + ".f32"));
    if (!blocks || !floats) return false;
    CAPTURE(each.file, kind);
    std::vector<float> expected(floats->size() / 4);
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const auto byte = [&](std::size_t k) {
            return std::to_integer<std::uint32_t>((*floats)[4 * i + k]) << (8 * k);
        };
        expected[i] = std::bit_cast<float>(byte(0) | byte(1) | byte(2) | byte(3));
    }
    std::vector<float> out(expected.size());
    REQUIRE(try_dequantize(each.which, *blocks, out).has_value());
    std::size_t different = 0;
    for (std::size_t i = 0; i < out.size(); ++i) different += !same(out[i], expected[i]);
    CHECK(different == 0);
    return true;
}

/// A fused and a rounded product-then-sum differ only where the product is inexact.
bool exact_product(float a, float b) {
    volatile float rounded = a * b;
    const double exact = static_cast<double>(a) * static_cast<double>(b);
    return static_cast<double>(rounded) == exact || std::isnan(exact);
}

float fp16_of(std::uint32_t bits) {
    return static_cast<float>(fp16::from_bits(static_cast<std::uint16_t>(bits)));
}

void put16(std::byte* at, std::uint32_t bits) {
    at[0] = static_cast<std::byte>(bits & 255u);
    at[1] = static_cast<std::byte>(bits >> 8);
}

} // namespace

TEST_CASE("gguf blocks: the reference's floats, bit for bit", "[gguf][golden]") {
    std::size_t found = 0;
    for (const decoded_type& each : decoded) {
        for (const char* kind : {"", ".random"}) found += check_golden(each, kind);
    }
    if (found == 0) SKIP("no golden data in " QUANT_SHARED_DATA);
    CHECK(found >= std::size(decoded));
}

TEST_CASE("gguf blocks: an fp16 scale times a code or a scale of 8 bits is exact", "[gguf]") {
    std::size_t inexact = 0;
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
        const float d = fp16_of(bits);
        for (int q = -128; q < 128; ++q) inexact += !exact_product(d, static_cast<float>(q));
    }
    CHECK(inexact == 0);
}

TEST_CASE("gguf blocks: q4_1 is its exact value rounded once, for every scale", "[gguf]") {
    std::mt19937 random(7);
    std::size_t different = 0;
    for (std::uint32_t d = 0; d < 65536; ++d) {
        std::byte block[20];
        for (std::byte& b : block) b = static_cast<std::byte>(random() & 255u);
        const std::uint32_t m = random() & 0xFFFFu;
        put16(block, d);
        put16(block + 2, m);
        float out[32];
        REQUIRE(try_dequantize(type::q4_1, block, out).has_value());
        for (std::size_t j = 0; j < 32; ++j) {
            const int pair = std::to_integer<int>(block[4 + j % 16]);
            const int q = j < 16 ? pair & 15 : pair >> 4;
            // 15 bits of product and 11 of sum within 45 binary places: exact in a double.
            const double exact =
                static_cast<double>(fp16_of(d)) * q + static_cast<double>(fp16_of(m));
            different += !same(out[j], static_cast<float>(exact));
        }
    }
    CHECK(different == 0);
}

TEST_CASE("gguf blocks: q6_k is its exact value rounded once, for every scale", "[gguf]") {
    std::mt19937 random(8);
    std::size_t different = 0;
    for (std::uint32_t d = 0; d < 65536; d += 7) {
        std::byte block[210];
        for (std::byte& b : block) b = static_cast<std::byte>(random() & 255u);
        put16(block + 208, d);
        std::vector<float> out(256);
        REQUIRE(try_dequantize(type::q6_k, block, out).has_value());
        for (std::size_t i = 0; i < 256; ++i) {
            const std::size_t half = i / 128, k = i % 128 / 32, l = i % 32;
            const int low = std::to_integer<int>(block[64 * half + 32 * (k % 2) + l]);
            const int high = std::to_integer<int>(block[128 + 32 * half + l]);
            const int q = ((k < 2 ? low : low >> 4) & 15) + 16 * ((high >> (2 * k)) & 3) - 32;
            const int s = std::to_integer<int>(block[192 + i / 16]);
            const double exact = static_cast<double>(fp16_of(d)) * (s < 128 ? s : s - 256) * q;
            different += !same(out[i], static_cast<float>(exact));
        }
    }
    CHECK(different == 0);
}

TEST_CASE("gguf blocks: f32 copies bits at any address", "[gguf]") {
    const float values[] = {1.5f, -0.0f, 1e-45f, 3.4e38f};
    std::byte shifted[1 + sizeof values];
    for (std::size_t i = 0; i < 4; ++i) {
        const auto bits = std::bit_cast<std::uint32_t>(values[i]);
        put16(shifted + 1 + 4 * i, bits & 0xFFFFu);
        put16(shifted + 3 + 4 * i, bits >> 16);
    }
    float out[4];
    REQUIRE(try_dequantize(type::f32, std::span(shifted).subspan(1), out).has_value());
    for (std::size_t i = 0; i < 4; ++i) CHECK(same(out[i], values[i]));
}

TEST_CASE("gguf blocks: a scale of NaN or infinity comes out as what it makes", "[gguf]") {
    std::byte block[34] = {};
    block[3] = std::byte{1};
    block[4] = std::byte{255};
    float out[32];
    put16(block, 0x7C00); // infinity
    REQUIRE(try_dequantize(type::q8_0, block, out).has_value());
    CHECK(std::isnan(out[0]));
    CHECK(out[1] == HUGE_VALF);
    CHECK(out[2] == -HUGE_VALF);
    put16(block, 0x7E00); // NaN
    REQUIRE(try_dequantize(type::q8_0, block, out).has_value());
    for (const float each : out) CHECK(std::isnan(each));
}

TEST_CASE("gguf blocks: sizes that do not fit are errors, and nothing is written", "[gguf]") {
    const std::vector<std::byte> bytes(3 * 210);
    std::vector<float> out(1024, 42.0f);
    for (const decoded_type& each : decoded) {
        const std::size_t weights = *quant::gguf::try_block_size(each.which);
        const std::size_t size = *quant::gguf::try_block_bytes(each.which);
        const std::span<const std::byte> all(bytes);
        const std::span<float> room(out);
        const auto code = [&](std::size_t blocks_bytes, std::size_t floats) {
            const auto done =
                try_dequantize(each.which, all.first(blocks_bytes), room.first(floats));
            return done ? std::optional<errc>() : done.failure().code();
        };
        CAPTURE(each.file);
        CHECK(code(2 * size - 1, 2 * weights) == errc::shape_mismatch);
        CHECK(code(2 * size + 1, 2 * weights) == errc::shape_mismatch);
        CHECK(code(2 * size, 2 * weights - 1) == errc::shape_mismatch);
        CHECK(code(2 * size, 2 * weights + 1) == errc::shape_mismatch);
        CHECK(code(2 * size, 0) == errc::shape_mismatch);
        CHECK(code(0, weights) == errc::shape_mismatch);
        CHECK(out[0] == 42.0f);
        CHECK(code(0, 0) == std::nullopt);
        CHECK(out[0] == 42.0f);
    }
}

TEST_CASE("gguf blocks: types without a decoder are refused by name", "[gguf]") {
    for (std::uint32_t id = 0; id <= 42; ++id) {
        const auto which = static_cast<type>(id);
        if (!quant::gguf::try_block_size(which)) continue;
        bool known = which == type::f32;
        for (const decoded_type& each : decoded) known = known || each.which == which;
        const auto answer = try_dequantize(which, {}, {});
        CAPTURE(id);
        CHECK(answer.has_value() == known);
        if (known) continue;
        CHECK(answer.failure().code() == errc::unsupported);
        const std::string message = answer.failure().message();
        CHECK(message.find(quant::gguf::to_string(which)) != std::string::npos);
    }
}
