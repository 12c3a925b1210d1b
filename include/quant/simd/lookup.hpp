// Tables of sixteen entries, looked up lane by lane.
//
//   AVX-512BW     vpermps; vpshufb and vpermw for pairs of 16 bits
//   elsewhere     none: has_lookup is false, codes are converted instead
#pragma once

#include <quant/simd/intrinsics.hpp>
#include <quant/simd/lanes.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace simd {

#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__)

inline constexpr bool has_lookup = true;

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
    const __m512i within =
        _mm512_add_epi32(_mm512_set1_epi32(widen),
                         _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x00040004, 0x00080008,
                                                               0x000C000C)));
    const __m512i index = _mm512_shuffle_epi8(bytes.r[0], within);
    const __m512i entries = _mm512_castsi256_si512(
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(table.data())));
    i32x16 found;
    found.r[0] = _mm512_permutexvar_epi16(index, entries);
    return found;
}

#else

inline constexpr bool has_lookup = false;

QUANT_DETAIL_INLINE f32x16 lookup(const std::array<float, 16>&, const i32x16& index) noexcept {
    return to_float(index);
}
template <std::size_t Pair>
QUANT_DETAIL_INLINE i32x16 lookup_pairs(const std::array<std::uint16_t, 16>&,
                                        const i32x16& bytes) noexcept {
    return bytes;
}

#endif

} // namespace simd
} // namespace quant::inline QUANT_ABI
