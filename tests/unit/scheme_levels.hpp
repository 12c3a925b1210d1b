// Schemes whose codes name their levels themselves, and scales of a byte.
#pragma once

#include "scheme_cases.hpp"

namespace cases {

/// No zero among the levels, and more of them below it than above.
struct skewed_levels {
    static constexpr std::array<std::int8_t, 16> levels{-127, -104, -83, -65, -49, -35, -22, -10,
                                                        1,    13,   25,  38,  53,  69,  89,  113};
};
/// More than one register of bytes, and no power of two of them.
struct forty_levels {
    static constexpr std::array<std::int8_t, 40> levels = [] {
        std::array<std::int8_t, 40> made{};
        for (std::size_t i = 0; i < made.size(); ++i) {
            made[i] = static_cast<std::int8_t>(static_cast<int>(6 * i + i % 2) - 128);
        }
        return made;
    }();
};

using integer_levels =
    std::tuple<quant::scheme<quant::ternary, quant::symmetric, quant::group_wise<64>, quant::fp16>,
               quant::scheme<quant::codebook<skewed_levels>, quant::symmetric,
                             quant::group_wise<32>, quant::fp16>,
               quant::scheme<quant::codebook<forty_levels>, quant::symmetric, quant::group_wise<5>,
                             quant::bf16>,
               quant::scheme<quant::fp4, quant::symmetric, quant::group_wise<16>, quant::fp8_e4m3>,
               quant::scheme<quant::fp6_e2m3, quant::symmetric, quant::group_wise<32>, quant::e8m0>,
               quant::scheme<quant::int8, quant::symmetric, quant::group_wise<32>, quant::e8m0>>;

using float_levels = std::tuple<
    quant::scheme<quant::nf4, quant::symmetric, quant::group_wise<64>, float>,
    quant::scheme<quant::fp6_e3m2, quant::symmetric, quant::group_wise<32>, quant::e8m0>,
    quant::scheme<quant::fp8_e4m3, quant::symmetric, quant::per_channel, float>,
    quant::scheme<quant::fp8_e5m2, quant::symmetric, quant::block_wise<4, 24>, quant::e8m0>>;

} // namespace cases
