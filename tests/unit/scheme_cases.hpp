// What the typed tests run over: schemes, shapes, and numbers that every compiler makes alike.
#pragma once

#include "sample.hpp"

#include <quant/quant.hpp>
#include <quant/reference/matmul.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <tuple>
#include <vector>

// How often each bit width and mapping comes, with other granularities and scales each time.
#if !defined(QUANT_TEST_ROUNDS)
#define QUANT_TEST_ROUNDS 1
#endif

namespace cases {

/// Numbers in [−1, 1) with a few large and small ones among them; no libm, no distribution whose
/// algorithm a standard library may choose.
class numbers {
public:
    explicit numbers(std::uint64_t seed) : state_(seed * 2654435761u + 1) {}

    std::uint32_t bits() {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::uint32_t>(state_ >> 32);
    }
    float next() {
        const std::uint32_t b = bits();
        const auto value = static_cast<float>(static_cast<std::int32_t>(b)) * 0x1p-31f;
        if (b % 61 == 0) return value * 8;
        if (b % 53 == 0) return value * 0x1p-12f;
        if (b % 47 == 0) return 0;
        return value;
    }
    std::vector<float> vector(std::size_t n) {
        std::vector<float> made(n);
        for (float& x : made) x = next();
        return made;
    }

private:
    std::uint64_t state_;
};

struct shape {
    std::size_t rows, cols;
};

/// One element; less than a panel and a quad; odd in both; a model's rows; more than one panel
/// with a group's tail.
inline constexpr shape shapes[] = {{1, 1}, {3, 5}, {17, 33}, {64, 172}, {37, 600}};

template <class T>
bool same_bytes(std::span<const T> a, const std::vector<T>& b) {
    return a.size() == b.size() &&
           (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}
inline bool same_bytes(const std::vector<float>& a, const std::vector<float>& b) {
    return same_bytes(std::span<const float>(a), b);
}

/// Granularities in turn, so that every bit width and mapping meets several kinds.
template <std::size_t I>
using some_granularity = std::tuple_element_t<
    I % 10, std::tuple<quant::group_wise<32>, quant::per_channel, quant::group_wise<16>,
                       quant::group_wise<5>, quant::group_wise<64>, quant::block_wise<4, 24>,
                       quant::group_wise<128>, quant::per_tensor, quant::group_wise<6>,
                       quant::group_wise<200>>>;
template <std::size_t I>
using some_scale = std::tuple_element_t<I % 3, std::tuple<quant::fp16, float, quant::bf16>>;

/// Scheme number I of a mapping: bit widths in turn, 1 to 8; other granularities and scales for
/// each mapping and each round.
template <class Mapping, std::size_t I>
using some_scheme =
    quant::scheme<quant::int_code<static_cast<int>(I % 8) + 1>, Mapping,
                  some_granularity<I + 3 * (I / 8) + 2 * (Mapping::multiplier - 1) +
                                   3 * static_cast<std::size_t>(Mapping::stores)>,
                  some_scale<I + I / 8 + static_cast<std::size_t>(Mapping::stores)>>;

template <class Mapping, class Indices>
struct schemes_of;
template <class Mapping, std::size_t... I>
struct schemes_of<Mapping, std::index_sequence<I...>> {
    using type = std::tuple<some_scheme<Mapping, I>...>;
};
/// All bit widths of a mapping, each `Rounds` times with other granularities and scales.
template <class Mapping, std::size_t Rounds>
using all_bits = typename schemes_of<Mapping, std::make_index_sequence<8 * Rounds>>::type;

} // namespace cases
