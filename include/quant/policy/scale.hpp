// Scale axis: the type in which a group's scale (and minimum) is stored.
#pragma once

#include <quant/core/half.hpp>

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

/// A choice on the scale axis: float, fp16 or bf16.
template <class T>
concept scale_type = is_scale<T>;

} // namespace quant::inline QUANT_VOCABULARY
