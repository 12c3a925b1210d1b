// What quantize and pack are made of: reductions of sixteen vectors, clamped bytes, rounding to
// narrow types, tiles, rows side by side.
#include <quant/simd/convert.hpp>
#include <quant/simd/interleave.hpp>
#include <quant/simd/reduce.hpp>
#include <quant/simd/signed_bytes.hpp>
#include <quant/simd/tile.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
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

namespace {

/// Whether line `line` holds quad q of 16 rows.
bool is_line(const std::byte* line, const std::byte* rows, std::size_t stride, std::size_t q) {
    for (std::size_t r = 0; r < 16; ++r) {
        if (std::memcmp(line + 4 * r, rows + r * stride + 4 * q, 4) != 0) return false;
    }
    return true;
}

template <std::size_t Rows>
void check_interleaved(generator& numbers) {
    for (const std::size_t quads : {1u, 16u, 37u}) {
        CAPTURE(Rows, quads);
        std::vector<std::byte> rows[Rows];
        const std::byte* starts[Rows];
        for (std::size_t t = 0; t < Rows; ++t) {
            rows[t].resize(quads * 4);
            for (std::byte& b : rows[t]) b = static_cast<std::byte>(numbers.next() & 0xFF);
            starts[t] = rows[t].data();
        }
        constexpr std::byte untouched{0x5A};
        std::vector<std::byte> made(quads * Rows * 4 + 64, untouched);
        simd::interleave_rows<Rows>(starts, quads, made.data());
        bool same = true;
        for (std::size_t q = 0; q < quads; ++q) {
            for (std::size_t t = 0; t < Rows; ++t) {
                same = same &&
                       std::memcmp(made.data() + (q * Rows + t) * 4, starts[t] + q * 4, 4) == 0;
            }
        }
        CHECK(same);
        CHECK(std::all_of(made.end() - 64, made.end(), [](std::byte b) { return b == untouched; }));
    }
}

} // namespace

TEST_CASE("tiles hold quads as documented, and come back", "[elements][simd]") {
    generator numbers;
    for (const std::size_t stride : {std::size_t{32}, std::size_t{37}, std::size_t{4096}}) {
        std::vector<std::byte> rows(15 * stride + 32), back(rows.size());
        std::vector<std::byte> two(rows.size() + 16 * 32);
        for (std::byte& b : rows) b = static_cast<std::byte>(numbers.next());
        alignas(64) std::byte lines[8][64], whole[8][64], upper[8][64];
        constexpr std::size_t piece = sizeof(simd::native<std::int32_t>);
        detail::unroll<simd::tile_blocks / 2>([&](auto p) {
            const auto first = simd::load_block<2 * p>(rows.data(), stride);
            const auto second = simd::load_block<2 * p + 1>(rows.data(), stride);
            for (std::size_t s = 0; s < 4; ++s) {
                const auto pieces = simd::deal(first.quads[s], second.quads[s]);
                simd::native_store<std::int32_t>(lines[s] + p * piece,
                                                 simd::native_little_endian(pieces.low));
                simd::native_store<std::int32_t>(lines[s + 4] + p * piece,
                                                 simd::native_little_endian(pieces.high));
            }
        });
        const auto quads = simd::load_quads(rows.data(), stride);
        const auto half = simd::load_quads<8>(rows.data(), stride);
        for (std::size_t q = 0; q < 8; ++q) {
            simd::store_line(whole[q], quads.quads[q]);
            simd::store_line(upper[q], half.quads[q]);
            CHECK(is_line(lines[q], rows.data(), stride, q));
            CHECK(is_line(whole[q], rows.data(), stride, q));
            CHECK(std::memcmp(upper[q], whole[q], 32) == 0);
            CHECK(std::all_of(upper[q] + 32, upper[q] + 64,
                              [](std::byte b) { return b == std::byte{0}; }));
        }
        detail::unroll<simd::tile_blocks>([&](auto b) {
            simd::tile_block blocks[2]; // the second tile is the first one again
            for (std::size_t s = 0; s < 4; ++s) {
                blocks[0].quads[s] = simd::load_lines<b>(lines[s], lines[s + 4]);
            }
            blocks[1] = blocks[0];
            simd::store_blocks<b>(two.data(), stride + 32, blocks);
            const simd::tile_block single[1] = {blocks[0]};
            simd::store_blocks<b>(back.data(), stride, single);
        });
        for (std::size_t r = 0; r < 16; ++r) {
            const std::byte *row = rows.data() + r * stride, *both = two.data() + r * (stride + 32);
            CHECK(std::memcmp(back.data() + r * stride, row, 32) == 0);
            CHECK(std::memcmp(both, row, 32) == 0);
            CHECK(std::memcmp(both + 32, row, 32) == 0);
        }
    }
}

TEST_CASE("halves of a line's bytes are told apart by block", "[elements][simd]") {
    generator numbers;
    std::uint32_t lanes[16];
    for (std::uint32_t& lane : lanes) lane = numbers.next();
    alignas(64) std::byte line[64];
    simd::store_line(line, simd::load<std::int32_t>(lanes));
    std::byte rows[16 * 32] = {};
    detail::unroll<simd::tile_blocks>([&](auto b) { // a row is its lane, in each of its quads
        simd::tile_block block[1];
        for (auto& quad : block[0].quads) quad = simd::load_nibbles<b>(line);
        simd::store_blocks<b>(rows, 32, block);
    });
    for (std::size_t r = 0; r < 16; ++r) {
        for (std::size_t q = 0; q < 8; ++q) {
            const std::uint32_t expected = q < 4 ? lanes[r] : lanes[r] >> 4;
            for (std::size_t j = 0; j < 4; ++j) {
                CAPTURE(r, q, j);
                CHECK(std::to_integer<std::uint32_t>(rows[r * 32 + q * 4 + j]) ==
                      (expected >> (8 * j) & 0xFF));
            }
        }
    }
}

TEST_CASE("rows are laid side by side quad by quad", "[elements][simd]") {
    generator numbers;
    check_interleaved<1>(numbers);
    check_interleaved<2>(numbers);
    check_interleaved<3>(numbers);
    check_interleaved<4>(numbers);
    check_interleaved<5>(numbers);
    check_interleaved<6>(numbers);
}

TEST_CASE("lines of 64 signed bytes are made in their order, and summed", "[elements][simd]") {
    // All bytes, and numbers beyond them.
    std::int32_t values[64];
    for (int i = 0; i < 64; ++i) values[i] = i * 4 - 128 + i % 3;
    values[5] = -128;
    values[17] = 1 << 30;
    values[40] = -(1 << 30);
    simd::i32x16 lanes[4];
    for (std::size_t i = 0; i < 4; ++i) lanes[i] = simd::load<std::int32_t>(values + 16 * i);
    const simd::i32x16 line = simd::to_signed_bytes(lanes);
    std::int8_t bytes[64], without[64];
    simd::store_line(reinterpret_cast<std::byte*>(bytes), line);
    simd::store_line(reinterpret_cast<std::byte*>(without), simd::without_least(line));
    for (std::size_t i = 0; i < 64; ++i) {
        CHECK(bytes[i] == std::clamp(values[i], -128, 127));
        CHECK(without[i] == std::clamp(values[i], -127, 127));
    }
    std::int32_t quads[16];
    simd::store(quads, simd::sum_quads(line));
    for (std::size_t i = 0; i < 16; ++i) {
        CHECK(quads[i] == std::accumulate(bytes + 4 * i, bytes + 4 * i + 4, 0));
    }
}

TEST_CASE("quarters of vectors are summed by pairs, and each", "[elements][simd]") {
    std::int32_t values[4][16];
    simd::i32x16 v[4];
    for (std::size_t j = 0; j < 4; ++j) {
        for (std::size_t i = 0; i < 16; ++i) values[j][i] = 1 << (j * 4 + i % 4) << i / 4;
        v[j] = simd::load<std::int32_t>(values[j]);
    }
    const auto sum_of_quarter = [&](std::size_t j, std::size_t q) {
        return std::accumulate(values[j] + 4 * q, values[j] + 4 * q + 4, 0);
    };
    std::int32_t each[16], pairs[16];
    simd::store(each, simd::sum_quarters(v));
    simd::store(pairs, simd::pair_quarters(v[0], v[1]));
    for (std::size_t q = 0; q < 4; ++q) {
        for (std::size_t j = 0; j < 4; ++j) CHECK(each[4 * q + j] == sum_of_quarter(j, q));
        CHECK(std::accumulate(pairs + 4 * q, pairs + 4 * q + 4, 0) ==
              sum_of_quarter(q / 2, q % 2 * 2) + sum_of_quarter(q / 2, q % 2 * 2 + 1));
    }
}

TEST_CASE("the first lanes of a vector are stored in their order", "[elements][simd]") {
    std::int32_t values[16];
    for (int i = 0; i < 16; ++i) values[i] = i * 4 - 128 + i % 3;
    const auto lanes = simd::load<std::int32_t>(values);
    for (std::size_t n = 0; n <= 16; ++n) {
        CAPTURE(n);
        std::int32_t some[16] = {};
        simd::store_partial(some, lanes, n);
        float floats[16] = {};
        simd::store_partial(floats, simd::to_float(lanes), n);
        for (std::size_t i = 0; i < 16; ++i) {
            const std::int32_t expected = i < n ? values[i] : 0;
            CHECK(some[i] == expected);
            CHECK(floats[i] == static_cast<float>(expected));
        }
    }
}
