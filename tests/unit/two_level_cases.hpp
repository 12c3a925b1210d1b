// Scales of two levels: schemes, shapes, and the reference's view of a quantized matrix. The
// reference has no search for scales, so it takes the numbers that quantize has found.
#pragma once

#include "scheme_cases.hpp"

namespace cases {

/// No zero among the levels, and the nearest to it below it.
struct lower_levels {
    static constexpr std::array<std::int8_t, 4> levels{-72, -14, 30, 97};
};
struct upper_levels {
    static constexpr std::array<std::int8_t, 4> levels{-45, 2, 50, 127};
};

template <std::size_t N, class Group, class Super, std::size_t Groups>
using two_tables_of = quant::scheme<quant::codebook<lower_levels, upper_levels>, quant::symmetric,
                                    quant::group_wise<N>, quant::two_level<Group, Super, Groups>>;

/// Two tables in groups of 8 (a group is padded); 5 bits with minimums; 6 bits under whole bytes;
/// groups of 16 whose chunk has lines to fill up.
using two_tables_by_8 = two_tables_of<8, quant::signed_scale<4>, quant::fp16, 64>;
using minimums_by_32 = quant::scheme<quant::int5, quant::asymmetric_min, quant::group_wise<32>,
                                     quant::two_level<quant::unsigned_scale<6>, quant::fp16, 8>>;
using bytes_by_16 = quant::scheme<quant::int6, quant::symmetric, quant::group_wise<16>,
                                  quant::two_level<quant::signed_scale<8>, quant::fp16, 16>>;
using threes_by_16 = two_tables_of<16, quant::unsigned_scale<7>, float, 3>;

/// As shapes, and rows whose last super-group ends short in several ways.
inline constexpr shape two_level_shapes[] = {{1, 1},    {3, 5},    {17, 33},
                                             {16, 172}, {37, 600}, {2, 1000}};

template <class S>
quant::reference::quantized<S> as_reference(const quant::quantized_matrix<S>& q) {
    const auto copy = [](auto span) {
        return std::vector<typename decltype(span)::value_type>(span.begin(), span.end());
    };
    return {q.rows(),
            q.cols(),
            copy(q.codes()),
            copy(q.scales()),
            copy(q.offsets()),
            copy(q.super_scales()),
            copy(q.super_minimums())};
}

} // namespace cases
