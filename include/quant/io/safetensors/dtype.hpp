// Types of elements in safetensors files: their names and sizes.
#pragma once

#include <quant/core/half.hpp>
#include <quant/core/minifloat.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <type_traits>

namespace quant::inline QUANT_ABI {
namespace safetensors {

/// What a tensor's elements are. Source: the safetensors project's reference implementation.
///
/// f4, f6_e2m3 and f6_e3m2 are packed without gaps, so that an element need not start at a byte;
/// c64 is two floats.
enum class dtype : std::uint8_t {
    boolean,
    f4,
    f6_e2m3,
    f6_e3m2,
    u8,
    i8,
    f8_e5m2,
    f8_e4m3,
    f8_e8m0,
    i16,
    u16,
    f16,
    bf16,
    i32,
    u32,
    f32,
    c64,
    f64,
    i64,
    u64,
};

} // namespace safetensors

namespace detail {

/// Name in files, and size.
struct st_dtype {
    const char* name;
    std::size_t bits;
};

/// By safetensors::dtype.
inline constexpr st_dtype st_dtypes[] = {
    {"BOOL", 8}, {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
    {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},
    {"U16", 16}, {"F16", 16},    {"BF16", 16},   {"I32", 32},    {"U32", 32},
    {"F32", 32}, {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64},
};
static_assert(std::size(st_dtypes) == static_cast<std::size_t>(safetensors::dtype::u64) + 1);

/// The type that elements are read as, for all that take whole bytes and C++ has a type for.
template <class T>
[[nodiscard]] consteval safetensors::dtype st_dtype_of() {
    using enum safetensors::dtype;
    if constexpr (std::is_same_v<T, bool>) return boolean;
    if constexpr (std::is_same_v<T, std::uint8_t>) return u8;
    if constexpr (std::is_same_v<T, std::int8_t>) return i8;
    if constexpr (std::is_same_v<T, fp8_e5m2>) return f8_e5m2;
    if constexpr (std::is_same_v<T, fp8_e4m3>) return f8_e4m3;
    if constexpr (std::is_same_v<T, e8m0>) return f8_e8m0;
    if constexpr (std::is_same_v<T, std::int16_t>) return i16;
    if constexpr (std::is_same_v<T, std::uint16_t>) return u16;
    if constexpr (std::is_same_v<T, fp16>) return f16;
    if constexpr (std::is_same_v<T, quant::bf16>) return safetensors::dtype::bf16;
    if constexpr (std::is_same_v<T, std::int32_t>) return i32;
    if constexpr (std::is_same_v<T, std::uint32_t>) return u32;
    if constexpr (std::is_same_v<T, float>) return f32;
    if constexpr (std::is_same_v<T, double>) return f64;
    if constexpr (std::is_same_v<T, std::int64_t>) return i64;
    if constexpr (std::is_same_v<T, std::uint64_t>) return u64;
    return f4; // no type: f4 has none
}

} // namespace detail

namespace safetensors {

/// A type that elements can be read as: bool, fixed-width integers, float, double, fp16, bf16,
/// fp8_e4m3, fp8_e5m2, e8m0; each stands for the dtype of its name.
template <class T>
concept element = detail::st_dtype_of<T>() != dtype::f4;

/// The name of a dtype in files, "F8_E4M3".
[[nodiscard]] constexpr const char* to_string(dtype which) noexcept {
    const auto i = static_cast<std::size_t>(which);
    return i < std::size(detail::st_dtypes) ? detail::st_dtypes[i].name : "unknown";
}

/// Bits of an element: 4, 6, 8, 16, 32 or 64; 0 for a value that is no dtype.
[[nodiscard]] constexpr std::size_t bits_of(dtype which) noexcept {
    const auto i = static_cast<std::size_t>(which);
    return i < std::size(detail::st_dtypes) ? detail::st_dtypes[i].bits : 0;
}

} // namespace safetensors
} // namespace quant::inline QUANT_ABI
