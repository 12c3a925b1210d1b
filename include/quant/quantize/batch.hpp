// Rows in batches of up to sixteen groups: measure, fit, encode; decode.
//
// A group's range is reduced and its scale computed in one lane of vectors that hold sixteen
// groups, since a division, a conversion or a horizontal minimum costs as much for one as for all.
#pragma once

#include <quant/quantize/group.hpp>
#include <quant/simd/reduce.hpp>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Groups of a batch, fewer if they are long: their weights shall still lie in L1 when they are
/// encoded.
template <quantization_scheme S>
inline constexpr std::size_t batch_groups =
    S::group_cols == all ? 1 : std::clamp<std::size_t>(4096 / S::group_cols, 1, 16);

/// f(first group, groups, first column, columns) for each batch of a row.
template <quantization_scheme S, class F>
QUANT_DETAIL_INLINE void for_each_batch(std::size_t cols, F&& f) {
    if constexpr (S::group_cols == all) {
        f(std::size_t{0}, std::size_t{1}, std::size_t{0}, cols);
    } else {
        constexpr std::size_t size = batch_groups<S> * S::group_cols;
        std::size_t g = 0;
        for (std::size_t c = 0; c < cols; c += size, g += batch_groups<S>) {
            const std::size_t n = std::min(size, cols - c);
            f(g, div_ceil(n, S::group_cols), c, n);
        }
    }
}

/// Columns of a batch with all its groups, all of them whole; 0 where that is known only at run
/// time.
template <quantization_scheme S>
inline constexpr std::size_t batch_cols =
    S::group_cols == all ? 0 : batch_groups<S> * S::group_cols;

/// f(vector) for each sixteen of n weights; the last one is filled up with `fill`.
template <class F>
QUANT_DETAIL_INLINE void for_each_sixteen(const float* w, std::size_t n, float fill, F&& f) {
    std::size_t i = 0;
    for (; i + 16 <= n; i += 16) f(simd::load<float>(w + i));
    if (i < n) f(simd::load_partial(w + i, n - i, fill));
}

/// f(group, first column, columns) for each group of a batch of n columns; straight code if the
/// batch is whole and its sixteen results fit into registers.
template <quantization_scheme S, bool Whole, class F>
QUANT_DETAIL_INLINE void for_each_group_of_batch(std::size_t n, F&& f) {
    if constexpr (Whole && isa::current::vector_bytes == 64 && S::group_cols <= 64) {
        unroll<batch_groups<S>>([&](auto g) QUANT_DETAIL_LAMBDA {
            f(g, std::size_t{g * S::group_cols}, S::group_cols);
        });
    } else {
        const std::size_t size = S::group_size(n);
        std::size_t g = 0;
        for (std::size_t c = 0; c < n; c += size, ++g) f(g, c, std::min(size, n - c));
    }
}

/// Magnitudes as unsigned integers, the sign in the lowest bit: the greatest is the extreme, the
/// negative one of two, and NaN and infinity are greater than all numbers.
QUANT_DETAIL_INLINE simd::i32x16 magnitude_key(const simd::f32x16& w) noexcept {
    return simd::rotate_left_1(simd::float_to_bits(w));
}

/// The greatest keys of n weights, 16 of them.
QUANT_DETAIL_INLINE simd::i32x16 greatest_key(const float* w, std::size_t n) noexcept {
    if (n == 32) { // so common that it shall be straight code
        return simd::max_unsigned(magnitude_key(simd::load<float>(w)),
                                  magnitude_key(simd::load<float>(w + 16)));
    }
    auto key = simd::broadcast<std::int32_t>(0);
    for_each_sixteen(w, n, 0.0f, [&](const simd::f32x16& v) QUANT_DETAIL_LAMBDA {
        key = simd::max_unsigned(key, magnitude_key(v));
    });
    return key;
}

/// What folds two registers of partial results into one.
struct keep_greatest_key {
    template <class T>
    QUANT_DETAIL_INLINE T operator()(T a, T b) const noexcept {
        return simd::native_max_unsigned(a, b);
    }
};
struct keep_lowest {
    template <class T>
    QUANT_DETAIL_INLINE T operator()(T a, T b) const noexcept {
        return simd::native_min(a, b);
    }
};
struct keep_highest {
    template <class T>
    QUANT_DETAIL_INLINE T operator()(T a, T b) const noexcept {
        return simd::native_max(a, b);
    }
};

/// simd::reduce_each, of which one copy serves all schemes: compilers take long over it.
template <class Op, class T>
[[nodiscard]] QUANT_DETAIL_OUTLINE simd::lanes<T>
reduce_each_from_memory(const simd::lanes<T> (&v)[16]) noexcept {
    return simd::reduce_each(v, Op{});
}
template <class Op, class T>
[[nodiscard]] QUANT_DETAIL_INLINE simd::lanes<T>
reduce_groups(const simd::lanes<T> (&v)[16]) noexcept {
    if constexpr (isa::current::vector_bytes == 64) {
        return simd::reduce_each(v, Op{}); // registers hold all sixteen
    } else {
        return reduce_each_from_memory<Op>(v);
    }
}

/// Extents of the groups of a batch of n columns; lanes without a group have zeros.
template <quantization_scheme S, bool Whole>
QUANT_DETAIL_INLINE group_extents measure(const float* w, std::size_t n) noexcept {
    group_extents extents;
    if constexpr (needs_extreme<S>) {
        simd::i32x16 keys[16];
        if constexpr (!Whole || batch_groups<S> < 16) {
            for (auto& key : keys) key = simd::broadcast<std::int32_t>(0);
        }
        for_each_group_of_batch<S, Whole>(
            n, [&](std::size_t g, std::size_t c, std::size_t count)
                   QUANT_DETAIL_LAMBDA { keys[g] = greatest_key(w + c, count); });
        const auto greatest = reduce_groups<keep_greatest_key>(keys);
        extents.extreme = simd::bits_to_float(simd::rotate_right_1(greatest));
        extents.finite = all_finite(extents.extreme);
    } else {
        simd::f32x16 lowest[16], highest[16];
        if constexpr (!Whole || batch_groups<S> < 16) {
            for (auto& v : lowest) v = simd::broadcast(0.0f);
            for (auto& v : highest) v = simd::broadcast(0.0f);
        }
        // A sum is finite only if all its terms are. One that overflows is a false alarm, which the
        // caller clears up.
        auto sum = simd::broadcast(0.0f);
        for_each_group_of_batch<S, Whole>(
            n, [&](std::size_t g, std::size_t c, std::size_t count) QUANT_DETAIL_LAMBDA {
                auto low = count < 16 ? simd::load_partial(w + c, count, load_element(w + c))
                                      : simd::load<float>(w + c);
                auto high = low;
                sum = sum + low;
                if (count > 16) {
                    for_each_sixteen(w + c + 16, count - 16, load_element(w + c),
                                     [&](const simd::f32x16& v) QUANT_DETAIL_LAMBDA {
                                         low = simd::min(low, v);
                                         high = simd::max(high, v);
                                         sum = sum + v;
                                     });
                }
                lowest[g] = low;
                highest[g] = high;
            });
        extents.lowest = reduce_groups<keep_lowest>(lowest);
        extents.highest = reduce_groups<keep_highest>(highest);
        extents.finite = all_finite(sum);
    }
    return extents;
}

/// Codes of n weights; their sixteen number j from column i, a multiple of 64, belongs to group
/// group_at(i, j).
template <quantization_scheme S, class GroupAt>
QUANT_DETAIL_INLINE void encode_sixteens(const float* w, std::size_t n, const group_grids& grids,
                                         std::uint8_t* codes, GroupAt group_at) noexcept {
    std::size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        simd::i32x16 line[4];
        unroll<4>([&](auto j) QUANT_DETAIL_LAMBDA {
            line[j] = encode<S>(simd::load<float>(w + i + 16 * j), grids, group_at(i, j));
        });
        simd::store_clamped<first_level<S>, first_level<S> + S::max_code>(codes + i, line);
    }
    for (std::size_t j = 0; i < n; i += 16, ++j) {
        const std::size_t count = std::min<std::size_t>(16, n - i);
        const auto weights =
            count == 16 ? simd::load<float>(w + i) : simd::load_partial(w + i, count, 0.0f);
        const auto first = simd::broadcast<std::int32_t>(first_level<S>);
        const auto code =
            simd::min(simd::max(encode<S>(weights, grids, group_at(i - 16 * j, j)) - first,
                                simd::broadcast<std::int32_t>(0)),
                      simd::broadcast<std::int32_t>(S::max_code));
        if (count == 16) {
            simd::store_u8(codes + i, code);
        } else {
            std::uint8_t last[16];
            simd::store_u8(last, code);
            std::memcpy(codes + i, last, count);
        }
    }
}

/// Weights of n codes, likewise, as T at any address.
template <quantization_scheme S, class T, class Grids, class GroupAt>
QUANT_DETAIL_INLINE void decode_sixteens(const std::uint8_t* codes, std::size_t n,
                                         const Grids& grids, T* w, GroupAt group_at) noexcept {
    const auto decoded =
        [&](const std::uint8_t* from, std::size_t i, std::size_t j)
            QUANT_DETAIL_LAMBDA { return decode<S>(simd::load_u8(from), grids, group_at(i, j)); };
    std::size_t i = 0, j = 0;
    for (; i + 64 <= n; i += 64) {
        unroll<4>([&](auto k) QUANT_DETAIL_LAMBDA {
            simd::store_from_float<T>(w + i + 16 * k, decoded(codes + i + 16 * k, i, k));
        });
    }
    for (; i + 16 * j + 16 <= n; ++j) {
        const std::size_t at = i + 16 * j;
        simd::store_from_float<T>(w + at, decoded(codes + at, i, j));
    }
    const std::size_t at = i + 16 * j;
    if (at < n) {
        std::uint8_t last[16] = {};
        std::memcpy(last, codes + at, n - at);
        simd::store_from_float<T>(w + at, decoded(last, i, j), n - at);
    }
}

/// The group of columns i + 16·j … i + 16·j + 15 where groups have a multiple of 16 columns; i is a
/// multiple of 64.
template <quantization_scheme S>
QUANT_DETAIL_INLINE constexpr std::size_t group_of_sixteen(std::size_t i, std::size_t j) noexcept {
    if constexpr (64 % S::group_cols == 0) {
        return i / S::group_cols + 16 * j / S::group_cols; // mostly constant where j is
    } else {
        return (i + 16 * j) / S::group_cols;
    }
}

/// Calls f(first column, columns, group_at) once if no sixteen of a batch of n columns straddles
/// groups, else for each of its groups.
template <quantization_scheme S, class F>
QUANT_DETAIL_INLINE void for_each_run(std::size_t n, F&& f) {
    if constexpr (S::group_cols == all) {
        f(std::size_t{0}, n, [](std::size_t, std::size_t) { return std::size_t{0}; });
    } else if constexpr (S::group_cols % 16 == 0) {
        f(std::size_t{0}, n, [](std::size_t i, std::size_t j) QUANT_DETAIL_LAMBDA {
            return group_of_sixteen<S>(i, j);
        });
    } else {
        std::size_t g = 0;
        for (std::size_t c = 0; c < n; c += S::group_cols, ++g) {
            f(c, std::min(S::group_cols, n - c), [g](std::size_t, std::size_t) { return g; });
        }
    }
}

/// Codes of a batch of n columns. Not inlined: one copy serves all who encode.
template <quantization_scheme S>
QUANT_DETAIL_OUTLINE void encode_batch(const float* w, std::size_t n, const group_grids& grids,
                                       std::uint8_t* codes) noexcept {
    if constexpr (encodes_pairs<S>) {
        encode_sixteens<S>(w, n, grids, codes,
                           [](std::size_t i, std::size_t j)
                               QUANT_DETAIL_LAMBDA { return group_pair{(i + 16 * j) / 8}; });
    } else {
        for_each_run<S>(n,
                        [&](std::size_t c, std::size_t count, auto group_at) QUANT_DETAIL_LAMBDA {
                            encode_sixteens<S>(w + c, count, grids, codes + c, group_at);
                        });
    }
}

/// Fits the groups of a batch: stores their scales and offsets, sets the grids that encode them.
/// False if a weight is not finite or a scale does not fit, or, rarely, without a reason.
template <quantization_scheme S, bool Whole>
QUANT_DETAIL_INLINE bool fit_batch(const float* w, std::size_t n, std::size_t groups,
                                   typename S::scale_type* scales, typename S::offset_type* offsets,
                                   group_grids& grids) noexcept {
    const group_extents extents = measure<S, Whole>(w, n);
    const auto stored = fit_min_max<S>(extents);
    stored.store(scales, offsets, groups);
    grids.set(stored, inverse_of(stored.scale));
    return extents.finite && stored.fit;
}

/// Scales, offsets and codes of a row. False if a weight is not finite or a scale does not fit, or,
/// rarely, without a reason.
template <quantization_scheme S>
[[nodiscard]] QUANT_DETAIL_OUTLINE bool
quantize_batches(const float* w, std::size_t cols, typename S::scale_type* scales,
                 typename S::offset_type* offsets, std::uint8_t* codes) noexcept {
    const auto offset_at = [&](std::size_t g) { return S::has_offset ? offsets + g : nullptr; };
    constexpr std::size_t whole = batch_cols<S>;
    std::size_t c = 0, g = 0;
    bool valid = true;
    if constexpr (whole != 0) {
        // A batch is fitted before its predecessor is encoded: the one is all waiting for
        // results, the other is all work.
        group_grids grids[2];
        for (; c + whole <= cols; c += whole, g += batch_groups<S>) {
            const std::size_t now = c / whole % 2;
            valid &= fit_batch<S, true>(w + c, whole, batch_groups<S>, scales + g, offset_at(g),
                                        grids[now]);
            if (c > 0) encode_batch<S>(w + c - whole, whole, grids[1 - now], codes + c - whole);
        }
        if (c > 0) {
            encode_batch<S>(w + c - whole, whole, grids[(c / whole - 1) % 2], codes + c - whole);
        }
    }
    if (c < cols) {
        group_grids grids;
        valid &= fit_batch<S, false>(w + c, cols - c, S::groups_per_row(cols) - g, scales + g,
                                     offset_at(g), grids);
        encode_batch<S>(w + c, cols - c, grids, codes + c);
    }
    return valid;
}

/// Weights of a batch of n columns, as T at any address.
template <quantization_scheme S, class T, class Grids>
QUANT_DETAIL_INLINE void decode_batch(const std::uint8_t* codes, std::size_t n, const Grids& grids,
                                      T* w) noexcept {
    for_each_run<S>(n, [&](std::size_t c, std::size_t count, auto group_at) QUANT_DETAIL_LAMBDA {
        decode_sixteens<S, T>(codes + c, count, grids, w + c, group_at);
    });
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
