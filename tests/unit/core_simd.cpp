// The operations on which bytes and exact sums depend, on every instruction set: equal to scalar
// code for all inputs or for the extreme ones.
#include <quant/simd/convert.hpp>
#include <quant/simd/dot4.hpp>
#include <quant/simd/dot8.hpp>
#include <quant/simd/widened_quads.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

using namespace quant;

namespace {

using sixteen_floats = std::array<float, 16>;

sixteen_floats values_of(const simd::f32x16& value) {
    sixteen_floats made;
    simd::store(made.data(), value);
    return made;
}
std::array<std::int32_t, 16> values_of(const simd::i32x16& value) {
    std::array<std::int32_t, 16> made;
    simd::store(made.data(), value);
    return made;
}
simd::f32x16 from(const sixteen_floats& values) { return simd::load<float>(values.data()); }

/// A number that the compiler cannot know.
template <class T>
T unknown(T value) {
    volatile T hidden = value;
    return hidden;
}

/// Patterns 16·block … 16·block + 15, one byte after an aligned address.
struct odd_address {
    alignas(64) std::byte memory[1 + 16 * 4] = {};
    void* data() { return memory + 1; }
};

template <class Half>
std::size_t widening_failures() {
    std::size_t failed = 0;
    odd_address source;
    for (std::uint32_t block = 0; block < 0x10000; block += 16) {
        Half narrow[16];
        for (std::uint32_t i = 0; i < 16; ++i) {
            narrow[i] = Half::from_bits(static_cast<std::uint16_t>(block + i));
        }
        std::memcpy(source.data(), static_cast<const void*>(narrow), sizeof narrow);
        std::uint32_t bits[16];
        simd::store(bits, simd::float_to_bits(simd::load_as_float<Half>(source.data())));
        for (std::size_t i = 0; i < 16; ++i) {
            if (bits[i] !=
                quant::core_detail::bit_cast<std::uint32_t>(static_cast<float>(narrow[i])))
                ++failed;
        }
    }
    return failed;
}

/// Σ u·x of four bytes, by the definition.
std::int32_t defined_dot(std::int32_t acc, const std::uint8_t* codes, const std::int8_t* x) {
    std::int64_t sum = acc;
    for (int j = 0; j < 4; ++j) sum += std::int64_t{codes[j]} * x[j];
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(sum));
}

template <int Bits>
std::size_t dot_failures() {
    constexpr int last = (1 << Bits) - 1;
    const std::uint8_t edges[] = {0, 1, last / 2, last - (last > 1 ? 1 : 0), last};
    const std::int8_t signed_edges[] = {-128, -127, -1, 0, 1, 126, 127};
    std::size_t failed = 0;
    std::uint32_t state = 1;
    const auto next = [&] { return (state = state * 1664525u + 1013904223u) >> 8; };
    for (int round = 0; round < 4000; ++round) {
        std::uint8_t codes[64];
        std::int8_t x[4];
        // First all codes and activations at one edge each, then edges mixed, then anything.
        for (auto& c : codes) {
            c = round < 35     ? edges[round / 7]
                : round < 2000 ? edges[next() % 5]
                               : static_cast<std::uint8_t>(next() & last);
        }
        for (auto& v : x) {
            v = round < 35     ? signed_edges[round % 7]
                : round < 2000 ? signed_edges[next() % 7]
                               : static_cast<std::int8_t>(next() & 0xFF);
        }
        const std::int32_t acc = round % 3 == 0 ? 0 : static_cast<std::int32_t>(next() << 7);
        const auto line = simd::load_line(reinterpret_cast<const std::byte*>(codes));
        const auto sums =
            values_of(simd::dot4<Bits>(simd::broadcast(acc), line, simd::load_quad(x)));
        if (values_of(simd::dot4_at<Bits>(simd::broadcast(acc), line, x)) != sums) ++failed;
        for (std::size_t lane = 0; lane < 16; ++lane) {
            if (sums[lane] != defined_dot(acc, codes + 4 * lane, x)) ++failed;
        }
    }
    return failed;
}

} // namespace

TEST_CASE("this program runs on the instruction set it is named after", "[simd]") {
    const std::string_view asked = QUANT_TEST_ISA;
    const std::string_view compiled = isa::current::name;
    if (asked == "generic") {
        CHECK(compiled.starts_with("generic_"));
    } else if (asked != "default") {
        CHECK(asked == compiled);
    }
}

TEST_CASE("vectors widen fp16 and bf16 as scalars do, all 65536 patterns", "[simd]") {
    CHECK(widening_failures<fp16>() == 0);
    CHECK(widening_failures<bf16>() == 0);
}

TEST_CASE("fp16 bits widen without an instruction for it as with one", "[simd]") {
    std::size_t failed = 0;
    for (std::uint32_t block = 0; block < 0x10000; block += 16) {
        std::int32_t bits[16];
        for (std::uint32_t i = 0; i < 16; ++i) bits[i] = static_cast<std::int32_t>(block + i);
        const auto wide = values_of(
            simd::float_to_bits(simd::fp16_bits_to_float(simd::load<std::int32_t>(bits))));
        for (std::uint32_t i = 0; i < 16; ++i) {
            const auto scalar =
                static_cast<float>(fp16::from_bits(static_cast<std::uint16_t>(block + i)));
            if (wide[i] != quant::core_detail::bit_cast<std::int32_t>(scalar)) ++failed;
        }
    }
    CHECK(failed == 0);
}

TEST_CASE("dot4 is the exact sum of four products for every code width", "[simd]") {
    CHECK(dot_failures<1>() == 0);
    CHECK(dot_failures<2>() == 0);
    CHECK(dot_failures<3>() == 0);
    CHECK(dot_failures<4>() == 0);
    CHECK(dot_failures<5>() == 0);
    CHECK(dot_failures<6>() == 0);
    CHECK(dot_failures<7>() == 0);
    CHECK(dot_failures<8>() == 0);
}

TEST_CASE("dot4 keeps 255 times -128 and 127, which saturate 16 bits", "[simd]") {
    const auto codes = simd::broadcast(static_cast<std::int32_t>(unknown(0xFFFFFFFFu)));
    for (const int x : {-128, 127}) {
        const std::int8_t quad[4] = {static_cast<std::int8_t>(x), static_cast<std::int8_t>(x),
                                     static_cast<std::int8_t>(x), static_cast<std::int8_t>(x)};
        const auto sums = values_of(
            simd::dot4<8>(simd::broadcast<std::int32_t>(0), codes, simd::load_quad(quad)));
        for (const std::int32_t sum : sums) CHECK(sum == 4 * 255 * x);
    }
}

TEST_CASE("products of widened quads are what dot4 gives", "[simd]") {
    if constexpr (!simd::widens_quads<8>) {
        SKIP("this instruction set multiplies bytes");
    }
    std::uint32_t state = 6;
    const auto next = [&] { return state = state * 1664525u + 1013904223u; };
    std::size_t failed = 0;
    for (int round = 0; round < 1000; ++round) {
        std::uint8_t codes[64];
        std::int8_t x[32];
        std::byte widened[64];
        for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>(next() >> 24);
        for (std::int8_t& value : x) value = static_cast<std::int8_t>(next() >> 24);
        if (round < 2) { // the extremes
            std::memset(codes, 0xFF, sizeof codes);
            std::memset(x, round == 0 ? -128 : 127, sizeof x);
        }
        simd::widen_eight_quads(reinterpret_cast<const std::byte*>(x), widened);
        const auto line = simd::load_line(reinterpret_cast<const std::byte*>(codes));
        for (std::size_t q = 0; q < 8; ++q) {
            const auto start = simd::broadcast(static_cast<std::int32_t>(next() >> 8));
            auto sum =
                simd::add_products(start, simd::widen<0>(line), simd::widened_pair<0>(widened, q));
            sum = simd::add_products(sum, simd::widen<1>(line), simd::widened_pair<1>(widened, q));
            const auto expected = simd::dot4<8>(start, line, simd::load_quad(x + 4 * q));
            if (values_of(sum) != values_of(expected)) ++failed;
        }
    }
    CHECK(failed == 0);
}

TEST_CASE("times by shifts is the product, wrapped", "[simd]") {
    using simd::native;
    const auto check = [](auto factor) {
        for (const std::int32_t value : {0, 1, -1, 12345, -98765, 0x7FFFFFFF, -0x7FFFFFFF - 1}) {
            std::array<std::int32_t, 16> from{}, got{};
            from.fill(unknown(value));
            simd::native_store<std::int32_t>(
                got.data(),
                simd::native_times<factor()>(simd::native_load<std::int32_t>(from.data())));
            const auto product =
                static_cast<std::uint32_t>(value) * static_cast<std::uint32_t>(factor());
            CHECK(got[0] == static_cast<std::int32_t>(product));
            CHECK(got[simd::native_size<std::int32_t> - 1] == static_cast<std::int32_t>(product));
        }
    };
    [&]<int... Factor>(std::integer_sequence<int, Factor...>) {
        (check(std::integral_constant<int, Factor>{}), ...);
    }(std::integer_sequence<int, 0, 1, -1, 2, -8, 16, 128, -128, -256, 7, -15, 255, -255>{});
}

TEST_CASE("two numbers fill eight lanes each", "[simd]") {
    const auto floats = values_of(simd::broadcast_two(unknown(1.5f), unknown(-2.0f)));
    const auto integers = values_of(simd::broadcast_two<std::int32_t>(-7, 9));
    for (std::size_t i = 0; i < 16; ++i) {
        CHECK(floats[i] == (i < 8 ? 1.5f : -2.0f));
        CHECK(integers[i] == (i < 8 ? -7 : 9));
    }
}

TEST_CASE("nearest rounds ties to even", "[simd]") {
    const sixteen_floats halves = {0.5f,  1.5f,  2.5f,   3.5f,   -0.5f,   -1.5f,   -2.5f,    -3.5f,
                                   0.49f, 0.51f, 254.5f, 255.5f, -127.5f, -128.5f, 32511.5f, -0.0f};
    const std::array<std::int32_t, 16> expected = {0, 2, 2,   4,   0,    -2,   -2,    -4,
                                                   0, 1, 254, 256, -128, -128, 32512, 0};
    CHECK(values_of(simd::nearest(from(halves))) == expected);

    std::size_t failed = 0;
    for (int i = -70000; i < 70000; i += 4) {
        sixteen_floats quarters;
        for (std::size_t j = 0; j < 16; ++j) {
            quarters[j] = 0.25f * static_cast<float>(i + static_cast<int>(j));
        }
        const auto rounded = values_of(simd::nearest(from(quarters)));
        for (std::size_t j = 0; j < 16; ++j) {
            if (static_cast<float>(rounded[j]) != std::nearbyintf(quarters[j])) ++failed;
        }
    }
    CHECK(failed == 0);
}

TEST_CASE("nearest of numbers far outside keeps a large magnitude", "[simd]") {
    const auto far = values_of(simd::nearest(simd::broadcast(unknown(-1e6f))));
    CHECK(far[0] == -1000000);
}

TEST_CASE("a rounded product is rounded before the addition", "[simd]") {
    // (1 + 2^-12)² = 1 + 2^-11 + 2^-24: the last term is lost to rounding, and only a fused
    // operation would bring it back.
    const auto a = simd::broadcast(unknown(1.0f + 0x1p-12f));
    const auto minus = simd::broadcast(unknown(-(1.0f + 0x1p-11f)));
    for (const float sum : values_of(simd::rounded_product(a, a) + minus)) CHECK(sum == 0.0f);
    for (const float difference : values_of(minus - simd::rounded_product(a, a))) {
        CHECK(difference == -2.0f * (1.0f + 0x1p-11f));
    }

    std::size_t failed = 0;
    std::uint32_t state = 12345;
    const auto next = [&] {
        state = state * 1664525u + 1013904223u;
        return static_cast<float>(state >> 8) * 0x1p-24f + 0.5f;
    };
    for (int round = 0; round < 1000; ++round) {
        sixteen_floats x, y, z;
        for (std::size_t i = 0; i < 16; ++i) x[i] = next(), y[i] = next(), z[i] = -next();
        const auto sums = values_of(simd::rounded_product(from(x), from(y)) + from(z));
        for (std::size_t i = 0; i < 16; ++i) {
            volatile float product = x[i] * y[i];
            volatile float sum = product + z[i];
            if (sums[i] != sum) ++failed;
        }
    }
    CHECK(failed == 0);
}

TEST_CASE("fma rounds once where it says so", "[simd]") {
    const auto a = simd::broadcast(unknown(1.0f + 0x1p-12f));
    const auto minus = simd::broadcast(unknown(-(1.0f + 0x1p-11f)));
    const float expected = isa::current::fused_multiply_add ? 0x1p-24f : 0.0f;
    for (const float sum : values_of(simd::fma(a, a, minus))) CHECK(sum == expected);
}

TEST_CASE("numbers narrow from vectors as from scalars, any count", "[simd]") {
    sixteen_floats values;
    for (std::size_t i = 0; i < 16; ++i) values[i] = 1.0f / static_cast<float>(i + 3);
    for (std::size_t n = 0; n <= 16; ++n) {
        fp16 stored[17];
        for (fp16& x : stored) x = fp16(-1.0f);
        simd::store_from_float<fp16>(stored, from(values), n);
        for (std::size_t i = 0; i < 17; ++i) {
            CHECK(stored[i] == (i < n ? fp16(values[i]) : fp16(-1.0f)));
        }
    }
}

TEST_CASE("narrowed bits are the scalars' about every tie and edge", "[simd]") {
    // All upper halves of a float's bits, with lower halves at and beside the ties of both types.
    const std::uint32_t lower_halves[16] = {0,      1,      0x0FFF, 0x1000, 0x1001, 0x1FFF,
                                            0x2000, 0x3000, 0x7FFF, 0x8000, 0x8001, 0x9000,
                                            0xB000, 0xEFFF, 0xF000, 0xFFFF};
    std::size_t wrong_fp16 = 0, wrong_bits = 0, wrong_bf16 = 0;
    odd_address target;
    for (std::uint32_t upper = 0; upper < 0x10000; ++upper) {
        std::uint32_t bits[16];
        for (std::size_t i = 0; i < 16; ++i) bits[i] = upper << 16 | lower_halves[i];
        const auto values = simd::load<float>(bits);
        const auto without_instruction = values_of(simd::float_to_fp16_bits(values));
        fp16 half[16];
        simd::store_from_float<fp16>(target.data(), values, 16);
        std::memcpy(static_cast<void*>(half), target.data(), sizeof half);
        bf16 brain[16];
        simd::store_from_float<bf16>(target.data(), values, 16);
        std::memcpy(static_cast<void*>(brain), target.data(), sizeof brain);
        for (std::size_t i = 0; i < 16; ++i) {
            const auto value = quant::core_detail::bit_cast<float>(bits[i]);
            if (half[i] != fp16(value)) ++wrong_fp16;
            if (without_instruction[i] != fp16(value).bits) ++wrong_bits;
            if (brain[i] != bf16(value)) ++wrong_bf16;
        }
    }
    CHECK(wrong_fp16 == 0);
    CHECK(wrong_bits == 0);
    CHECK(wrong_bf16 == 0);
}

TEST_CASE("dot8 is what two dot4 give for each of four tokens", "[simd]") {
    if constexpr (!simd::multiplies_token_pairs) {
        SKIP("this instruction set multiplies no pairs of tokens");
    }
    std::uint32_t state = 4;
    const auto next = [&] { return state = state * 1664525u + 1013904223u; };
    std::size_t failed = 0;
    for (int round = 0; round < 1000; ++round) {
        std::uint8_t even[64], odd[64];
        std::int8_t even_x[16], odd_x[16];
        for (std::uint8_t& code : even) code = static_cast<std::uint8_t>(next() >> 24);
        for (std::uint8_t& code : odd) code = static_cast<std::uint8_t>(next() >> 24);
        for (std::int8_t& x : even_x) x = static_cast<std::int8_t>(next() >> 24);
        for (std::int8_t& x : odd_x) x = static_cast<std::int8_t>(next() >> 24);
        const auto even_line = simd::load_line(reinterpret_cast<const std::byte*>(even));
        const auto odd_line = simd::load_line(reinterpret_cast<const std::byte*>(odd));
        simd::i32x16 sums[4], expected[4];
        for (std::size_t t = 0; t < 4; ++t) {
            expected[t] = sums[t] = simd::broadcast(static_cast<std::int32_t>(next() >> 8));
            expected[t] = simd::dot4<8>(expected[t], even_line, simd::load_quad(even_x + 4 * t));
            expected[t] = simd::dot4<8>(expected[t], odd_line, simd::load_quad(odd_x + 4 * t));
        }
        simd::interleave_tokens(sums[0], sums[1]);
        simd::interleave_tokens(sums[2], sums[3]);
        simd::dot8<2>(sums, even_line, odd_line, even_x, odd_x);
        simd::deinterleave_tokens(sums[0], sums[1]);
        simd::deinterleave_tokens(sums[2], sums[3]);
        for (std::size_t t = 0; t < 4; ++t) {
            if (values_of(sums[t]) != values_of(expected[t])) ++failed;
        }
    }
    CHECK(failed == 0);
}
