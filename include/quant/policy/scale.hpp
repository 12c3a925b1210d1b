// Scale axis: how a group's scale (and minimum) is stored: as a number, or as a small integer under
// a number that several groups share.
#pragma once

#include <quant/core/half.hpp>
#include <quant/core/minifloat.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_VOCABULARY {

template <class T>
inline constexpr bool is_scale = false;
template <>
inline constexpr bool is_scale<float> = true;
template <>
inline constexpr bool is_scale<fp16> = true;
template <>
inline constexpr bool is_scale<bf16> = true;
template <>
inline constexpr bool is_scale<e8m0> = true;
template <>
inline constexpr bool is_scale<fp8_e4m3> = true;

/// Group scales of B bits, 0 … 2^B − 1 times the super-scale.
template <int B>
struct unsigned_scale {
    static_assert(1 <= B && B <= 8, "quant: unsigned_scale holds 1 to 8 bits");
    static constexpr int bits = B;
    static constexpr int least = 0;
    static constexpr int greatest = (1 << B) - 1;
};
/// Group scales of B bits, −2^(B−1) … 2^(B−1) − 1 times the super-scale.
template <int B>
struct signed_scale {
    static_assert(2 <= B && B <= 8, "quant: signed_scale holds 2 to 8 bits");
    static constexpr int bits = B;
    static constexpr int least = -(1 << (B - 1));
    static constexpr int greatest = (1 << (B - 1)) - 1;
};

/// Two levels: the scale of a group is an integer times the super-scale of N consecutive groups of
/// its row; a row's last super-group may be short. Minimums likewise: an unsigned integer of as
/// many bits times a super-minimum.
template <class Group, class Super, std::size_t N>
struct two_level {
    static_assert(std::same_as<Super, float> || std::same_as<Super, fp16> ||
                      std::same_as<Super, bf16>,
                  "quant::two_level: the super-scale is float, fp16 or bf16");
    static_assert(1 <= N && N <= 256, "quant::two_level: 1 to 256 groups share a super-scale");
    using group_type = Group;
    using super_type = Super;
    static constexpr std::size_t groups = N;
};

template <int B, class Super, std::size_t N>
inline constexpr bool is_scale<two_level<unsigned_scale<B>, Super, N>> = true;
template <int B, class Super, std::size_t N>
inline constexpr bool is_scale<two_level<signed_scale<B>, Super, N>> = true;

/// A choice on the scale axis: float, fp16, bf16, fp8_e4m3, e8m0 or two_level.
template <class T>
concept scale_type = is_scale<T>;

/// Whether a scale may be negative, which symmetric mappings make use of; e8m0 cannot, and formats
/// with fp8_e4m3 scales keep to positive ones.
template <scale_type T>
inline constexpr bool has_signed_scales = sizeof(T) > 1;
template <class Group, class Super, std::size_t N>
inline constexpr bool has_signed_scales<two_level<Group, Super, N>> = Group::least < 0;

namespace core_detail {

/// How a scale is stored: `stored` per group, `super` per N groups.
template <class Scale>
struct scale_parts {
    static constexpr bool two_levels = false;
    using stored = Scale;
    using super = Scale;
    static constexpr std::size_t groups = 1;
    static constexpr int bits = 8 * static_cast<int>(sizeof(Scale));
    static constexpr int least = 0;
    static constexpr int greatest = 0;
};
template <class Group, class Super, std::size_t N>
struct scale_parts<two_level<Group, Super, N>> {
    static constexpr bool two_levels = true;
    using stored = std::uint8_t;
    using super = Super;
    static constexpr std::size_t groups = N;
    static constexpr int bits = Group::bits;
    static constexpr int least = Group::least;
    static constexpr int greatest = Group::greatest;
};

} // namespace core_detail

} // namespace quant::inline QUANT_VOCABULARY
