// One vector register of floats or of 32-bit integers, by xsimd.
#pragma once

#include <quant/simd/intrinsics.hpp>
#include <quant/simd/isa.hpp>

#include <xsimd/xsimd.hpp>

#include <cstddef>
#include <cstdint>

static_assert(XSIMD_VERSION_MAJOR > 13 || (XSIMD_VERSION_MAJOR == 13 && XSIMD_VERSION_MINOR >= 2),
              "quant needs xsimd 13.2 or newer");

namespace quant::inline QUANT_ABI {
namespace simd {

template <class T>
using native = xsimd::batch<T>;

template <class T>
inline constexpr std::size_t native_size = native<T>::size;

template <class T>
QUANT_DETAIL_INLINE native<T> native_broadcast(T value) noexcept {
    return native<T>(value);
}

/// size elements at any address.
template <class T>
QUANT_DETAIL_INLINE native<T> native_load(const void* from) noexcept {
    return native<T>::load_unaligned(static_cast<const T*>(from));
}

template <class T>
QUANT_DETAIL_INLINE void native_store(void* to, native<T> value) noexcept {
    value.store_unaligned(static_cast<T*>(to));
}

#if defined(__AVX2__)
/// The first n elements, however few or many; the rest of the lanes get `fill`. Reads nothing else.
template <class T>
QUANT_DETAIL_INLINE native<T> native_load_first(const void* from, std::ptrdiff_t n,
                                                T fill) noexcept {
    static_assert(sizeof(T) == 4);
#if defined(__AVX512BW__)
    const auto mask = static_cast<__mmask16>(n >= 16 ? 0xFFFF : n <= 0 ? 0 : (1 << n) - 1);
    const __m512i rest = xsimd::bitwise_cast<std::int32_t>(native_broadcast(fill));
    const native<std::int32_t> loaded = _mm512_mask_loadu_epi32(rest, mask, from);
#else
    const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                                            _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0));
    const __m256i taken = _mm256_maskload_epi32(static_cast<const int*>(from), mask);
    const __m256i rest = xsimd::bitwise_cast<std::int32_t>(native_broadcast(fill));
    const native<std::int32_t> loaded = _mm256_blendv_epi8(rest, taken, mask);
#endif
    return xsimd::bitwise_cast<T>(loaded);
}
#endif

template <class T>
QUANT_DETAIL_INLINE native<T> native_min(native<T> a, native<T> b) noexcept {
    return xsimd::min(a, b);
}
template <class T>
QUANT_DETAIL_INLINE native<T> native_max(native<T> a, native<T> b) noexcept {
    return xsimd::max(a, b);
}
QUANT_DETAIL_INLINE native<std::int32_t> native_max_unsigned(native<std::int32_t> a,
                                                             native<std::int32_t> b) noexcept {
    return xsimd::bitwise_cast<std::int32_t>(
        xsimd::max(xsimd::bitwise_cast<std::uint32_t>(a), xsimd::bitwise_cast<std::uint32_t>(b)));
}
QUANT_DETAIL_INLINE bool native_any_greater(native<std::int32_t> a,
                                            native<std::int32_t> b) noexcept {
    return xsimd::any(a > b);
}
QUANT_DETAIL_INLINE native<float> native_abs(native<float> a) noexcept { return xsimd::abs(a); }

/// a·b + c, rounded once where isa::current::fused_multiply_add.
QUANT_DETAIL_INLINE native<float> native_fma(native<float> a, native<float> b,
                                             native<float> c) noexcept {
#if defined(__AVXVNNI__) && defined(__FMA__) && !defined(__AVX512F__)
    return _mm256_fmadd_ps(a, b, c); // xsimd's architecture for AVX-VNNI multiplies, then adds
#else
    return xsimd::fma(a, b, c);
#endif
}
/// Nearest integer, ties to even.
QUANT_DETAIL_INLINE native<std::int32_t> native_nearest(native<float> a) noexcept {
    return xsimd::nearbyint_as_int(a);
}
QUANT_DETAIL_INLINE native<float> native_floor(native<float> a) noexcept { return xsimd::floor(a); }

QUANT_DETAIL_INLINE native<float> native_to_float(native<std::int32_t> a) noexcept {
    return xsimd::to_float(a);
}
QUANT_DETAIL_INLINE native<float> native_bits_to_float(native<std::int32_t> a) noexcept {
    return xsimd::bitwise_cast<float>(a);
}
QUANT_DETAIL_INLINE native<std::int32_t> native_float_to_bits(native<float> a) noexcept {
    return xsimd::bitwise_cast<std::int32_t>(a);
}

/// Shifts as of unsigned integers.
template <int N>
QUANT_DETAIL_INLINE native<std::int32_t> native_shift_right(native<std::int32_t> a) noexcept {
    return xsimd::bitwise_cast<std::int32_t>(xsimd::bitwise_cast<std::uint32_t>(a) >> N);
}
template <int N>
QUANT_DETAIL_INLINE native<std::int32_t> native_shift_left(native<std::int32_t> a) noexcept {
    return a << N;
}

QUANT_DETAIL_INLINE native<std::int32_t> native_rotate_left_1(native<std::int32_t> a) noexcept {
#if defined(__AVX512BW__)
    return _mm512_rol_epi32(a, 1);
#else
    return native_shift_left<1>(a) | native_shift_right<31>(a);
#endif
}

/// (a & mask) | b, in one instruction where there is one.
QUANT_DETAIL_INLINE native<std::int32_t> native_merge_bits(native<std::int32_t> a,
                                                           native<std::int32_t> mask,
                                                           native<std::int32_t> b) noexcept {
#if defined(__AVX512F__)
    return _mm512_ternarylogic_epi32(a, mask, b, 0xEA);
#else
    return (a & mask) | b;
#endif
}

/// Shift of a signed integer.
template <int N>
QUANT_DETAIL_INLINE native<std::int32_t>
native_shift_right_signed(native<std::int32_t> a) noexcept {
    return a >> N;
}

/// if_true where `a` exceeds `b`, else if_false.
template <class T>
QUANT_DETAIL_INLINE native<T> native_select_greater(native<T> a, native<T> b, native<T> if_true,
                                                    native<T> if_false) noexcept {
    return xsimd::select(a > b, if_true, if_false);
}

QUANT_DETAIL_INLINE std::int32_t native_reduce_add(native<std::int32_t> a) noexcept {
    return xsimd::reduce_add(a);
}
QUANT_DETAIL_INLINE float native_reduce_min(native<float> a) noexcept {
    return xsimd::reduce_min(a);
}
template <class T>
QUANT_DETAIL_INLINE T native_reduce_max(native<T> a) noexcept {
    return xsimd::reduce_max(a);
}

/// Hides where the value came from, so that a product in it cannot be fused with an addition, nor a
/// chosen instruction replaced by another.
template <class T>
QUANT_DETAIL_INLINE native<T> native_opaque(native<T> value) noexcept {
#if defined(__GNUC__) && defined(__AVX512F__)
    __asm__("" : "+v"(value.data));
#elif defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
    __asm__("" : "+x"(value.data));
#endif
    return value;
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
