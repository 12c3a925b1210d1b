// Sixteen lanes from and to narrower types: fp16, bf16 and bytes.
#pragma once

#include <quant/simd/intrinsics.hpp>
#include <quant/simd/lanes.hpp>
#include <quant/simd/minifloat.hpp>

#include <bit>
#include <cstddef>

namespace quant::inline QUANT_ABI {
namespace simd {

/// Sixteen unsigned numbers at any address, widened one by one.
template <class T>
QUANT_DETAIL_INLINE i32x16 widen_elements(const void* from) noexcept {
    T narrow[16];
    std::memcpy(narrow, from, sizeof narrow);
    std::int32_t elements[16];
    for (int i = 0; i < 16; ++i) elements[i] = narrow[i];
    return load<std::int32_t>(elements);
}

/// Sixteen unsigned 16-bit numbers at any address, widened.
QUANT_DETAIL_INLINE i32x16 load_u16(const void* from) noexcept {
    i32x16 wide;
#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
    wide.r[0] = _mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
#elif !QUANT_DETAIL_SCALAR && defined(__AVX2__)
    const auto* half = static_cast<const __m128i*>(from);
    wide.r[0] = _mm256_cvtepu16_epi32(_mm_loadu_si128(half));
    wide.r[1] = _mm256_cvtepu16_epi32(_mm_loadu_si128(half + 1));
#else
    wide = widen_elements<std::uint16_t>(from);
#endif
    return wide;
}

/// Sixteen bytes at any address, widened without sign.
QUANT_DETAIL_INLINE i32x16 load_u8(const void* from) noexcept {
    i32x16 wide;
#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
    wide.r[0] = _mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(from)));
#elif !QUANT_DETAIL_SCALAR && defined(__AVX2__)
    const auto* bytes = static_cast<const std::byte*>(from);
    wide.r[0] = _mm256_cvtepu8_epi32(_mm_loadu_si64(bytes));
    wide.r[1] = _mm256_cvtepu8_epi32(_mm_loadu_si64(bytes + 8));
#else
    wide = widen_elements<std::uint8_t>(from);
#endif
    return wide;
}

/// What integer_column adds, 2^23: from there to 2^24 floats are the integers, so that a byte is
/// their lowest bits.
inline constexpr float integer_offset = 0x1p23f;

#if !QUANT_DETAIL_SCALAR && defined(__AVX2__) && !defined(__AVX512BW__)

/// Whether integer_column exists: less work than to shift, mask and convert each column.
inline constexpr bool has_integer_columns = true;

/// integer_offset + one of the four bytes of each lane. All columns of the same lanes share a
/// regrouping by columns.
template <std::size_t Column>
QUANT_DETAIL_INLINE f32x16 integer_column(const i32x16& bytes) noexcept {
    const __m256i by_column = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    const __m256i upper_bits = _mm256_set1_epi16(0x4B00); // those of 2^23
    return per_register<float>(
        [&](auto b) QUANT_DETAIL_LAMBDA {
            const __m256i grouped = _mm256_shuffle_epi8(b, by_column);
            const __m256i zero = _mm256_setzero_si256();
            const __m256i two_columns = Column < 2 ? _mm256_unpacklo_epi8(grouped, zero)
                                                   : _mm256_unpackhi_epi8(grouped, zero);
            return native<float>(_mm256_castsi256_ps(
                Column % 2 == 0 ? _mm256_unpacklo_epi16(two_columns, upper_bits)
                                : _mm256_unpackhi_epi16(two_columns, upper_bits)));
        },
        bytes);
}

#elif !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)

inline constexpr bool has_integer_columns = true;

/// integer_offset + one of the four bytes of each lane.
template <std::size_t Column>
QUANT_DETAIL_INLINE f32x16 integer_column(const i32x16& bytes) noexcept {
    return bits_to_float(merge_bits(shift_right<8 * static_cast<int>(Column)>(bytes),
                                    broadcast<std::int32_t>(0xFF),
                                    broadcast<std::int32_t>(0x4B000000)));
}

#else

inline constexpr bool has_integer_columns = false;

template <std::size_t Column>
QUANT_DETAIL_INLINE f32x16 integer_column(const i32x16& bytes) noexcept {
    return to_float(bytes);
}

#endif

/// Writes the lanes, each −128 … 255, as sixteen bytes.
QUANT_DETAIL_INLINE void store_u8(void* to, const i32x16& value) noexcept {
#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
    _mm_storeu_si128(static_cast<__m128i*>(to), _mm512_cvtepi32_epi8(value.r[0]));
#elif !QUANT_DETAIL_SCALAR && defined(__AVX2__)
    const __m256i low_byte = _mm256_set1_epi32(0xFF);
    // The pack works within 128-bit halves; the permutation puts its four quarters in order.
    const __m256i words =
        _mm256_permute4x64_epi64(_mm256_packs_epi32(_mm256_and_si256(value.r[0], low_byte),
                                                    _mm256_and_si256(value.r[1], low_byte)),
                                 0xD8);
    _mm_storeu_si128(
        static_cast<__m128i*>(to),
        _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
#elif !QUANT_DETAIL_SCALAR && (defined(__SSE2__) || defined(_M_X64)) && !defined(__AVX__)
    const __m128i low_byte = _mm_set1_epi32(0xFF);
    const __m128i low =
        _mm_packs_epi32(_mm_and_si128(value.r[0], low_byte), _mm_and_si128(value.r[1], low_byte));
    const __m128i high =
        _mm_packs_epi32(_mm_and_si128(value.r[2], low_byte), _mm_and_si128(value.r[3], low_byte));
    _mm_storeu_si128(static_cast<__m128i*>(to), _mm_packus_epi16(low, high));
#else
    std::int32_t elements[16];
    store(elements, value);
    std::uint8_t narrow[16];
    for (int i = 0; i < 16; ++i) narrow[i] = static_cast<std::uint8_t>(elements[i]);
    std::memcpy(to, narrow, sizeof narrow);
#endif
}

/// binary16 bits in the lanes, widened exactly; NaN comes out quiet.
QUANT_DETAIL_INLINE f32x16 fp16_bits_to_float(const i32x16& bits) noexcept {
    const i32x16 sign = shift_left<16>(bits & broadcast<std::int32_t>(0x8000));
    const i32x16 magnitude = shift_left<13>(bits & broadcast<std::int32_t>(0x7FFF));
    // As a float's bits the exponent is 112 too small; a product by 2^112 mends that and makes
    // subnormals normal, without rounding.
    const f32x16 finite = bits_to_float(magnitude) * broadcast(0x1p112f);
    const i32x16 least_infinite = broadcast<std::int32_t>(0x0F800000 - 1);
    const i32x16 infinite = magnitude | broadcast<std::int32_t>(0x7F800000);
    const i32x16 quiet =
        select_greater(magnitude, broadcast<std::int32_t>(0x0F800000),
                       broadcast<std::int32_t>(0x400000), broadcast<std::int32_t>(0));
    const i32x16 wide =
        select_greater(magnitude, least_infinite, infinite | quiet, float_to_bits(finite));
    return bits_to_float(wide | sign);
}

/// Sixteen fp16 numbers at any address.
QUANT_DETAIL_INLINE f32x16 load_fp16(const void* from) noexcept {
#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
    f32x16 wide;
    wide.r[0] = _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
    return wide;
#elif !QUANT_DETAIL_SCALAR && defined(__AVX2__) && defined(__F16C__)
    f32x16 wide;
    const auto* half = static_cast<const __m128i*>(from);
    wide.r[0] = _mm256_cvtph_ps(_mm_loadu_si128(half));
    wide.r[1] = _mm256_cvtph_ps(_mm_loadu_si128(half + 1));
    return wide;
#else
    return fp16_bits_to_float(load_u16(from));
#endif
}

/// Sixteen bf16 numbers at any address.
QUANT_DETAIL_INLINE f32x16 load_bf16(const void* from) noexcept {
    return bits_to_float(shift_left<16>(load_u16(from)));
}

/// Sixteen numbers of type T (float, fp16, bf16, fp8_e4m3, e8m0) at any address, as floats.
template <class T>
QUANT_DETAIL_INLINE f32x16 load_as_float(const void* from) noexcept {
    if constexpr (std::is_same_v<T, float>) {
        return load<float>(from);
    } else if constexpr (std::is_same_v<T, fp16>) {
        return load_fp16(from);
    } else if constexpr (std::is_same_v<T, fp8_e4m3>) {
        return fp8_e4m3_bits_to_float(load_u8(from));
    } else if constexpr (std::is_same_v<T, e8m0>) {
        return e8m0_bits_to_float(load_u8(from));
    } else {
        static_assert(std::is_same_v<T, bf16>);
        return load_bf16(from);
    }
}

/// The same of numbers as files and packed weights store them: lowest byte first, whatever the
/// host.
template <class T>
QUANT_DETAIL_INLINE f32x16 load_stored(const std::byte* from) noexcept {
    if constexpr (std::endian::native == std::endian::little) {
        return load_as_float<T>(from);
    } else {
        std::byte host[16 * sizeof(T)];
        for (std::size_t i = 0; i < sizeof host; ++i) host[i] = from[i ^ (sizeof(T) - 1)];
        return load_as_float<T>(host);
    }
}

/// Writes the low 16 bits of each lane.
QUANT_DETAIL_INLINE void store_u16(void* to, const i32x16& value) noexcept {
#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
    _mm256_storeu_si256(static_cast<__m256i*>(to), _mm512_cvtepi32_epi16(value.r[0]));
#elif !QUANT_DETAIL_SCALAR && defined(__AVX2__)
    const __m256i low_half = _mm256_set1_epi32(0xFFFF);
    // The pack works within 128-bit halves; the permutation puts its four quarters in order.
    const __m256i words = _mm256_packus_epi32(_mm256_and_si256(value.r[0], low_half),
                                              _mm256_and_si256(value.r[1], low_half));
    _mm256_storeu_si256(static_cast<__m256i*>(to), _mm256_permute4x64_epi64(words, 0xD8));
#elif !QUANT_DETAIL_SCALAR && (defined(__SSE2__) || defined(_M_X64)) && !defined(__AVX__)
    // SSE2 packs with signed saturation only: made signed first, no number saturates.
    const auto sign_extended = [](__m128i x) { return _mm_srai_epi32(_mm_slli_epi32(x, 16), 16); };
    auto* half = static_cast<__m128i*>(to);
    _mm_storeu_si128(half, _mm_packs_epi32(sign_extended(value.r[0]), sign_extended(value.r[1])));
    _mm_storeu_si128(half + 1,
                     _mm_packs_epi32(sign_extended(value.r[2]), sign_extended(value.r[3])));
#else
    std::int32_t elements[16];
    store(elements, value);
    std::uint16_t narrow[16];
    for (int i = 0; i < 16; ++i) narrow[i] = static_cast<std::uint16_t>(elements[i]);
    std::memcpy(to, narrow, sizeof narrow);
#endif
}

/// Bits of the nearest binary16, ties to even, as fp16(float) gives them.
QUANT_DETAIL_INLINE i32x16 float_to_fp16_bits(const f32x16& value) noexcept {
    const i32x16 bits = float_to_bits(value);
    const i32x16 magnitude = bits & broadcast<std::int32_t>(0x7FFFFFFF);
    const i32x16 one = broadcast<std::int32_t>(1);
    // Normal: 13 bits rounded away, the exponent 112 less.
    const i32x16 odd = shift_right<13>(magnitude) & one;
    const i32x16 normal =
        shift_right<13>(magnitude + odd + broadcast<std::int32_t>(0xFFF - 0x38000000));
    // Subnormal: 0.5 has 2^−24, their unit, as its last place; the addition rounds to it.
    const i32x16 subnormal = float_to_bits(bits_to_float(magnitude) + broadcast(0.5f)) -
                             broadcast<std::int32_t>(0x3F000000);
    const i32x16 infinite = broadcast<std::int32_t>(0x7C00);
    const i32x16 nan = broadcast<std::int32_t>(0x7E00) |
                       (shift_right<13>(magnitude) & broadcast<std::int32_t>(0x3FF));
    i32x16 narrow =
        select_greater(broadcast<std::int32_t>(0x38800000), magnitude, subnormal, normal);
    narrow = select_greater(magnitude, broadcast<std::int32_t>(0x477FF000 - 1), infinite, narrow);
    narrow = select_greater(magnitude, broadcast<std::int32_t>(0x7F800000), nan, narrow);
    return narrow | (shift_right<16>(bits) & broadcast<std::int32_t>(0x8000));
}

/// Bits of the nearest bfloat16, ties to even, as bf16(float) gives them.
QUANT_DETAIL_INLINE i32x16 float_to_bf16_bits(const f32x16& value) noexcept {
    // The instruction for it flushes subnormal numbers.
    const i32x16 bits = float_to_bits(value);
    const i32x16 magnitude = bits & broadcast<std::int32_t>(0x7FFFFFFF);
    const i32x16 odd = shift_right<16>(bits) & broadcast<std::int32_t>(1);
    const i32x16 rounded = bits + odd + broadcast<std::int32_t>(0x7FFF);
    const i32x16 quiet = bits | broadcast<std::int32_t>(0x400000);
    return shift_right<16>(
        select_greater(magnitude, broadcast<std::int32_t>(0x7F800000), quiet, rounded));
}

/// Writes sixteen fp16 numbers at any address.
QUANT_DETAIL_INLINE void store_fp16(void* to, const f32x16& value) noexcept {
#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
    // Unmasked, g++ warns of a macro of its own header where nothing is optimized.
    _mm256_storeu_si256(
        static_cast<__m256i*>(to),
        _mm512_maskz_cvtps_ph(0xFFFF, value.r[0], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#elif !QUANT_DETAIL_SCALAR && defined(__AVX2__) && defined(__F16C__)
    auto* half = static_cast<__m128i*>(to);
    _mm_storeu_si128(half, _mm256_cvtps_ph(value.r[0], _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(half + 1, _mm256_cvtps_ph(value.r[1], _MM_FROUND_TO_NEAREST_INT));
#else
    store_u16(to, float_to_fp16_bits(value));
#endif
}

/// Writes sixteen numbers of type T (float, fp16, bf16, fp8_e4m3, e8m0) at any address, rounded as
/// T(float) rounds: the same bits on every instruction set.
template <class T>
QUANT_DETAIL_INLINE void store_from_float(void* to, const f32x16& value) noexcept {
    if constexpr (std::is_same_v<T, float>) {
        store(to, value);
    } else if constexpr (std::is_same_v<T, fp16>) {
        store_fp16(to, value);
    } else if constexpr (std::is_same_v<T, fp8_e4m3>) {
        store_u8(to, float_to_fp8_e4m3_bits(value));
    } else if constexpr (std::is_same_v<T, e8m0>) {
        store_u8(to, float_to_e8m0_bits(value));
    } else {
        static_assert(std::is_same_v<T, bf16>);
        store_u16(to, float_to_bf16_bits(value));
    }
}

/// Writes the first n ≤ 16 of them.
template <class T>
QUANT_DETAIL_INLINE void store_from_float(void* to, const f32x16& value, std::size_t n) noexcept {
    if (n == 16) {
        store_from_float<T>(to, value);
    } else if constexpr (std::is_same_v<T, float>) {
        store_partial(to, value, n);
    } else {
        T narrow[16];
        store_from_float<T>(static_cast<void*>(narrow), value);
        std::memcpy(to, static_cast<const void*>(narrow), n * sizeof(T));
    }
}

/// The nearest numbers of type T.
template <class T>
QUANT_DETAIL_INLINE f32x16 rounded_to(const f32x16& value) noexcept {
    if constexpr (std::is_same_v<T, float>) {
        return value;
    } else {
        T narrow[16];
        store_from_float<T>(static_cast<void*>(narrow), value);
        return load_as_float<T>(narrow);
    }
}

#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
/// Bytes that packs made of four registers, in these registers' order: 128-bit quarters are packed
/// each for itself.
QUANT_DETAIL_INLINE __m512i in_order_of_packs(__m512i bytes) noexcept {
    const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    return _mm512_permutexvar_epi32(order, bytes);
}
#endif

/// clamp(lane, First, Last) − First of 64 lanes, as bytes in their order.
template <int First, int Last>
QUANT_DETAIL_INLINE void store_clamped(std::uint8_t* to, const i32x16 (&value)[4]) noexcept {
    // Packs clamp to int16, then to bytes, unsigned or signed; where registers are wider than 128
    // bits, their 32-bit words end up out of order.
    constexpr bool is_signed = First < 0;
    static_assert(is_signed ? -128 <= First && Last <= 127 : First == 0 && Last <= 255);
#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
    const __m512i low = _mm512_packs_epi32(value[0].r[0], value[1].r[0]);
    const __m512i high = _mm512_packs_epi32(value[2].r[0], value[3].r[0]);
    __m512i bytes;
    if constexpr (is_signed) {
        bytes = _mm512_packs_epi16(low, high);
        if constexpr (Last < 127) bytes = _mm512_min_epi8(bytes, _mm512_set1_epi8(Last));
        if constexpr (First > -128) bytes = _mm512_max_epi8(bytes, _mm512_set1_epi8(First));
        bytes = _mm512_sub_epi8(bytes, _mm512_set1_epi8(First));
    } else {
        bytes = _mm512_packus_epi16(low, high);
        if constexpr (Last < 255) bytes = _mm512_min_epu8(bytes, _mm512_set1_epi8(Last));
    }
    _mm512_storeu_si512(to, in_order_of_packs(bytes));
#elif !QUANT_DETAIL_SCALAR && defined(__AVX2__)
    const __m256i order = _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0);
    detail::unroll<2>([&](auto i) QUANT_DETAIL_LAMBDA {
        const i32x16 &v = value[2 * i], &w = value[2 * i + 1];
        const __m256i low = _mm256_packs_epi32(v.r[0], v.r[1]);
        const __m256i high = _mm256_packs_epi32(w.r[0], w.r[1]);
        __m256i bytes;
        if constexpr (is_signed) {
            bytes = _mm256_packs_epi16(low, high);
            if constexpr (Last < 127) bytes = _mm256_min_epi8(bytes, _mm256_set1_epi8(Last));
            if constexpr (First > -128) bytes = _mm256_max_epi8(bytes, _mm256_set1_epi8(First));
            bytes = _mm256_sub_epi8(bytes, _mm256_set1_epi8(First));
        } else {
            bytes = _mm256_packus_epi16(low, high);
            if constexpr (Last < 255) bytes = _mm256_min_epu8(bytes, _mm256_set1_epi8(Last));
        }
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to) + i,
                            _mm256_permutevar8x32_epi32(bytes, order));
    });
#elif !QUANT_DETAIL_SCALAR && (defined(__SSE2__) || defined(_M_X64)) && !defined(__AVX__)
    detail::unroll<4>([&](auto i) QUANT_DETAIL_LAMBDA {
        const i32x16& v = value[i];
        // Signed bytes have no minimum before SSE4.1: 16-bit sums that clamp do instead.
        const __m128i base = _mm_set1_epi16(-First);
        const __m128i low = _mm_adds_epi16(_mm_packs_epi32(v.r[0], v.r[1]), base);
        const __m128i high = _mm_adds_epi16(_mm_packs_epi32(v.r[2], v.r[3]), base);
        __m128i bytes = _mm_packus_epi16(low, high);
        if constexpr (Last - First < 255) {
            bytes = _mm_min_epu8(bytes, _mm_set1_epi8(Last - First));
        }
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to) + i, bytes);
    });
#elif !QUANT_DETAIL_SCALAR && defined(__aarch64__)
    detail::unroll<4>([&](auto i) QUANT_DETAIL_LAMBDA {
        const i32x16& v = value[i];
        const int16x8_t base = vdupq_n_s16(-First);
        const int16x8_t low = vqmovn_high_s32(vqmovn_s32(v.r[0].data), v.r[1].data);
        const int16x8_t high = vqmovn_high_s32(vqmovn_s32(v.r[2].data), v.r[3].data);
        uint8x16_t bytes =
            vqmovun_high_s16(vqmovun_s16(vqaddq_s16(low, base)), vqaddq_s16(high, base));
        if constexpr (Last - First < 255) bytes = vminq_u8(bytes, vdupq_n_u8(Last - First));
        vst1q_u8(to + 16 * i, bytes);
    });
#elif !QUANT_DETAIL_SCALAR && defined(__wasm_simd128__)
    detail::unroll<4>([&](auto i) QUANT_DETAIL_LAMBDA {
        const i32x16& v = value[i];
        const v128_t base = wasm_i16x8_splat(-First);
        const v128_t low = wasm_i16x8_add_sat(wasm_i16x8_narrow_i32x4(v.r[0], v.r[1]), base);
        const v128_t high = wasm_i16x8_add_sat(wasm_i16x8_narrow_i32x4(v.r[2], v.r[3]), base);
        v128_t bytes = wasm_u8x16_narrow_i16x8(low, high);
        if constexpr (Last - First < 255) {
            bytes = wasm_u8x16_min(bytes, wasm_u8x16_splat(Last - First));
        }
        wasm_v128_store(to + 16 * i, bytes);
    });
#else
    detail::unroll<4>([&](auto i) QUANT_DETAIL_LAMBDA {
        const auto first = broadcast<std::int32_t>(First);
        store_u8(to + 16 * i, min(max(value[i], first), broadcast<std::int32_t>(Last)) - first);
    });
#endif
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
