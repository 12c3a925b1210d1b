// One vector register of floats or of 32-bit integers in WebAssembly. It has no fused multiply-add.
//
// By intrinsics alone, like AArch64's.
#pragma once

#include <quant/core/unroll.hpp>
#include <quant/simd/intrinsics.hpp>
#include <quant/simd/isa.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#if defined(__wasm_simd128__) // an empty header elsewhere, so that each header compiles alone

namespace quant::inline QUANT_ABI {
namespace simd {

/// Four elements; converts from and to what intrinsics take.
template <class T>
struct native {
    v128_t data;

    native() = default;
    QUANT_DETAIL_INLINE native(v128_t from) noexcept : data(from) {}
    QUANT_DETAIL_INLINE operator v128_t() const noexcept { return data; }
};

template <class T>
inline constexpr std::size_t native_size = 4;

// clang 14 merges a load with the splat of what was loaded, and moves both behind stores that
// followed the load, to the same address or not.
template <class T>
QUANT_DETAIL_INLINE native<T> native_broadcast(T value) noexcept {
#if __clang_major__ < 19
    if (!__builtin_constant_p(value)) __asm__("" : "+r"(value));
#endif
    if constexpr (std::is_same_v<T, float>) {
        return wasm_f32x4_splat(value);
    } else {
        return wasm_i32x4_splat(value);
    }
}

/// Four elements at any address.
template <class T>
QUANT_DETAIL_INLINE native<T> native_load(const void* from) noexcept {
    return wasm_v128_load(from);
}
template <class T>
QUANT_DETAIL_INLINE void native_store(void* to, native<T> value) noexcept {
    wasm_v128_store(to, value.data);
}

#define QUANT_DETAIL_WASM(name, type, intrinsic) \
    QUANT_DETAIL_INLINE native<type> name(native<type> a, native<type> b) noexcept { \
        return intrinsic(a.data, b.data); \
    }
QUANT_DETAIL_WASM(operator+, float, wasm_f32x4_add)
QUANT_DETAIL_WASM(operator-, float, wasm_f32x4_sub)
QUANT_DETAIL_WASM(operator*, float, wasm_f32x4_mul)
QUANT_DETAIL_WASM(operator/, float, wasm_f32x4_div)
QUANT_DETAIL_WASM(operator+, std::int32_t, wasm_i32x4_add)
QUANT_DETAIL_WASM(operator-, std::int32_t, wasm_i32x4_sub)
QUANT_DETAIL_WASM(operator*, std::int32_t, wasm_i32x4_mul)
QUANT_DETAIL_WASM(operator&, std::int32_t, wasm_v128_and)
QUANT_DETAIL_WASM(operator|, std::int32_t, wasm_v128_or)
QUANT_DETAIL_WASM(native_min, float, wasm_f32x4_pmin)
QUANT_DETAIL_WASM(native_max, float, wasm_f32x4_pmax)
QUANT_DETAIL_WASM(native_min, std::int32_t, wasm_i32x4_min)
QUANT_DETAIL_WASM(native_max, std::int32_t, wasm_i32x4_max)
QUANT_DETAIL_WASM(native_max_unsigned, std::int32_t, wasm_u32x4_max)
#undef QUANT_DETAIL_WASM

QUANT_DETAIL_INLINE bool native_any_greater(native<std::int32_t> a,
                                            native<std::int32_t> b) noexcept {
    return wasm_v128_any_true(wasm_i32x4_gt(a, b));
}
QUANT_DETAIL_INLINE native<float> native_abs(native<float> a) noexcept { return wasm_f32x4_abs(a); }

/// a·b + c, rounded twice.
QUANT_DETAIL_INLINE native<float> native_fma(native<float> a, native<float> b,
                                             native<float> c) noexcept {
    return a * b + c;
}
/// Nearest integer, ties to even.
QUANT_DETAIL_INLINE native<std::int32_t> native_nearest(native<float> a) noexcept {
    return wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(a));
}
QUANT_DETAIL_INLINE native<float> native_floor(native<float> a) noexcept {
    return wasm_f32x4_floor(a);
}

QUANT_DETAIL_INLINE native<float> native_to_float(native<std::int32_t> a) noexcept {
    return wasm_f32x4_convert_i32x4(a);
}
QUANT_DETAIL_INLINE native<float> native_bits_to_float(native<std::int32_t> a) noexcept {
    return a.data;
}
QUANT_DETAIL_INLINE native<std::int32_t> native_float_to_bits(native<float> a) noexcept {
    return a.data;
}

/// Shifts as of unsigned integers.
template <int N>
QUANT_DETAIL_INLINE native<std::int32_t> native_shift_right(native<std::int32_t> a) noexcept {
    return wasm_u32x4_shr(a, N);
}
template <int N>
QUANT_DETAIL_INLINE native<std::int32_t> native_shift_left(native<std::int32_t> a) noexcept {
    return wasm_i32x4_shl(a, N);
}

QUANT_DETAIL_INLINE native<std::int32_t> native_rotate_left_1(native<std::int32_t> a) noexcept {
    return native_shift_left<1>(a) | native_shift_right<31>(a);
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
    return wasm_i32x4_shr(a, N);
}

/// if_true where `a` exceeds `b`, else if_false.
QUANT_DETAIL_INLINE native<float> native_select_greater(native<float> a, native<float> b,
                                                        native<float> if_true,
                                                        native<float> if_false) noexcept {
    return wasm_v128_bitselect(if_true, if_false, wasm_f32x4_gt(a, b));
}
QUANT_DETAIL_INLINE native<std::int32_t>
native_select_greater(native<std::int32_t> a, native<std::int32_t> b, native<std::int32_t> if_true,
                      native<std::int32_t> if_false) noexcept {
    return wasm_v128_bitselect(if_true, if_false, wasm_i32x4_gt(a, b));
}

/// All four elements, combined by f.
template <class T, class F>
QUANT_DETAIL_INLINE native<T> native_fold(native<T> a, F f) noexcept {
    const native<T> pairs = f(a, native<T>(wasm_i32x4_shuffle(a, a, 2, 3, 0, 1)));
    return f(pairs, native<T>(wasm_i32x4_shuffle(pairs, pairs, 1, 0, 3, 2)));
}
QUANT_DETAIL_INLINE std::int32_t native_reduce_add(native<std::int32_t> a) noexcept {
    return wasm_i32x4_extract_lane(
        native_fold(a, [](auto x, auto y) QUANT_DETAIL_LAMBDA { return x + y; }), 0);
}
QUANT_DETAIL_INLINE float native_reduce_min(native<float> a) noexcept {
    return wasm_f32x4_extract_lane(
        native_fold(a, [](auto x, auto y) QUANT_DETAIL_LAMBDA { return native_min(x, y); }), 0);
}
template <class T>
QUANT_DETAIL_INLINE T native_reduce_max(native<T> a) noexcept {
    const native<T> greatest =
        native_fold(a, [](auto x, auto y) QUANT_DETAIL_LAMBDA { return native_max(x, y); });
    if constexpr (std::is_same_v<T, float>) {
        return wasm_f32x4_extract_lane(greatest, 0);
    } else {
        return wasm_i32x4_extract_lane(greatest, 0);
    }
}

/// Nothing here could fuse a product in the value with an addition.
QUANT_DETAIL_INLINE native<float> native_opaque(native<float> value) noexcept { return value; }

} // namespace simd
} // namespace quant::inline QUANT_ABI

#endif
