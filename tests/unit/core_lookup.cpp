// Lookups find every entry of a table in every lane, and columns of bytes become floats.
#include <quant/simd/convert.hpp>
#include <quant/simd/lookup.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

using namespace quant;

namespace {

template <std::size_t N>
using entries = std::integral_constant<std::size_t, N>;

} // namespace

TEMPLATE_TEST_CASE("bytes are looked up", "[simd]", entries<2>, entries<16>, entries<17>,
                   entries<32>, entries<40>, entries<64>, entries<80>, entries<128>) {
    constexpr std::size_t n = TestType::value;
    std::array<std::uint8_t, 128> table{};
    for (std::size_t i = 0; i < table.size(); ++i) {
        table[i] = static_cast<std::uint8_t>(251 - 37 * i); // all different, some above 127
    }
    for (std::size_t first = 0; first < n; ++first) {
        std::uint8_t index[64], found[64];
        for (std::size_t i = 0; i < 64; ++i) {
            index[i] = static_cast<std::uint8_t>((first + 5 * i) % n);
        }
        simd::store(found, simd::lookup_bytes<n>(table, simd::load<std::int32_t>(index)));
        for (std::size_t i = 0; i < 64; ++i) {
            CAPTURE(first, i);
            REQUIRE(found[i] == table[index[i]]);
        }
    }
}

TEMPLATE_TEST_CASE("floats are looked up", "[simd]", entries<2>, entries<8>, entries<9>,
                   entries<16>, entries<17>, entries<32>, entries<40>, entries<52>, entries<64>,
                   entries<80>, entries<128>) {
    constexpr std::size_t n = TestType::value;
    std::array<float, 128> table{};
    for (std::size_t i = 0; i < table.size(); ++i) table[i] = 0.5f - static_cast<float>(i);
    for (std::size_t first = 0; first < n; ++first) {
        std::int32_t index[16];
        float found[16];
        for (std::size_t i = 0; i < 16; ++i) {
            index[i] = static_cast<std::int32_t>((first + 7 * i) % n);
        }
        simd::store(found, simd::lookup_floats<n>(table, simd::load<std::int32_t>(index)));
        for (std::size_t i = 0; i < 16; ++i) {
            CAPTURE(first, i);
            REQUIRE(found[i] == table[static_cast<std::size_t>(index[i])]);
        }
    }
}

TEST_CASE("pairs of 16 bits are looked up", "[simd]") {
    if constexpr (simd::has_pair_lookup) {
        std::array<std::uint16_t, 16> table{};
        for (std::size_t i = 0; i < 16; ++i) {
            table[i] = static_cast<std::uint16_t>(0xF00D - 997 * i);
        }
        for (std::size_t first = 0; first < 16; ++first) {
            std::uint8_t index[64];
            for (std::size_t i = 0; i < 64; ++i) {
                index[i] = static_cast<std::uint8_t>((first + 5 * i) % 16);
            }
            const auto bytes = simd::load<std::int32_t>(index);
            std::uint16_t pairs[2][32];
            simd::store(pairs[0], simd::lookup_pairs<0>(table, bytes));
            simd::store(pairs[1], simd::lookup_pairs<1>(table, bytes));
            for (std::size_t i = 0; i < 64; ++i) {
                CAPTURE(first, i);
                REQUIRE(pairs[i / 2 % 2][i / 4 * 2 + i % 2] == table[index[i]]);
            }
        }
    } else {
        SUCCEED("this instruction set converts codes instead");
    }
}

TEST_CASE("columns of bytes become floats", "[simd]") {
    if constexpr (simd::has_integer_columns) {
        for (std::size_t first = 0; first < 256; ++first) {
            std::uint8_t bytes[64];
            for (std::size_t i = 0; i < 64; ++i) {
                bytes[i] = static_cast<std::uint8_t>(first + 37 * i);
            }
            const auto codes = simd::load<std::int32_t>(bytes);
            float columns[4][16];
            simd::store(columns[0], simd::integer_column<0>(codes));
            simd::store(columns[1], simd::integer_column<1>(codes));
            simd::store(columns[2], simd::integer_column<2>(codes));
            simd::store(columns[3], simd::integer_column<3>(codes));
            for (std::size_t i = 0; i < 64; ++i) {
                CAPTURE(first, i);
                REQUIRE(columns[i % 4][i / 4] == simd::integer_offset + bytes[i]);
            }
        }
    } else {
        SUCCEED("this instruction set converts codes instead");
    }
}
