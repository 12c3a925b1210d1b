// Activation axis of a product: what becomes of the other operand, x, before it is multiplied.
#pragma once

#include <quant/policy/scheme.hpp>

#include <cstddef>
#include <numeric>

namespace quant::inline QUANT_VOCABULARY {

/// Granularity of activations: one scale per row of x (token).
struct per_token {
    static constexpr std::size_t cols = all;
};

namespace core_detail {
template <class T>
inline constexpr bool is_activation_granularity = std::is_same_v<T, per_token>;
template <std::size_t N>
inline constexpr bool is_activation_granularity<group_wise<N>> = true;
} // namespace core_detail

namespace activations {

/// x as 8-bit integers −127 … 127 with one float scale per group of columns or per token:
/// s = max|x| / 127, code = round(x / s), ties to even.
template <class Granularity>
struct int8 {
    static_assert(core_detail::is_activation_granularity<Granularity>,
                  "quant::activations::int8: per_token or group_wise<N>");
    static constexpr std::size_t group_cols = Granularity::cols;
    static constexpr int halves = 1;
    static constexpr int max_code = 127;
};

/// x as 16-bit integers −32512 … 32512 per token, multiplied as two int8 halves, 256·hi + lo:
/// near float accuracy at half the speed of int8.
struct int16 {
    static constexpr std::size_t group_cols = all;
    static constexpr int halves = 2;
    static constexpr int max_code = 32512; // 127·256: the upper half stays within ±127
};

/// x rounded to bfloat16, products accumulated in float.
struct bf16 {};

/// x as it is, products accumulated in float.
struct fp32 {};

} // namespace activations

template <class T>
inline constexpr bool is_integer_activation = false;
template <class G>
inline constexpr bool is_integer_activation<activations::int8<G>> = true;
template <>
inline constexpr bool is_integer_activation<activations::int16> = true;

template <class T>
inline constexpr bool is_activation =
    is_integer_activation<T> || std::is_same_v<T, activations::bf16> ||
    std::is_same_v<T, activations::fp32>;

/// A choice on the activation axis.
template <class T>
concept activation = is_activation<T>;

namespace core_detail {

template <std::size_t GroupCols>
struct default_activation_granularity {
    using type = per_token;
};
template <std::size_t GroupCols>
    requires(GroupCols >= 32 && GroupCols <= 128)
struct default_activation_granularity<GroupCols> {
    using type = group_wise<GroupCols>;
};
template <std::size_t GroupCols>
    requires(GroupCols >= 1 && GroupCols < 32)
struct default_activation_granularity<GroupCols> {
    using type = group_wise<std::gcd(GroupCols, std::size_t{32})>;
};

} // namespace core_detail

namespace core_detail {

/// Whether bf16 holds all levels of a scheme exactly.
template <quantization_scheme S>
inline constexpr bool steps_fit_bf16 = [] {
    for (int u = 0; u <= S::max_code; ++u) {
        for (int table = 0; table < S::tables; ++table) {
            if (S::is_level(u) && !fits_bf16(S::step(u, table))) return false;
        }
    }
    return true;
}();

} // namespace core_detail

/// Whether products of scheme S take activations A: integer ones need levels that are integers,
/// bf16 ones levels that bf16 holds.
template <quantization_scheme S, activation A>
inline constexpr bool takes_activations =
    is_integer_activation<A>               ? S::has_integer_steps
    : std::is_same_v<A, activations::bf16> ? core_detail::steps_fit_bf16<S>
                                           : true;

/// Activations that suit a scheme: int8 by the weights' group if that is 32 … 128 columns, per
/// token if it is coarser, by the greatest common divisor of the group and 32 if it is finer;
/// bf16 where levels are no small integers, fp32 where bf16 does not hold them either.
template <quantization_scheme S>
using default_activations = std::conditional_t<
    S::has_integer_steps,
    activations::int8<typename core_detail::default_activation_granularity<S::group_cols>::type>,
    std::conditional_t<core_detail::steps_fit_bf16<S>, activations::bf16, activations::fp32>>;

} // namespace quant::inline QUANT_VOCABULARY
