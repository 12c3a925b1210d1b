// What quantize and pack are made of: reductions of sixteen vectors, clamped bytes, rounding to
// narrow types, tiles.
#include <quant/simd/convert.hpp>
#include <quant/simd/reduce.hpp>
#include <quant/simd/tile.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

using namespace quant;

namespace {

class generator {
public:
    std::uint32_t next() {
        state_ = state_ * 1664525u + 1013904223u;
        return state_ ^ state_ >> 15;
    }

private:
    std::uint32_t state_ = 7;
};

template <int First, int Last>
void check_clamped(generator& numbers) {
    for (int round = 0; round < 50; ++round) {
        std::int32_t values[64];
        simd::i32x16 lanes[4];
        for (std::int32_t& v : values) {
            v = static_cast<std::int32_t>(numbers.next()) >> (numbers.next() % 32);
        }
        for (std::size_t i = 0; i < 4; ++i) lanes[i] = simd::load<std::int32_t>(values + 16 * i);
        std::uint8_t bytes[64];
        simd::store_clamped<First, Last>(bytes, lanes);
        for (std::size_t i = 0; i < 64; ++i) {
            CAPTURE(i, values[i], First, Last);
            REQUIRE(int{bytes[i]} == std::clamp(values[i], First, Last) - First);
        }
    }
}

template <class T>
void check_narrowed(const float (&values)[16]) {
    T narrow[16];
    simd::store_from_float<T>(static_cast<void*>(narrow), simd::load<float>(values));
    for (std::size_t i = 0; i < 16; ++i) {
        CAPTURE(values[i]);
        REQUIRE(narrow[i].bits == T(values[i]).bits);
    }
}

} // namespace

TEST_CASE("each of sixteen vectors is reduced to its own lane", "[elements][simd]") {
    generator numbers;
    for (int round = 0; round < 20; ++round) {
        float values[16][16];
        std::uint32_t keys[16][16];
        simd::f32x16 floats[16];
        simd::i32x16 integers[16];
        for (std::size_t i = 0; i < 16; ++i) {
            for (std::size_t j = 0; j < 16; ++j) {
                keys[i][j] = numbers.next();
                values[i][j] = static_cast<float>(static_cast<std::int32_t>(numbers.next()));
            }
            floats[i] = simd::load<float>(values[i]);
            integers[i] = simd::load<std::int32_t>(keys[i]);
        }
        float least[16];
        std::uint32_t greatest[16];
        simd::store(least, simd::reduce_each(
                               floats, [](auto a, auto b) { return simd::native_min(a, b); }));
        simd::store(greatest, simd::reduce_each(integers, [](auto a, auto b) {
                        return simd::native_max_unsigned(a, b);
                    }));
        for (std::size_t i = 0; i < 16; ++i) {
            CHECK(least[i] == *std::min_element(values[i], values[i] + 16));
            CHECK(greatest[i] == *std::max_element(keys[i], keys[i] + 16));
        }
    }
}

TEST_CASE("integers of any size become clamped bytes", "[elements][simd]") {
    generator numbers;
    check_clamped<0, 255>(numbers);
    check_clamped<0, 127>(numbers);
    check_clamped<0, 1>(numbers);
    check_clamped<-128, 127>(numbers);
    check_clamped<-64, 63>(numbers);
    check_clamped<-8, 7>(numbers);
    check_clamped<-1, 0>(numbers);
}

TEST_CASE("narrow floats are those of the scalar conversion", "[elements][simd]") {
    generator numbers;
    for (int round = 0; round < 2000; ++round) {
        float values[16];
        for (float& v : values) { // all exponents, NaN and infinity among them
            const std::uint32_t bits = numbers.next() << 9 ^ numbers.next();
            std::memcpy(&v, &bits, 4);
        }
        check_narrowed<fp16>(values);
        check_narrowed<bf16>(values);
    }
    const float edges[16] = {0.0f,      -0.0f,    INFINITY,  -INFINITY,     65504.0f, 65519.9f,
                             65520.0f,  0x1p-24f, 0x1p-25f,  0x1.8p-25f,    0x1p-14f, 0x1.ffcp-15f,
                             0x1p-149f, 3.4e38f,  -65520.0f, 1.00048828125f};
    check_narrowed<fp16>(edges);
    check_narrowed<bf16>(edges);
}

TEST_CASE("integer comparisons of lanes", "[elements][simd]") {
    for (std::size_t i = 0; i < 16; ++i) {
        std::int32_t values[16] = {};
        values[i] = 1;
        const auto lanes = simd::load<std::int32_t>(values);
        CHECK(simd::any_greater(lanes, simd::broadcast<std::int32_t>(0)));
        CHECK_FALSE(simd::any_greater(lanes, simd::broadcast<std::int32_t>(1)));
    }
}

TEST_CASE("tiles hold quads as documented, and come back", "[elements][simd]") {
    generator numbers;
    for (const std::size_t stride : {std::size_t{32}, std::size_t{37}, std::size_t{4096}}) {
        std::vector<std::byte> rows(15 * stride + 32), back(rows.size());
        for (std::byte& b : rows) b = static_cast<std::byte>(numbers.next());
        auto upper = simd::load_tile(rows.data(), stride);
        auto lower = simd::load_tile(rows.data() + 8 * stride, stride);
        for (std::size_t s = 0; s < 4; ++s) {
            const auto lines = simd::deal(upper.quads[s], lower.quads[s]);
            std::byte low[64], high[64];
            simd::store_line(low, lines.low);
            simd::store_line(high, lines.high);
            for (std::size_t r = 0; r < 16; ++r) {
                CHECK(std::memcmp(low + 4 * r, rows.data() + r * stride + 4 * s, 4) == 0);
                CHECK(std::memcmp(high + 4 * r, rows.data() + r * stride + 4 * (s + 4), 4) == 0);
            }
            simd::gather(lines, upper.quads[s], lower.quads[s]);
        }
        simd::store_tile(back.data(), stride, upper);
        simd::store_tile(back.data() + 8 * stride, stride, lower);
        for (std::size_t r = 0; r < 16; ++r) {
            CHECK(std::memcmp(back.data() + r * stride, rows.data() + r * stride, 32) == 0);
        }
    }
}
