// The schemes that benchmarks name, and how they are called in results.
#pragma once

#include "registry.hpp"

#include <quant/policy/presets.hpp>
#include <quant/quant.hpp>

#include <string>

namespace bench {

template <int Bits, std::size_t Group>
using grouped =
    quant::scheme<quant::int_code<Bits>, quant::symmetric, quant::group_wise<Group>, quant::fp16>;
/// One bit has no use for a zero: its levels are ±1.
template <std::size_t Group>
using binary_grouped =
    quant::scheme<quant::binary, quant::midrise, quant::group_wise<Group>, quant::fp16>;
/// Sixteen levels of a table.
template <std::size_t Group>
using looked_up = quant::scheme<quant::codebook<quant::presets::iq4_levels>, quant::symmetric,
                                quant::group_wise<Group>, quant::fp16>;
template <int Bits>
using per_channel =
    quant::scheme<quant::int_code<Bits>, quant::symmetric, quant::per_channel, float>;
template <int Bits, std::size_t Group>
using with_zero_point =
    quant::scheme<quant::int_code<Bits>, quant::asymmetric, quant::group_wise<Group>, quant::fp16>;
template <int Bits, std::size_t Group>
using with_minimum = quant::scheme<quant::int_code<Bits>, quant::asymmetric_min,
                                   quant::group_wise<Group>, quant::fp16>;

using int8_per_token = quant::activations::int8<quant::per_token>;

/// Such as W4_g32_minimum.
template <quant::quantization_scheme S>
std::string name_of() {
    const std::string group = std::to_string(S::group_cols);
    return joined(
        {"W", std::to_string(S::bits), S::levels == quant::level_kind::table ? "_codebook" : "",
         S::group_cols == quant::all ? "_channel" : "_g", S::group_cols == quant::all ? "" : group,
         S::has_minimum ? "_minimum" : "", S::has_zero_point ? "_zero_point" : ""});
}

/// Such as int8_per_token.
template <quant::activation A>
std::string name_of_activations() {
    if constexpr (std::is_same_v<A, quant::activations::fp32>) return "fp32";
    if constexpr (std::is_same_v<A, quant::activations::bf16>) return "bf16";
    if constexpr (std::is_same_v<A, quant::activations::int16>) return "int16_per_token";
    if constexpr (quant::is_integer_activation<A>) {
        if (A::group_cols != quant::all) return joined({"int8_g", std::to_string(A::group_cols)});
    }
    return "int8_per_token";
}

} // namespace bench
