// Block decoders against the reference implementation's floats and against exact arithmetic, also
// where the compiler fuses products into adds.
#include <quant/io/gguf/blocks.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
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

using quant::fp16;
using quant::gguf::try_dequantize;
using quant::gguf::type;

namespace {

struct decoded_type {
    type which;
    const char* file; // the golden data's name of it
};
constexpr decoded_type decoded[] = {
    {type::f16, "f16"},       {type::bf16, "bf16"},     {type::q4_0, "q4_0"},
    {type::q4_1, "q4_1"},     {type::q5_0, "q5_0"},     {type::q5_1, "q5_1"},
    {type::q8_0, "q8_0"},     {type::q2_k, "q2_K"},     {type::q3_k, "q3_K"},
    {type::q4_k, "q4_K"},     {type::q5_k, "q5_K"},     {type::q6_k, "q6_K"},
    {type::iq1_s, "iq1_s"},   {type::iq1_m, "iq1_m"},   {type::iq2_xxs, "iq2_xxs"},
    {type::iq2_xs, "iq2_xs"}, {type::iq2_s, "iq2_s"},   {type::iq3_xxs, "iq3_xxs"},
    {type::iq3_s, "iq3_s"},   {type::iq4_nl, "iq4_nl"}, {type::iq4_xs, "iq4_xs"},
    {type::tq1_0, "tq1_0"},   {type::tq2_0, "tq2_0"},   {type::mxfp4, "mxfp4"},
    {type::nvfp4, "nvfp4"},   {type::q1_0, "q1_0"},     {type::q2_0, "q2_0"},
};

/// Whether weight i has a scale that is NaN by its standard, and a number to the reference.
bool scale_is_nan(type which, std::span<const std::byte> blocks, std::size_t i) {
    if (which == type::mxfp4) return blocks[i / 32 * 17] == std::byte{255};
    if (which == type::nvfp4)
        return (blocks[i / 64 * 36 + i % 64 / 16] | std::byte{128}) == std::byte{255};
    return false;
}

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
    return quant::core_detail::bit_cast<std::uint32_t>(a) ==
           quant::core_detail::bit_cast<std::uint32_t>(b);
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
        expected[i] = quant::core_detail::bit_cast<float>(byte(0) | byte(1) | byte(2) | byte(3));
    }
    std::vector<float> out(expected.size());
    REQUIRE(try_dequantize(each.which, *blocks, out).has_value());
    std::size_t different = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
        if (scale_is_nan(each.which, *blocks, i)) expected[i] = std::nanf("");
        different += !same(out[i], expected[i]);
    }
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

TEST_CASE("gguf blocks: where a minimum is subtracted, the product before is exact", "[gguf]") {
    struct summed_type {
        type which;
        std::size_t scale_at, minimum_at;
    };
    std::mt19937 random(9);
    std::size_t wrong = 0;
    for (const summed_type each : {summed_type{type::q4_1, 0, 2}, summed_type{type::q5_1, 0, 2},
                                   summed_type{type::q2_k, 80, 82}, summed_type{type::q4_k, 0, 2},
                                   summed_type{type::q5_k, 0, 2}}) {
        const std::size_t weights = *quant::gguf::try_block_size(each.which);
        std::vector<std::byte> block(*quant::gguf::try_block_bytes(each.which));
        std::vector<float> product(weights), minimum(weights), sum(weights);
        for (std::uint32_t d = 1; d < 0x7C00; d += 13) { // finite and positive
            for (std::byte& b : block) b = static_cast<std::byte>(random() & 255u);
            const std::uint32_t m = static_cast<std::uint32_t>(random() % 0x7C00u);
            const auto decode = [&](std::uint32_t scale, std::uint32_t min, std::span<float> to) {
                put16(block.data() + each.scale_at, scale);
                put16(block.data() + each.minimum_at, min);
                REQUIRE(try_dequantize(each.which, block, to).has_value());
            };
            decode(d, 0, product);
            decode(0, m, minimum);
            decode(d, m, sum);
            for (std::size_t i = 0; i < weights; ++i) {
                const double p = static_cast<double>(product[i]);
                const double factor = p / static_cast<double>(fp16_of(d));
                wrong += factor != std::floor(factor) || factor < 0 || factor > 63 * 31;
                wrong += !same(sum[i], static_cast<float>(p + static_cast<double>(minimum[i])));
            }
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("gguf blocks: the codebooks are those of the format", "[gguf]") {
    // FNV-1a of the bytes of each, computed from the decoders of the Python package gguf.
    const auto hash = [](std::span<const std::uint8_t> grid, std::span<const std::int8_t> values) {
        std::uint64_t made = 0xCBF29CE484222325u;
        for (const std::uint8_t each : grid) {
            made = (made ^ static_cast<std::uint8_t>(values[each])) * 0x100000001B3u;
        }
        return made;
    };
    namespace detail = quant::detail;
    CHECK(detail::gguf_iq1_grid.size() == 2048 * 8);
    CHECK(hash(detail::gguf_iq1_grid, detail::gguf_iq1_values) == 0x6703ED863501AE2Eu);
    CHECK(hash(detail::gguf_iq2_xxs_grid, detail::gguf_iq2_xxs_values) == 0xBB4EE025B5AC6E8Eu);
    CHECK(hash(detail::gguf_iq2_xs_grid, detail::gguf_iq2_xs_values) == 0xC9B1EE61E79909BDu);
    CHECK(hash(detail::gguf_iq2_s_grid, detail::gguf_iq2_s_values) == 0x123EDD38A3B62B90u);
    CHECK(hash(detail::gguf_iq3_xxs_grid, detail::gguf_iq3_xxs_values) == 0xDFA5DC83D6A155D5u);
    CHECK(hash(detail::gguf_iq3_s_grid, detail::gguf_iq3_s_values) == 0xFA37020C25B44829u);
}

TEST_CASE("gguf blocks: q8_1 and q8_k are scale times code, whatever their sums say", "[gguf]") {
    std::mt19937 random(10);
    std::vector<std::byte> block(292);
    for (std::byte& b : block) b = static_cast<std::byte>(random() & 255u);
    const auto code = [&](std::size_t at) {
        return static_cast<float>(static_cast<std::int8_t>(std::to_integer<int>(block[at])));
    };
    std::vector<float> out(256);
    put16(block.data(), 0x3555); // 1/3, rounded
    REQUIRE(try_dequantize(type::q8_1, std::span(block).first(36), std::span(out).first(32))
                .has_value());
    for (std::size_t j = 0; j < 32; ++j) CHECK(same(out[j], fp16_of(0x3555) * code(4 + j)));
    put16(block.data(), 0xAAAB); // 1/3 in float, rounded
    put16(block.data() + 2, 0x3EAA);
    REQUIRE(try_dequantize(type::q8_k, block, out).has_value());
    for (std::size_t j = 0; j < 256; ++j) CHECK(same(out[j], (1.0f / 3.0f) * code(4 + j)));
}

namespace {

/// What a number of 8 bytes or fewer decodes to.
template <class T>
float decode_number(type which, T value) {
    std::byte bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    if constexpr (std::endian::native == std::endian::big) std::reverse(bytes, bytes + sizeof(T));
    float out = 42.0f;
    REQUIRE(try_dequantize(which, bytes, std::span(&out, 1)).has_value());
    return out;
}

} // namespace

TEST_CASE("gguf blocks: numbers become the nearest float", "[gguf]") {
    const auto f64 = [](double value) { return decode_number(type::f64, value); };
    constexpr double largest = 0x1.FFFFFEp127;
    CHECK(same(f64(0.1), 0.1f));
    CHECK(same(f64(-0.0), -0.0f));
    CHECK(same(f64(1 + 0x1p-24), 1.0f));
    CHECK(same(f64(1 + 0x3p-24), 1 + 0x1p-22f));
    CHECK(same(f64(0x1p-149), 0x1p-149f));
    CHECK(same(f64(-0x1p-150), -0.0f));
    CHECK(same(f64(0x1.8p-149), 0x1p-148f));
    CHECK(same(f64(largest), 0x1.FFFFFEp127f));
    CHECK(same(f64(-0x1.FFFFFEFFFFFFFp127), -0x1.FFFFFEp127f));
    CHECK(same(f64(0x1.FFFFFFp127), HUGE_VALF));
    CHECK(same(f64(-1e300), -HUGE_VALF));
    CHECK(same(f64(HUGE_VAL), HUGE_VALF));
    CHECK(std::isnan(f64(std::nan(""))));

    CHECK(same(decode_number(type::i8, std::int8_t{-128}), -128.0f));
    CHECK(same(decode_number(type::i16, std::int16_t{-32767}), -32767.0f));
    CHECK(same(decode_number(type::i32, std::int32_t{16777217}), 16777216.0f));
    CHECK(same(decode_number(type::i32, std::int32_t{16777219}), 16777220.0f));
    CHECK(same(decode_number(type::i32, INT32_MIN), -0x1p31f));
    CHECK(same(decode_number(type::i64, INT64_MAX), 0x1p63f));
    CHECK(same(decode_number(type::i64, INT64_MIN), -0x1p63f));
}

TEST_CASE("gguf blocks: scales of 8 bits, all of them", "[gguf]") {
    std::byte mx[17] = {};
    mx[1] = std::byte{0xF2}; // 1 and, 16 further, -6
    std::byte nv[36] = {};
    nv[4] = std::byte{0xA2}; // 1 and, 8 further, -1
    for (unsigned bits = 0; bits < 256; ++bits) {
        float out[64];
        CAPTURE(bits);
        mx[0] = nv[0] = static_cast<std::byte>(bits);
        REQUIRE(try_dequantize(type::mxfp4, mx, std::span(out).first(32)).has_value());
        const double e8m0 = std::ldexp(1.0, static_cast<int>(bits) - 127);
        CHECK(same(out[0], bits == 255 ? std::nanf("") : static_cast<float>(e8m0)));
        CHECK(same(out[16], bits == 255   ? std::nanf("")
                            : bits >= 253 ? -HUGE_VALF
                                          : static_cast<float>(-6 * e8m0)));
        CHECK(std::isnan(out[1]) == (bits == 255)); // a code of zero

        REQUIRE(try_dequantize(type::nvfp4, nv, out).has_value());
        const int exponent = static_cast<int>(bits >> 3 & 15u),
                  mantissa = static_cast<int>(bits & 7u);
        const double ue4m3 =
            exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
        const bool nan = (bits & 127u) == 127;
        CHECK(same(out[0], nan ? std::nanf("") : static_cast<float>(ue4m3)));
        CHECK(same(out[8], nan ? std::nanf("") : static_cast<float>(-ue4m3)));
        CHECK(same(out[16], 0.0f)); // the next scale's
    }
}

TEST_CASE("gguf blocks: f32 copies bits at any address", "[gguf]") {
    const float values[] = {1.5f, -0.0f, 1e-45f, 3.4e38f};
    std::byte shifted[1 + sizeof values];
    for (std::size_t i = 0; i < 4; ++i) {
        const auto bits = quant::core_detail::bit_cast<std::uint32_t>(values[i]);
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
