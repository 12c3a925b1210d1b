// One vector register of floats or of 32-bit integers on AArch64.
//
// By intrinsics alone: xsimd picks each NEON instruction from a table of functions for all element
// types, which every single operation builds anew. Compilers get rid of these tables in the end,
// but it takes them minutes for a kernel.
#pragma once

#include <quant/simd/intrinsics.hpp>
#include <quant/simd/isa.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__aarch64__) // an empty header elsewhere, so that each header compiles alone

namespace quant::inline QUANT_ABI {
namespace simd {

template <class T>
struct native_register;
template <>
struct native_register<float> {
    using type = float32x4_t;
};
template <>
struct native_register<std::int32_t> {
    using type = int32x4_t;
};

/// Four elements; converts from and to what intrinsics take.
template <class T>
struct native {
    using register_type = typename native_register<T>::type;
    register_type data;

    native() = default;
    QUANT_DETAIL_INLINE native(register_type from) noexcept : data(from) {}
    QUANT_DETAIL_INLINE operator register_type() const noexcept { return data; }
};

template <class T>
inline constexpr std::size_t native_size = 4;

QUANT_DETAIL_INLINE uint32x4_t native_unsigned(native<std::int32_t> a) noexcept {
    return vreinterpretq_u32_s32(a.data);
}
QUANT_DETAIL_INLINE native<std::int32_t> native_signed(uint32x4_t a) noexcept {
    return vreinterpretq_s32_u32(a);
}

template <class T>
QUANT_DETAIL_INLINE native<T> native_broadcast(T value) noexcept {
    if constexpr (std::is_same_v<T, float>) {
        return vdupq_n_f32(value);
    } else {
        return vdupq_n_s32(value);
    }
}

/// Four elements at any address.
template <class T>
QUANT_DETAIL_INLINE native<T> native_load(const void* from) noexcept {
    native<T> made;
    std::memcpy(&made.data, from, sizeof made.data);
    return made;
}
template <class T>
QUANT_DETAIL_INLINE void native_store(void* to, native<T> value) noexcept {
    std::memcpy(to, &value.data, sizeof value.data);
}

#define QUANT_DETAIL_NEON(name, type, intrinsic) \
    QUANT_DETAIL_INLINE native<type> name(native<type> a, native<type> b) noexcept { \
        return intrinsic(a.data, b.data); \
    }
QUANT_DETAIL_NEON(operator+, float, vaddq_f32)
QUANT_DETAIL_NEON(operator-, float, vsubq_f32)
QUANT_DETAIL_NEON(operator*, float, vmulq_f32)
QUANT_DETAIL_NEON(operator/, float, vdivq_f32)
QUANT_DETAIL_NEON(operator+, std::int32_t, vaddq_s32)
QUANT_DETAIL_NEON(operator-, std::int32_t, vsubq_s32)
QUANT_DETAIL_NEON(operator*, std::int32_t, vmulq_s32)
QUANT_DETAIL_NEON(operator&, std::int32_t, vandq_s32)
QUANT_DETAIL_NEON(operator|, std::int32_t, vorrq_s32)
QUANT_DETAIL_NEON(native_min, float, vminq_f32)
QUANT_DETAIL_NEON(native_max, float, vmaxq_f32)
QUANT_DETAIL_NEON(native_min, std::int32_t, vminq_s32)
QUANT_DETAIL_NEON(native_max, std::int32_t, vmaxq_s32)
#undef QUANT_DETAIL_NEON

QUANT_DETAIL_INLINE native<std::int32_t> native_max_unsigned(native<std::int32_t> a,
                                                             native<std::int32_t> b) noexcept {
    return native_signed(vmaxq_u32(native_unsigned(a), native_unsigned(b)));
}
QUANT_DETAIL_INLINE bool native_any_greater(native<std::int32_t> a,
                                            native<std::int32_t> b) noexcept {
    return vmaxvq_u32(vcgtq_s32(a.data, b.data)) != 0;
}
QUANT_DETAIL_INLINE native<float> native_abs(native<float> a) noexcept { return vabsq_f32(a.data); }

/// a·b + c, rounded once.
QUANT_DETAIL_INLINE native<float> native_fma(native<float> a, native<float> b,
                                             native<float> c) noexcept {
    return vfmaq_f32(c.data, a.data, b.data);
}
/// Nearest integer, ties to even.
QUANT_DETAIL_INLINE native<std::int32_t> native_nearest(native<float> a) noexcept {
    return vcvtnq_s32_f32(a.data);
}
QUANT_DETAIL_INLINE native<float> native_floor(native<float> a) noexcept {
    return vrndmq_f32(a.data);
}

QUANT_DETAIL_INLINE native<float> native_to_float(native<std::int32_t> a) noexcept {
    return vcvtq_f32_s32(a.data);
}
QUANT_DETAIL_INLINE native<float> native_bits_to_float(native<std::int32_t> a) noexcept {
    return vreinterpretq_f32_s32(a.data);
}
QUANT_DETAIL_INLINE native<std::int32_t> native_float_to_bits(native<float> a) noexcept {
    return vreinterpretq_s32_f32(a.data);
}

/// Shifts as of unsigned integers.
template <int N>
QUANT_DETAIL_INLINE native<std::int32_t> native_shift_right(native<std::int32_t> a) noexcept {
    if constexpr (N == 0) { // the instruction has 1 to 32
        return a;
    } else {
        return native_signed(vshrq_n_u32(native_unsigned(a), N));
    }
}
template <int N>
QUANT_DETAIL_INLINE native<std::int32_t> native_shift_left(native<std::int32_t> a) noexcept {
    return vshlq_n_s32(a.data, N);
}

QUANT_DETAIL_INLINE native<std::int32_t> native_rotate_left_1(native<std::int32_t> a) noexcept {
    return native_signed(vsraq_n_u32(vshlq_n_u32(native_unsigned(a), 1), native_unsigned(a), 31));
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
    return vshrq_n_s32(a.data, N);
}

/// if_true where `a` exceeds `b`, else if_false.
QUANT_DETAIL_INLINE native<float> native_select_greater(native<float> a, native<float> b,
                                                        native<float> if_true,
                                                        native<float> if_false) noexcept {
    return vbslq_f32(vcgtq_f32(a.data, b.data), if_true.data, if_false.data);
}
QUANT_DETAIL_INLINE native<std::int32_t>
native_select_greater(native<std::int32_t> a, native<std::int32_t> b, native<std::int32_t> if_true,
                      native<std::int32_t> if_false) noexcept {
    return vbslq_s32(vcgtq_s32(a.data, b.data), if_true.data, if_false.data);
}

QUANT_DETAIL_INLINE std::int32_t native_reduce_add(native<std::int32_t> a) noexcept {
    return vaddvq_s32(a.data);
}
QUANT_DETAIL_INLINE float native_reduce_min(native<float> a) noexcept { return vminvq_f32(a.data); }
QUANT_DETAIL_INLINE float native_reduce_max(native<float> a) noexcept { return vmaxvq_f32(a.data); }
QUANT_DETAIL_INLINE std::int32_t native_reduce_max(native<std::int32_t> a) noexcept {
    return vmaxvq_s32(a.data);
}

/// Hides where the value came from, so that a product in it cannot be fused with an addition.
QUANT_DETAIL_INLINE native<float> native_opaque(native<float> value) noexcept {
#if defined(__GNUC__)
    __asm__("" : "+w"(value.data));
#endif
    return value;
}

} // namespace simd
} // namespace quant::inline QUANT_ABI

#endif
