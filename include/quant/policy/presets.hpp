// Formats that people know, as compositions, and the best that this library has found for each
// budget of bits.
#pragma once

#include <quant/policy/scheme.hpp>

#include <array>
#include <cstdint>

namespace quant::inline QUANT_VOCABULARY {
namespace presets {

// GGUF's, by its names: the same numbers of levels, groups and scales, so that what a file holds is
// the same real numbers here (docs/formats.md).
using q4_0 = scheme<int4, symmetric, group_wise<32>, fp16>;
using q4_1 = scheme<int4, asymmetric_min, group_wise<32>, fp16>;
using q5_0 = scheme<int5, symmetric, group_wise<32>, fp16>;
using q5_1 = scheme<int5, asymmetric_min, group_wise<32>, fp16>;
using q8_0 = scheme<int8, symmetric, group_wise<32>, fp16>;
using q2_k = scheme<int2, asymmetric_min, group_wise<16>, two_level<unsigned_scale<4>, fp16, 16>>;
using q3_k = scheme<int3, symmetric, group_wise<16>, two_level<signed_scale<6>, fp16, 16>>;
using q4_k = scheme<int4, asymmetric_min, group_wise<32>, two_level<unsigned_scale<6>, fp16, 8>>;
using q5_k = scheme<int5, asymmetric_min, group_wise<32>, two_level<unsigned_scale<6>, fp16, 8>>;
using q6_k = scheme<int6, symmetric, group_wise<16>, two_level<signed_scale<8>, fp16, 16>>;

/// The table of IQ4_NL and IQ4_XS.
struct iq4_levels {
    static constexpr std::array<std::int8_t, 16> levels{-127, -104, -83, -65, -49, -35, -22, -10,
                                                        1,    13,   25,  38,  53,  69,  89,  113};
};
using iq4_nl = scheme<codebook<iq4_levels>, symmetric, group_wise<32>, fp16>;
using iq4_xs =
    scheme<codebook<iq4_levels>, symmetric, group_wise<32>, two_level<signed_scale<6>, fp16, 8>>;

/// TQ1_0 and TQ2_0 differ in how they pack.
using tq2_0 = scheme<ternary, symmetric, group_wise<256>, fp16>;
using q1_0 = scheme<binary, midrise, group_wise<128>, fp16>;
struct q2_0_levels {
    static constexpr std::array<std::int8_t, 4> levels{-1, 0, 1, 2};
};
using q2_0 = scheme<codebook<q2_0_levels>, symmetric, group_wise<64>, fp16>;

// The coordinates of IQ1 … IQ3, whose vectors GGUF takes from codebooks, are few numbers; here each
// has a code of its own. Fractions (d/8, d/4) are taken into the super-scale, where float has room.
/// IQ1_S and IQ1_M: eight times −1, 0, 1 ± ⅛.
struct iq1_levels {
    static constexpr std::array<std::int8_t, 6> levels{-9, -7, -1, 1, 7, 9};
};
using iq1_s =
    scheme<codebook<iq1_levels>, symmetric, group_wise<32>, two_level<unsigned_scale<4>, float, 8>>;
using iq1_m = scheme<codebook<iq1_levels>, symmetric, group_wise<16>,
                     two_level<unsigned_scale<4>, float, 16>>;
struct iq2_levels {
    static constexpr std::array<std::int8_t, 6> levels{-43, -25, -8, 8, 25, 43};
};
using iq2_xxs =
    scheme<codebook<iq2_levels>, symmetric, group_wise<32>, two_level<unsigned_scale<5>, float, 8>>;
/// IQ2_XS and IQ2_S differ in their codebooks of vectors.
using iq2_s = scheme<codebook<iq2_levels>, symmetric, group_wise<16>,
                     two_level<unsigned_scale<5>, float, 16>>;
struct iq3_levels {
    static constexpr std::array<std::int8_t, 16> levels{-62, -52, -44, -36, -28, -20, -12, -4,
                                                        4,   12,  20,  28,  36,  44,  52,  62};
};
using iq3_xxs =
    scheme<codebook<iq3_levels>, symmetric, group_wise<32>, two_level<unsigned_scale<5>, float, 8>>;
using iq3_s = scheme<int4, midrise, group_wise<32>, two_level<unsigned_scale<5>, fp16, 8>>;

// OCP Microscaling Formats 1.0: 32 numbers under a power of two. MXINT8's fixed factor of 2^−6 is
// part of its scale here.
using mxfp4 = scheme<fp4, symmetric, group_wise<32>, e8m0>;
using mxfp6_e2m3 = scheme<fp6_e2m3, symmetric, group_wise<32>, e8m0>;
using mxfp6_e3m2 = scheme<fp6_e3m2, symmetric, group_wise<32>, e8m0>;
using mxfp8_e4m3 = scheme<fp8_e4m3, symmetric, group_wise<32>, e8m0>;
using mxfp8_e5m2 = scheme<fp8_e5m2, symmetric, group_wise<32>, e8m0>;
using mxint8 = scheme<int8, symmetric, group_wise<32>, e8m0>;

/// NVFP4 without its tensor's factor: an epilogue::scale, or divided out of the weights before.
using nvfp4 = scheme<fp4, symmetric, group_wise<16>, fp8_e4m3>;

/// NF4 in blocks of 64, and with scales that are quantized themselves.
using nf4_64 = scheme<nf4, symmetric, group_wise<64>, float>;
using nf4_double = scheme<nf4, symmetric, group_wise<64>, two_level<unsigned_scale<8>, fp16, 64>>;

/// BitNet b1.58: one scale for all weights.
using bitnet = scheme<ternary, symmetric, per_tensor, float>;

/// Pairs of tables, one per number of bits, for formats in which each group chooses the table and,
/// by its scale's sign, which way round it lies: four grids of unequal steps, none of which is
/// another's mirror. Found by Lloyd's algorithm over normal and Student-t(4) numbers with the
/// encoder of quantize/search_two_level.hpp in the loop.
namespace tables {

struct a2 {
    static constexpr std::array<std::int8_t, 4> levels{-72, -14, 30, 97};
};
struct b2 {
    static constexpr std::array<std::int8_t, 4> levels{-45, 2, 50, 127};
};
struct a3 {
    static constexpr std::array<std::int8_t, 8> levels{-101, -61, -34, -13, 5, 25, 50, 84};
};
struct b3 {
    static constexpr std::array<std::int8_t, 8> levels{-70, -37, -15, 2, 20, 43, 74, 127};
};
struct a4 {
    static constexpr std::array<std::int8_t, 16> levels{-123, -88, -69, -55, -43, -32, -22, -14,
                                                        -5,   2,   11,  20,  31,  44,  60,  83};
};
struct b4 {
    static constexpr std::array<std::int8_t, 16> levels{-109, -86, -69, -53, -39, -26, -14, -2,
                                                        10,   23,  37,  50,  65,  82,  103, 127};
};
struct a5 {
    static constexpr std::array<std::int8_t, 32> levels{
        -123, -113, -96, -86, -77, -68, -60, -53, -46, -40, -34, -28, -23, -18, -14, -9,
        -5,   0,    4,   9,   14,  20,  26,  32,  39,  46,  54,  62,  71,  81,  92,  108};
};
struct b5 {
    static constexpr std::array<std::int8_t, 32> levels{
        -127, -114, -98, -88, -79, -69, -61, -53, -46, -40, -34, -28, -22, -17, -12, -7,
        -3,   2,    7,   12,  17,  23,  29,  36,  43,  50,  59,  67,  77,  88,  102, 115};
};
struct a6 {
    static constexpr std::array<std::int8_t, 64> levels{
        -92, -88, -83, -79, -74, -70, -66, -62, -58, -54, -50, -47, -43, -40, -36, -33,
        -30, -26, -23, -20, -17, -14, -11, -8,  -5,  -2,  1,   4,   7,   10,  13,  16,
        19,  21,  24,  27,  30,  33,  36,  39,  42,  45,  48,  51,  54,  57,  61,  64,
        67,  71,  74,  77,  81,  85,  89,  93,  97,  101, 105, 109, 113, 118, 123, 127};
};
struct b6 {
    static constexpr std::array<std::int8_t, 64> levels{
        -125, -121, -112, -105, -99, -93, -89, -82, -78, -73, -68, -64, -60, -56, -52, -48,
        -45,  -42,  -39,  -36,  -33, -30, -27, -24, -22, -19, -17, -14, -12, -9,  -7,  -5,
        -3,   -1,   2,    4,    6,   9,   11,  14,  16,  19,  22,  25,  28,  31,  34,  37,
        40,   44,   48,   52,   56,  60,  65,  70,  75,  80,  86,  91,  98,  104, 112, 117};
};

} // namespace tables

/// Two tables of levels, groups of N columns with a scale of K bits under one fp16 number for 512
/// columns: bits of the code + (K + 1) / N + 1/32 per weight.
template <class First, class Second, std::size_t N, int K>
using two_tables = scheme<codebook<First, Second>, symmetric, group_wise<N>,
                          two_level<signed_scale<K>, fp16, 512 / N>>;

// The least error found for a budget, named after it: best_4_5 is for 4.5 bits per weight.
using best_2_4 = two_tables<tables::a2, tables::b2, 16, 4>; ///< 2.344 bits per weight
using best_2_7 = two_tables<tables::a2, tables::b2, 8, 4>;  ///< 2.656; groups padded to 16 in use
using best_3_2 = two_tables<tables::a3, tables::b3, 32, 4>; ///< 3.188
using best_3_4 = two_tables<tables::a3, tables::b3, 16, 5>; ///< 3.406
using best_4_3 = two_tables<tables::a4, tables::b4, 32, 6>; ///< 4.250
using best_4_5 = two_tables<tables::a4, tables::b4, 16, 6>; ///< 4.469
using best_5_3 = two_tables<tables::a5, tables::b5, 32, 6>; ///< 5.250
using best_5_5 = two_tables<tables::a5, tables::b5, 16, 6>; ///< 5.469
using best_6_5 = two_tables<tables::a6, tables::b6, 16, 7>; ///< 6.531
using best_8_5 =
    scheme<int8, symmetric, group_wise<16>, two_level<signed_scale<7>, fp16, 32>>; ///< 8.469

} // namespace presets
} // namespace quant::inline QUANT_VOCABULARY
