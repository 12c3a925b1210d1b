// Quads of activation bytes, widened to pairs of 16 bits once for many products.
//
//   acc[lane] += Σ j = 0 … 3  u8(codes[lane], byte j) · s8(quad, byte j)          exact
//
// as dot4 (dot4.hpp) has it, where products of 8-bit codes are those of 16 bits and registers few:
// activations are widened when they are packed, codes once for all tokens of a tile.
//
//   AVX2 without VNNI   codes: vpand for even bytes, vpsrlw for odd ones; vpmaddwd, vpaddd for each
//   elsewhere           not used: widens_quads says so
//
// Four quads are 32 bytes: bytes 0 and 2 of each, then bytes 1 and 3 of each.
#pragma once

#include <quant/simd/intrinsics.hpp>
#include <quant/simd/lanes.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace quant::inline QUANT_ABI {
namespace simd {

#if !QUANT_DETAIL_SCALAR && defined(__AVX2__) && !defined(__AVX512BW__) && !defined(__AVXVNNI__)
#define QUANT_DETAIL_WIDENS_QUADS 1
#else
#define QUANT_DETAIL_WIDENS_QUADS 0
#endif

/// Whether codes of Bits bits are multiplied with widened quads.
template <int Bits>
inline constexpr bool widens_quads = QUANT_DETAIL_WIDENS_QUADS && Bits == 8;

#if QUANT_DETAIL_WIDENS_QUADS

/// Widens eight quads; `to` has room for 64 bytes.
QUANT_DETAIL_INLINE void widen_eight_quads(const std::byte* from, std::byte* to) noexcept {
    const __m256i quads = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(quads, 8), 8);
    const __m256i odd = _mm256_srai_epi16(quads, 8);
    auto* at = reinterpret_cast<__m256i*>(to);
    _mm256_storeu_si256(at, _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256(at + 1, _mm256_permute2x128_si256(even, odd, 0x31));
}

/// The even or the odd bytes of each lane as two unsigned 16-bit integers.
template <std::size_t Odd>
QUANT_DETAIL_INLINE native<std::int32_t> native_widen(native<std::int32_t> codes) noexcept {
    if constexpr (Odd != 0) return _mm256_srli_epi16(codes, 8);
    return _mm256_and_si256(codes, _mm256_set1_epi16(0xFF));
}
QUANT_DETAIL_INLINE native<std::int32_t> native_add_products(native<std::int32_t> acc,
                                                             native<std::int32_t> codes,
                                                             std::int32_t pair) noexcept {
    __m256i sum = _mm256_add_epi32(acc, _mm256_madd_epi16(codes, _mm256_set1_epi32(pair)));
#if defined(__GNUC__)
    __asm__("" : "+x"(sum)); // in this order, see dot4.hpp
#endif
    return sum;
}

#else // never called: widens_quads is false

QUANT_DETAIL_INLINE void widen_eight_quads(const std::byte*, std::byte*) noexcept {}
template <std::size_t Odd>
QUANT_DETAIL_INLINE native<std::int32_t> native_widen(native<std::int32_t> codes) noexcept {
    return codes;
}
QUANT_DETAIL_INLINE native<std::int32_t>
native_add_products(native<std::int32_t> acc, native<std::int32_t>, std::int32_t) noexcept {
    return acc;
}

#endif
#undef QUANT_DETAIL_WIDENS_QUADS

/// Bytes 0 and 2, or 1 and 3, of quad `index` of widened ones.
template <std::size_t Odd>
[[nodiscard]] QUANT_DETAIL_INLINE std::int32_t widened_pair(const std::byte* quads,
                                                            std::size_t index) noexcept {
    std::int32_t pair;
    std::memcpy(&pair, quads + index / 4 * 32 + Odd * 16 + index % 4 * 4, sizeof pair);
    return pair;
}

/// Bytes 0 and 2 of each lane, or 1 and 3, as two unsigned 16-bit integers.
template <std::size_t Odd>
QUANT_DETAIL_INLINE i32x16 widen(const i32x16& codes) noexcept {
    return per_register<std::int32_t>(
        [](auto c) QUANT_DETAIL_LAMBDA { return native_widen<Odd>(c); }, codes);
}

/// acc + both products of a lane's widened codes with a widened pair; wraps modulo 2^32.
QUANT_DETAIL_INLINE i32x16 add_products(const i32x16& acc, const i32x16& codes,
                                        std::int32_t pair) noexcept {
    return per_register<std::int32_t>(
        [pair](auto a, auto c) QUANT_DETAIL_LAMBDA { return native_add_products(a, c, pair); }, acc,
        codes);
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
