// reduce_each: sixteen vectors, each reduced to one number, in the lanes of one vector.
//
// A tree: each step folds two vectors of partial results into one that holds both, at the price of
// two shuffles; fifteen steps in all instead of four for each vector.
#pragma once

#include <quant/simd/shuffle.hpp>

namespace quant::inline QUANT_ABI {
namespace simd {
namespace folding {

#if !QUANT_DETAIL_SCALAR

/// op of the two shuffles of x and y, which hold either's lower and upper partial results.
template <class T, class Op>
QUANT_DETAIL_INLINE native<T> fold_pairs(native<T> x, native<T> y, Op op) noexcept {
    const auto a = as_float_bits(x), b = as_float_bits(y);
    return op(from_float_bits<T>(low_pairs(a, b)), from_float_bits<T>(high_pairs(a, b)));
}
template <class T, class Op>
QUANT_DETAIL_INLINE native<T> fold_lanes(native<T> x, native<T> y, Op op) noexcept {
    const auto a = as_float_bits(x), b = as_float_bits(y);
    return op(from_float_bits<T>(even_lanes(a, b)), from_float_bits<T>(odd_lanes(a, b)));
}
#if defined(__AVX__)
template <class T, class Op>
QUANT_DETAIL_INLINE native<T> fold_quarters(native<T> x, native<T> y, Op op) noexcept {
    const auto a = as_float_bits(x), b = as_float_bits(y);
    return op(from_float_bits<T>(even_quarters(a, b)), from_float_bits<T>(odd_quarters(a, b)));
}
#endif
#if defined(__AVX512BW__)
template <class T, class Op>
QUANT_DETAIL_INLINE native<T> fold_halves(native<T> x, native<T> y, Op op) noexcept {
    const auto a = as_float_bits(x), b = as_float_bits(y);
    return op(from_float_bits<T>(low_halves(a, b)), from_float_bits<T>(high_halves(a, b)));
}
#endif

/// Vector i, or those that stand for it and its neighbours, with one quarter of partial results
/// for each: i in quarter 0, i + 4 in quarter 1 and so on.
template <class T, class Op>
QUANT_DETAIL_INLINE native<T> quarters(const lanes<T> (&v)[16], std::size_t i, Op op) noexcept {
#if defined(__AVX512BW__)
    return fold_quarters<T>(fold_halves<T>(v[i].r[0], v[i + 4].r[0], op),
                            fold_halves<T>(v[i + 8].r[0], v[i + 12].r[0], op), op);
#elif defined(__AVX__)
    return fold_quarters<T>(op(v[i].r[0], v[i].r[1]), op(v[i + 4].r[0], v[i + 4].r[1]), op);
#else
    return op(op(v[i].r[0], v[i].r[2]), op(v[i].r[1], v[i].r[3]));
#endif
}

#endif

} // namespace folding

/// Lane i: all lanes of v[i] combined by op, a commutative function of two registers: lanes 8
/// apart, then 4, 2 and 1, on every instruction set.
template <class T, class Op>
QUANT_DETAIL_INLINE lanes<T> reduce_each(const lanes<T> (&v)[16], Op op) noexcept {
    lanes<T> made;
#if QUANT_DETAIL_SCALAR
    native<T> folded[16];
    for (std::size_t j = 0; j < 16; ++j) {
        folded[j] = native_each<T>([&](std::size_t i) { return v[i].r[0].v[j]; });
    }
    for (std::size_t apart = 8; apart > 0; apart /= 2) {
        for (std::size_t j = 0; j < apart; ++j) folded[j] = op(folded[j], folded[j + apart]);
    }
    made.r[0] = folded[0];
#else
    detail::unroll<lanes<T>::count>([&](auto k) QUANT_DETAIL_LAMBDA {
        constexpr std::size_t first = k * native_size<T>;
        const auto part = [&](std::size_t i) QUANT_DETAIL_LAMBDA {
            return folding::quarters<T>(v, first + i, op);
        };
        made.r[k] = folding::fold_lanes<T>(folding::fold_pairs<T>(part(0), part(1), op),
                                           folding::fold_pairs<T>(part(2), part(3), op), op);
    });
#endif
    return made;
}

/// Σ of the lanes: those 8, 4, 2 and 1 apart in turn.
[[nodiscard]] QUANT_DETAIL_INLINE float sum_of_lanes(const f32x16& value) noexcept {
    float lane[16];
    store(lane, value);
    for (const std::size_t apart : {8u, 4u, 2u, 1u}) {
        for (std::size_t i = 0; i < apart; ++i) lane[i] += lane[i + apart];
    }
    return lane[0];
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
