// Sixteen floats or 32-bit integers as a plain array: the path that builds anywhere.
#pragma once

#include <quant/core/bit_cast.hpp>
#include <quant/simd/isa.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace quant::inline QUANT_ABI {
namespace simd {

template <class T>
struct native {
    T v[16];
};

template <class T>
inline constexpr std::size_t native_size = 16;

/// f(i) for each of the sixteen elements.
template <class T, class F>
QUANT_DETAIL_INLINE native<T> native_each(F f) noexcept {
    native<T> made;
    for (std::size_t i = 0; i < 16; ++i) made.v[i] = f(i);
    return made;
}

template <class T>
QUANT_DETAIL_INLINE native<T> native_broadcast(T value) noexcept {
    return native_each<T>([&](std::size_t) { return value; });
}

/// Sixteen elements at any address.
template <class T>
QUANT_DETAIL_INLINE native<T> native_load(const void* from) noexcept {
    native<T> made;
    std::memcpy(made.v, from, sizeof made.v);
    return made;
}
template <class T>
QUANT_DETAIL_INLINE void native_store(void* to, native<T> value) noexcept {
    std::memcpy(to, value.v, sizeof value.v);
}

QUANT_DETAIL_INLINE native<float> operator+(native<float> a, native<float> b) noexcept {
    return native_each<float>([&](std::size_t i) { return a.v[i] + b.v[i]; });
}
QUANT_DETAIL_INLINE native<float> operator-(native<float> a, native<float> b) noexcept {
    return native_each<float>([&](std::size_t i) { return a.v[i] - b.v[i]; });
}
QUANT_DETAIL_INLINE native<float> operator*(native<float> a, native<float> b) noexcept {
    return native_each<float>([&](std::size_t i) { return a.v[i] * b.v[i]; });
}
QUANT_DETAIL_INLINE native<float> operator/(native<float> a, native<float> b) noexcept {
    return native_each<float>([&](std::size_t i) { return a.v[i] / b.v[i]; });
}

/// Integers wrap: their operations are done unsigned.
template <class F>
QUANT_DETAIL_INLINE native<std::int32_t> native_wrapping(F f) noexcept {
    return native_each<std::int32_t>(
        [&](std::size_t i) { return static_cast<std::int32_t>(f(i)); });
}
QUANT_DETAIL_INLINE std::uint32_t native_unsigned(std::int32_t value) noexcept {
    return static_cast<std::uint32_t>(value);
}
QUANT_DETAIL_INLINE native<std::int32_t> operator+(native<std::int32_t> a,
                                                   native<std::int32_t> b) noexcept {
    return native_wrapping(
        [&](std::size_t i) { return native_unsigned(a.v[i]) + native_unsigned(b.v[i]); });
}
QUANT_DETAIL_INLINE native<std::int32_t> operator-(native<std::int32_t> a,
                                                   native<std::int32_t> b) noexcept {
    return native_wrapping(
        [&](std::size_t i) { return native_unsigned(a.v[i]) - native_unsigned(b.v[i]); });
}
QUANT_DETAIL_INLINE native<std::int32_t> operator*(native<std::int32_t> a,
                                                   native<std::int32_t> b) noexcept {
    return native_wrapping(
        [&](std::size_t i) { return native_unsigned(a.v[i]) * native_unsigned(b.v[i]); });
}
QUANT_DETAIL_INLINE native<std::int32_t> operator&(native<std::int32_t> a,
                                                   native<std::int32_t> b) noexcept {
    return native_each<std::int32_t>([&](std::size_t i) { return a.v[i] & b.v[i]; });
}
QUANT_DETAIL_INLINE native<std::int32_t> operator|(native<std::int32_t> a,
                                                   native<std::int32_t> b) noexcept {
    return native_each<std::int32_t>([&](std::size_t i) { return a.v[i] | b.v[i]; });
}

template <class T>
QUANT_DETAIL_INLINE native<T> native_min(native<T> a, native<T> b) noexcept {
    return native_each<T>([&](std::size_t i) { return b.v[i] < a.v[i] ? b.v[i] : a.v[i]; });
}
template <class T>
QUANT_DETAIL_INLINE native<T> native_max(native<T> a, native<T> b) noexcept {
    return native_each<T>([&](std::size_t i) { return a.v[i] < b.v[i] ? b.v[i] : a.v[i]; });
}
QUANT_DETAIL_INLINE native<std::int32_t> native_max_unsigned(native<std::int32_t> a,
                                                             native<std::int32_t> b) noexcept {
    return native_each<std::int32_t>([&](std::size_t i) {
        return native_unsigned(a.v[i]) < native_unsigned(b.v[i]) ? b.v[i] : a.v[i];
    });
}
QUANT_DETAIL_INLINE bool native_any_greater(native<std::int32_t> a,
                                            native<std::int32_t> b) noexcept {
    bool any = false;
    for (std::size_t i = 0; i < 16; ++i) any |= a.v[i] > b.v[i];
    return any;
}
QUANT_DETAIL_INLINE native<float> native_abs(native<float> a) noexcept {
    return native_each<float>([&](std::size_t i) { return std::fabs(a.v[i]); });
}

/// a·b + c, rounded once where isa::current::fused_multiply_add.
QUANT_DETAIL_INLINE native<float> native_fma(native<float> a, native<float> b,
                                             native<float> c) noexcept {
    return native_each<float>([&](std::size_t i) {
        if constexpr (isa::current::fused_multiply_add) {
            return std::fma(a.v[i], b.v[i], c.v[i]);
        } else {
            return a.v[i] * b.v[i] + c.v[i];
        }
    });
}
/// Nearest integer, ties to even.
QUANT_DETAIL_INLINE native<std::int32_t> native_nearest(native<float> a) noexcept {
    return native_each<std::int32_t>([&](std::size_t i) {
        // Beyond 2^22 the trick below would lose bits; the caller clamps, so any such value
        // stands for "far outside".
        const float limited = !(a.v[i] > -4194304.0f) ? -4194304.0f // NaN, too
                              : a.v[i] > 4194304.0f   ? 4194304.0f
                                                      : a.v[i];
        return static_cast<std::int32_t>(std::nearbyintf(limited));
    });
}
QUANT_DETAIL_INLINE native<float> native_floor(native<float> a) noexcept {
    return native_each<float>([&](std::size_t i) { return std::floor(a.v[i]); });
}

QUANT_DETAIL_INLINE native<float> native_to_float(native<std::int32_t> a) noexcept {
    return native_each<float>([&](std::size_t i) { return static_cast<float>(a.v[i]); });
}
QUANT_DETAIL_INLINE native<float> native_bits_to_float(native<std::int32_t> a) noexcept {
    return native_each<float>([&](std::size_t i) { return core_detail::bit_cast<float>(a.v[i]); });
}
QUANT_DETAIL_INLINE native<std::int32_t> native_float_to_bits(native<float> a) noexcept {
    return native_each<std::int32_t>(
        [&](std::size_t i) { return core_detail::bit_cast<std::int32_t>(a.v[i]); });
}

/// Shifts as of unsigned integers.
template <int N>
QUANT_DETAIL_INLINE native<std::int32_t> native_shift_right(native<std::int32_t> a) noexcept {
    return native_wrapping([&](std::size_t i) { return native_unsigned(a.v[i]) >> N; });
}
template <int N>
QUANT_DETAIL_INLINE native<std::int32_t> native_shift_left(native<std::int32_t> a) noexcept {
    return native_wrapping([&](std::size_t i) { return native_unsigned(a.v[i]) << N; });
}

QUANT_DETAIL_INLINE native<std::int32_t> native_rotate_left_1(native<std::int32_t> a) noexcept {
    return native_wrapping([&](std::size_t i) { return std::rotl(native_unsigned(a.v[i]), 1); });
}

/// (a & mask) | b.
QUANT_DETAIL_INLINE native<std::int32_t> native_merge_bits(native<std::int32_t> a,
                                                           native<std::int32_t> mask,
                                                           native<std::int32_t> b) noexcept {
    return (a & mask) | b;
}

/// Shift of a signed integer.
template <int N>
QUANT_DETAIL_INLINE native<std::int32_t>
native_shift_right_signed(native<std::int32_t> a) noexcept {
    return native_each<std::int32_t>([&](std::size_t i) { return a.v[i] >> N; });
}

/// if_true where `a` exceeds `b`, else if_false.
template <class T>
QUANT_DETAIL_INLINE native<T> native_select_greater(native<T> a, native<T> b, native<T> if_true,
                                                    native<T> if_false) noexcept {
    return native_each<T>(
        [&](std::size_t i) { return a.v[i] > b.v[i] ? if_true.v[i] : if_false.v[i]; });
}

QUANT_DETAIL_INLINE std::int32_t native_reduce_add(native<std::int32_t> a) noexcept {
    std::uint32_t sum = 0;
    for (const std::int32_t x : a.v) sum += native_unsigned(x);
    return static_cast<std::int32_t>(sum);
}
QUANT_DETAIL_INLINE float native_reduce_min(native<float> a) noexcept {
    float least = a.v[0];
    for (const float x : a.v) least = x < least ? x : least;
    return least;
}
template <class T>
QUANT_DETAIL_INLINE T native_reduce_max(native<T> a) noexcept {
    T greatest = a.v[0];
    for (const T x : a.v) greatest = greatest < x ? x : greatest;
    return greatest;
}

/// Hides where the value came from, so that a product in it cannot be fused with an addition.
QUANT_DETAIL_INLINE native<float> native_opaque(native<float> value) noexcept {
#if defined(__GNUC__)
    __asm__("" : "+m"(value.v));
#endif
    return value;
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
