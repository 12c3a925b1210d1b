// Scale axis: the type in which a group's scale (and minimum) is stored.
#pragma once

#include <quant/core/half.hpp>
#include <quant/core/minifloat.hpp>

#include <concepts>

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

/// A choice on the scale axis: float, fp16, bf16, fp8_e4m3 or e8m0.
template <class T>
concept scale_type = is_scale<T>;

/// Whether a scale may be negative, which symmetric mappings make use of; e8m0 cannot, and formats
/// with fp8_e4m3 scales keep to positive ones.
template <scale_type T>
inline constexpr bool has_signed_scales = sizeof(T) > 1;

} // namespace quant::inline QUANT_VOCABULARY
