// Nearest entries of a table, looked up by cells: numbers are cut into cells so narrow that each
// holds at most one border between two entries.
//
//   AVX2        pairs of registers packed to bytes; tables by vpshufb and vpblendvb
//   AArch64     likewise; tables by tbl
//   elsewhere   not used, has_cell_lookup says so: AVX-512 looks halves up (halves.hpp)
#pragma once

#include <quant/simd/halves.hpp>
#include <quant/simd/lookup.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace simd {

/// Of each cell: the entry at its beginning, signed; the last place in the cell that belongs to it;
/// and how far it is to the entry behind that, 0 where there is none.
struct cell_bytes {
    std::array<std::uint8_t, 128> below{}, border{}, rise{};
};

/// Two registers of halves.
struct native_pair {
    native<std::int32_t> first, second;
};

#if !QUANT_DETAIL_SCALAR && defined(__AVX2__) && !defined(__AVX512BW__)

inline constexpr bool has_cell_lookup = true;

template <std::size_t N, int Shift>
QUANT_DETAIL_INLINE native_pair native_lookup_cells(const cell_bytes& cells,
                                                    const native_pair& numbers) noexcept {
    const __m256i first = numbers.first, second = numbers.second;
    const __m256i within = _mm256_set1_epi16((1 << Shift) - 1);
    const __m256i cell =
        _mm256_packus_epi16(_mm256_srli_epi16(first, Shift), _mm256_srli_epi16(second, Shift));
    const __m256i place =
        _mm256_packus_epi16(_mm256_and_si256(first, within), _mm256_and_si256(second, within));
    const __m256i above = _mm256_cmpgt_epi8(place, folding::bytes_at<N>(cells.border, cell));
    const __m256i rise = _mm256_and_si256(above, folding::bytes_at<N>(cells.rise, cell));
    const __m256i entry = _mm256_add_epi8(folding::bytes_at<N>(cells.below, cell), rise);
    const __m256i zero = _mm256_setzero_si256();
    return {_mm256_srai_epi16(_mm256_unpacklo_epi8(zero, entry), 8),
            _mm256_srai_epi16(_mm256_unpackhi_epi8(zero, entry), 8)};
}

#elif !QUANT_DETAIL_SCALAR && defined(__aarch64__)

inline constexpr bool has_cell_lookup = true;

template <std::size_t N, int Shift>
QUANT_DETAIL_INLINE native_pair native_lookup_cells(const cell_bytes& cells,
                                                    const native_pair& numbers) noexcept {
    const uint16x8_t first = vreinterpretq_u16_s32(numbers.first.data);
    const uint16x8_t second = vreinterpretq_u16_s32(numbers.second.data);
    const uint8x16_t cell = vshrn_high_n_u16(vshrn_n_u16(first, Shift), second, Shift);
    const uint8x16_t place =
        vandq_u8(vuzp1q_u8(vreinterpretq_u8_u16(first), vreinterpretq_u8_u16(second)),
                 vdupq_n_u8((1 << Shift) - 1));
    const uint8x16_t above = vcgtq_u8(place, folding::bytes_at<N>(cells.border, cell));
    const uint8x16_t rise = vandq_u8(above, folding::bytes_at<N>(cells.rise, cell));
    const int8x16_t entry =
        vreinterpretq_s8_u8(vaddq_u8(folding::bytes_at<N>(cells.below, cell), rise));
    return {of_halves(vmovl_s8(vget_low_s8(entry))), of_halves(vmovl_high_s8(entry))};
}

#else

inline constexpr bool has_cell_lookup = false;

template <std::size_t N, int Shift>
QUANT_DETAIL_INLINE native_pair native_lookup_cells(const cell_bytes&,
                                                    const native_pair& numbers) noexcept {
    return numbers;
}

#endif

/// below[cell] + (place > border[cell] ? rise[cell] : 0) for each half, which is 2^Shift·cell +
/// place with cell < N and place < 2^Shift; all sums fit signed bytes.
template <std::size_t N, int Shift>
QUANT_DETAIL_INLINE i32x16 lookup_cells(const cell_bytes& cells, const i32x16& numbers) noexcept {
    static_assert(N <= 128 && Shift >= 1 && Shift <= 7);
    i32x16 found;
    detail::unroll<i32x16::count / 2>([&](auto i) QUANT_DETAIL_LAMBDA {
        const native_pair pair =
            native_lookup_cells<N, Shift>(cells, {numbers.r[2 * i], numbers.r[2 * i + 1]});
        found.r[2 * i] = pair.first;
        found.r[2 * i + 1] = pair.second;
    });
    return found;
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
