// Tables looked up lane by lane or byte by byte.
//
//                 16 floats   pairs of 16 bits   up to 128 floats   bytes of up to 128
//   AVX-512BW     vpermps     vpshufb, vpermw    vpermt2ps          vpermb; vpshufb and selection
//   AVX2          -           vpshufb,           vpermps and        vpshufb and vpblendvb
//                             vpunpcklbw         vblendvps, beyond
//                                                64 vgatherdps
//   SSSE3         -           -                  one by one         pshufb and selection
//   AArch64       -           -                  one by one         tbl
//   WebAssembly   -           -                  one by one         i8x16.swizzle and sums
//   elsewhere     -           -                  one by one         one by one
//
// has_lookup and has_pair_lookup say whether the first two exist; codes are converted instead where
// they do not. has_float_lookup and has_byte_lookup say whether the last two are more than a loop.
#pragma once

#include <quant/simd/intrinsics.hpp>
#include <quant/simd/lanes.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace simd {

namespace folding {

#if !QUANT_DETAIL_SCALAR && (defined(__SSSE3__) || defined(__AVX__))
/// from[low four bits of each byte], bytes being below 128.
template <class Register>
QUANT_DETAIL_INLINE Register sixteen_bytes(const std::uint8_t* from, Register index) noexcept {
    const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
#if defined(__AVX512BW__)
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(entries), index);
#elif defined(__AVX2__)
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(entries), index);
#else
    return _mm_shuffle_epi8(entries, index);
#endif
}
#endif

} // namespace folding

#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)

inline constexpr bool has_lookup = true;
inline constexpr bool has_pair_lookup = true;

/// table[low four bits of each lane].
QUANT_DETAIL_INLINE f32x16 lookup(const std::array<float, 16>& table,
                                  const i32x16& index) noexcept {
    f32x16 found;
    found.r[0] = _mm512_permutexvar_ps(index.r[0], _mm512_loadu_ps(table.data()));
    return found;
}

/// Per lane: table[byte 2·Pair] in the lower 16 bits, table[byte 2·Pair + 1] in the upper; bytes
/// are at most 15.
template <std::size_t Pair>
QUANT_DETAIL_INLINE i32x16 lookup_pairs(const std::array<std::uint16_t, 16>& table,
                                        const i32x16& bytes) noexcept {
    // Each lane's two bytes, widened to 16 bits; 0x80 gives a zero byte.
    constexpr int widen = Pair == 0 ? static_cast<int>(0x80018000u) : static_cast<int>(0x80038002u);
    const __m512i within = _mm512_add_epi32(
        _mm512_set1_epi32(widen),
        _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x00040004, 0x00080008, 0x000C000C)));
    const __m512i index = _mm512_shuffle_epi8(bytes.r[0], within);
    const __m512i entries =
        _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(table.data())));
    i32x16 found;
    found.r[0] = _mm512_permutexvar_epi16(index, entries);
    return found;
}

#else

inline constexpr bool has_lookup = false;

QUANT_DETAIL_INLINE f32x16 lookup(const std::array<float, 16>&, const i32x16& index) noexcept {
    return to_float(index);
}

#if !QUANT_DETAIL_SCALAR && defined(__AVX2__)

inline constexpr bool has_pair_lookup = true;

/// As with AVX-512. Both pairs take the same two lookups, of the entries' lower and upper bytes.
template <std::size_t Pair>
QUANT_DETAIL_INLINE i32x16 lookup_pairs(const std::array<std::uint16_t, 16>& table,
                                        const i32x16& bytes) noexcept {
    // The first pair of each of four lanes, then the second ones.
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
    std::uint8_t lower[16], upper[16];
    for (std::size_t i = 0; i < 16; ++i) {
        lower[i] = static_cast<std::uint8_t>(table[i]);
        upper[i] = static_cast<std::uint8_t>(table[i] >> 8);
    }
    return per_register<std::int32_t>(
        [&](auto b) QUANT_DETAIL_LAMBDA {
            const __m256i index = _mm256_shuffle_epi8(b, order);
            const __m256i low = folding::sixteen_bytes(lower, index);
            const __m256i high = folding::sixteen_bytes(upper, index);
            return native<std::int32_t>(Pair == 0 ? _mm256_unpacklo_epi8(low, high)
                                                  : _mm256_unpackhi_epi8(low, high));
        },
        bytes);
}

#else

inline constexpr bool has_pair_lookup = false;

template <std::size_t Pair>
QUANT_DETAIL_INLINE i32x16 lookup_pairs(const std::array<std::uint16_t, 16>&,
                                        const i32x16& bytes) noexcept {
    return bytes;
}

#endif
#endif

#if !QUANT_DETAIL_SCALAR && defined(__AVX2__) && !defined(__AVX512BW__)
/// table[First + lane], lanes being below N: eight entries by one permutation, halves selected by
/// the bit of the index that tells them apart. Up to 64 entries that takes no longer than a gather,
/// for 16 less than a third of its time.
template <std::size_t N, std::size_t First = 0>
QUANT_DETAIL_INLINE __m256 permuted_floats(const std::array<float, 128>& table,
                                           __m256i index) noexcept {
    if constexpr (N <= 8) {
        return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table.data() + First), index);
    } else {
        constexpr std::size_t half = std::bit_ceil(N) / 2;
        constexpr int to_sign = 31 - std::countr_zero(half);
        const __m256 lower = permuted_floats<half, First>(table, index);
        const __m256 upper = permuted_floats<N - half, First + half>(table, index);
        const __m256i is_upper = _mm256_slli_epi32(index, to_sign);
        return _mm256_blendv_ps(lower, upper, _mm256_castsi256_ps(is_upper));
    }
}
#endif

inline constexpr bool has_float_lookup =
#if !QUANT_DETAIL_SCALAR && (defined(__AVX512BW__) || defined(__AVX2__))
    true;
#else
    false;
#endif

/// table[lane], lanes being below N.
template <std::size_t N>
QUANT_DETAIL_INLINE f32x16 lookup_floats(const std::array<float, 128>& table,
                                         const i32x16& index) noexcept {
    static_assert(N <= 128);
    f32x16 found;
#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)
    const auto entries = [&](std::size_t from)
                             QUANT_DETAIL_LAMBDA { return _mm512_loadu_ps(table.data() + from); };
    if constexpr (N <= 16) {
        found.r[0] = _mm512_permutexvar_ps(index.r[0], entries(0));
    } else if constexpr (N <= 64) {
        found.r[0] = _mm512_permutex2var_ps(entries(0), index.r[0], entries(16));
        if constexpr (N > 32) {
            const __m512 upper = _mm512_permutex2var_ps(entries(32), index.r[0], entries(48));
            const __mmask16 is_upper = _mm512_test_epi32_mask(index.r[0], _mm512_set1_epi32(32));
            found.r[0] = _mm512_mask_mov_ps(found.r[0], is_upper, upper);
        }
    } else {
        found.r[0] = _mm512_i32gather_ps(index.r[0], table.data(), 4);
    }
#elif !QUANT_DETAIL_SCALAR && defined(__AVX2__)
    detail::unroll<2>([&](auto i) QUANT_DETAIL_LAMBDA {
        if constexpr (N <= 64) {
            found.r[i] = permuted_floats<N>(table, index.r[i]);
        } else {
            found.r[i] = _mm256_i32gather_ps(table.data(), index.r[i], 4);
        }
    });
#else
    std::int32_t indices[16];
    store(indices, index);
    float elements[16];
    for (int i = 0; i < 16; ++i) elements[i] = table[static_cast<std::size_t>(indices[i])];
    found = load<float>(elements);
#endif
    return found;
}

namespace folding {

#if !QUANT_DETAIL_SCALAR && defined(__AVX2__) && !defined(__AVX512BW__)
/// table[First + byte], bytes being below N; bits that count no entry of these do not matter.
template <std::size_t N, std::size_t First = 0>
QUANT_DETAIL_INLINE __m256i bytes_at(const std::array<std::uint8_t, 128>& table,
                                     __m256i index) noexcept {
    if constexpr (N <= 16) {
        return sixteen_bytes(table.data() + First, index);
    } else {
        constexpr std::size_t half = std::bit_ceil(N) / 2;
        constexpr int to_sign = 7 - std::countr_zero(half);
        const __m256i lower = bytes_at<half, First>(table, index);
        const __m256i upper = bytes_at<N - half, First + half>(table, index);
        return _mm256_blendv_epi8(lower, upper, _mm256_slli_epi16(index, to_sign));
    }
}
#elif !QUANT_DETAIL_SCALAR && defined(__aarch64__)
/// table[byte], bytes being below N.
template <std::size_t N>
QUANT_DETAIL_INLINE uint8x16_t bytes_at(const std::array<std::uint8_t, 128>& table,
                                        uint8x16_t index) noexcept {
    if constexpr (N <= 16) {
        return vqtbl1q_u8(vld1q_u8(table.data()), index);
    } else if constexpr (N <= 32) {
        return vqtbl2q_u8({{vld1q_u8(table.data()), vld1q_u8(table.data() + 16)}}, index);
    } else {
        const auto sixty_four = [&](std::size_t first) {
            const std::uint8_t* entries = table.data() + first;
            return uint8x16x4_t{{vld1q_u8(entries), vld1q_u8(entries + 16), vld1q_u8(entries + 32),
                                 vld1q_u8(entries + 48)}};
        };
        const uint8x16_t found = vqtbl4q_u8(sixty_four(0), index);
        if constexpr (N <= 64) return found;
        // Out of range elsewhere: that part is left as it is.
        return vqtbx4q_u8(found, sixty_four(64), vsubq_u8(index, vdupq_n_u8(64)));
    }
}
#endif

/// All ones in the bytes in which bit Bit is set.
template <int Bit>
QUANT_DETAIL_INLINE i32x16 spread_bit(const i32x16& bytes) noexcept {
    const auto bit = shift_right<Bit>(bytes) & broadcast<std::int32_t>(0x01010101);
    return shift_left<8>(bit) - bit;
}

} // namespace folding

inline constexpr bool has_byte_lookup =
#if !QUANT_DETAIL_SCALAR && \
    (defined(__AVX2__) || defined(__aarch64__) || defined(__wasm_simd128__) || \
     (defined(__SSSE3__) && !defined(__AVX__)))
    true;
#else
    false;
#endif

/// Of a table of up to so many bytes lookup_bytes looks at the low bits of an index alone, six of
/// 64: one that repeats itself throughout them may be indexed by codes with anything above. 0:
/// nowhere.
inline constexpr std::size_t repeated_bytes =
#if !QUANT_DETAIL_SCALAR && defined(__AVX512VBMI__) && defined(__AVX512BW__)
    64;
#else
    0;
#endif

/// table[byte] for each byte of the lanes; bytes are below N, unless the table repeats itself (see
/// repeated_bytes).
template <std::size_t N>
QUANT_DETAIL_INLINE i32x16 lookup_bytes(const std::array<std::uint8_t, 128>& table,
                                        const i32x16& index) noexcept {
    static_assert(N <= 128);
#if !QUANT_DETAIL_SCALAR && defined(__AVX512VBMI__) && defined(__AVX512BW__)
    i32x16 found;
    if constexpr (N <= 64) {
        found.r[0] = _mm512_permutexvar_epi8(index.r[0], _mm512_loadu_si512(table.data()));
    } else {
        found.r[0] = _mm512_permutex2var_epi8(_mm512_loadu_si512(table.data()), index.r[0],
                                              _mm512_loadu_si512(table.data() + 64));
    }
    return found;
#elif !QUANT_DETAIL_SCALAR && defined(__AVX2__) && !defined(__AVX512BW__)
    return per_register<std::int32_t>(
        [&](auto i)
            QUANT_DETAIL_LAMBDA { return native<std::int32_t>(folding::bytes_at<N>(table, i)); },
        index);
#elif !QUANT_DETAIL_SCALAR && (defined(__AVX512BW__) || (defined(__SSSE3__) && !defined(__AVX__)))
    const auto sixteen = [&](std::size_t first) QUANT_DETAIL_LAMBDA {
        i32x16 part;
        detail::unroll<i32x16::count>([&](auto i) QUANT_DETAIL_LAMBDA {
            part.r[i] = folding::sixteen_bytes(table.data() + first, index.r[i].data);
        });
        return part;
    };
    // The high half where a bit is set, else the low one.
    const auto choose = [&](const i32x16& mask, const i32x16& low,
                            const i32x16& high) QUANT_DETAIL_LAMBDA {
        return per_register<std::int32_t>([](auto m, auto a, auto b)
                                              QUANT_DETAIL_LAMBDA { return a ^ ((a ^ b) & m); },
                                          mask, low, high);
    };
    const auto thirty_two = [&](std::size_t first) QUANT_DETAIL_LAMBDA {
        return choose(folding::spread_bit<4>(index), sixteen(first), sixteen(first + 16));
    };
    const auto sixty_four = [&](std::size_t first) QUANT_DETAIL_LAMBDA {
        return choose(folding::spread_bit<5>(index), thirty_two(first), thirty_two(first + 32));
    };
    i32x16 found;
    if constexpr (N <= 16) {
        found = sixteen(0);
    } else if constexpr (N <= 32) {
        found = thirty_two(0);
    } else if constexpr (N <= 64) {
        found = sixty_four(0);
    } else {
        found = choose(folding::spread_bit<6>(index), sixty_four(0), sixty_four(64));
    }
    return found;
#elif !QUANT_DETAIL_SCALAR && defined(__aarch64__)
    i32x16 found;
    detail::unroll<i32x16::count>([&](auto i) QUANT_DETAIL_LAMBDA {
        const uint8x16_t bytes = folding::bytes_at<N>(table, vreinterpretq_u8_s32(index.r[i].data));
        found.r[i] = vreinterpretq_s32_u8(bytes);
    });
    return found;
#elif !QUANT_DETAIL_SCALAR && defined(__wasm_simd128__)
    i32x16 found;
    detail::unroll<i32x16::count>([&](auto i) QUANT_DETAIL_LAMBDA {
        v128_t bytes = wasm_i32x4_splat(0);
        detail::unroll<(N + 15) / 16>([&](auto part) QUANT_DETAIL_LAMBDA {
            constexpr std::size_t first = 16 * part;
            // Out of range elsewhere, which gives 0.
            const v128_t at = wasm_i8x16_sub(index.r[i], wasm_u8x16_splat(first));
            bytes =
                wasm_v128_or(bytes, wasm_i8x16_swizzle(wasm_v128_load(table.data() + first), at));
        });
        found.r[i] = bytes;
    });
    return found;
#else
    std::int32_t lanes_of[16];
    store(lanes_of, index);
    for (auto& lane : lanes_of) {
        const auto bytes = static_cast<std::uint32_t>(lane);
        std::uint32_t made = 0;
        for (int shift = 0; shift < 32; shift += 8) {
            made |= static_cast<std::uint32_t>(table[bytes >> shift & 127u]) << shift;
        }
        lane = static_cast<std::int32_t>(made);
    }
    return load<std::int32_t>(lanes_of);
#endif
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
