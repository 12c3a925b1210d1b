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

/// For weights w: f(w's vector) for each sixteen of n; the last one is filled up with `fill`.
template <class F>
QUANT_DETAIL_INLINE void for_each_sixteen(const float* w, std::size_t n, float fill, F&& f) {
    std::size_t i = 0;
    for (; i + 16 <= n; i += 16) f(simd::load<float>(w + i));
    if (i < n) f(simd::load_partial(w + i, n - i, fill));
}

/// Magnitudes as unsigned integers, the sign in the lowest bit: the greatest is the extreme, the
/// negative one of two, and NaN and infinity are greater than all numbers.
QUANT_DETAIL_INLINE simd::i32x16 magnitude_key(const simd::f32x16& w) noexcept {
    return simd::rotate_left_1(simd::float_to_bits(w));
}

/// Extents of the groups of a batch of n columns; lanes without a group have zeros.
template <quantization_scheme S>
QUANT_DETAIL_INLINE group_extents measure(const float* w, std::size_t n) noexcept {
    const std::size_t size = S::group_size(n);
    group_extents extents;
    if constexpr (needs_extreme<S>) {
        simd::i32x16 keys[16];
        for (auto& key : keys) key = simd::broadcast<std::int32_t>(0);
        std::size_t g = 0;
        for (std::size_t c = 0; c < n; c += size, ++g) {
            auto key = simd::broadcast<std::int32_t>(0);
            for_each_sixteen(w + c, std::min(size, n - c), 0.0f,
                             [&](const simd::f32x16& v) QUANT_DETAIL_LAMBDA {
                                 key = simd::max_unsigned(key, magnitude_key(v));
                             });
            keys[g] = key;
        }
        const auto greatest = simd::reduce_each(
            keys,
            [](auto a, auto b) QUANT_DETAIL_LAMBDA { return simd::native_max_unsigned(a, b); });
        extents.extreme = simd::bits_to_float(simd::rotate_right_1(greatest));
        extents.finite = all_finite(extents.extreme);
    } else {
        simd::f32x16 lowest[16], highest[16];
        for (auto& v : lowest) v = simd::broadcast(0.0f);
        for (auto& v : highest) v = simd::broadcast(0.0f);
        auto largest = simd::broadcast<std::int32_t>(0);
        std::size_t g = 0;
        for (std::size_t c = 0; c < n; c += size, ++g) {
            const float first = load_element(w + c);
            auto low = simd::broadcast(first), high = low;
            for_each_sixteen(w + c, std::min(size, n - c), first,
                             [&](const simd::f32x16& v) QUANT_DETAIL_LAMBDA {
                                 low = simd::min(low, v);
                                 high = simd::max(high, v);
                                 largest = simd::max(largest, simd::float_to_bits(simd::abs(v)));
                             });
            lowest[g] = low;
            highest[g] = high;
        }
        extents.lowest = simd::reduce_each(
            lowest, [](auto a, auto b) QUANT_DETAIL_LAMBDA { return simd::native_min(a, b); });
        extents.highest = simd::reduce_each(
            highest, [](auto a, auto b) QUANT_DETAIL_LAMBDA { return simd::native_max(a, b); });
        extents.finite = all_finite(simd::bits_to_float(largest));
    }
    return extents;
}

/// Codes of n weights whose sixteens belong to groups group_at(0), group_at(16) ….
template <quantization_scheme S, class GroupAt>
QUANT_DETAIL_INLINE void encode_sixteens(const float* w, std::size_t n, const group_grids& grids,
                                         std::uint8_t* codes, GroupAt group_at) noexcept {
    std::size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        simd::i32x16 line[4];
        unroll<4>([&](auto j) QUANT_DETAIL_LAMBDA {
            const std::size_t at = i + 16 * j;
            line[j] = encode<S>(simd::load<float>(w + at), grids, group_at(at));
        });
        simd::store_clamped<S::max_code>(codes + i, line);
    }
    for (; i < n; i += 16) {
        const std::size_t count = std::min<std::size_t>(16, n - i);
        const auto weights =
            count == 16 ? simd::load<float>(w + i) : simd::load_partial(w + i, count, 0.0f);
        const auto code = simd::min(simd::max(encode<S>(weights, grids, group_at(i)),
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
    const auto decoded = [&](std::size_t at) QUANT_DETAIL_LAMBDA {
        return decode<S>(simd::load_u8(codes + at), grids, group_at(at));
    };
    std::size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        unroll<4>([&](auto j) QUANT_DETAIL_LAMBDA {
            simd::store_from_float<T>(w + i + 16 * j, decoded(i + 16 * j));
        });
    }
    for (; i + 16 <= n; i += 16) simd::store_from_float<T>(w + i, decoded(i));
    if (i < n) {
        std::uint8_t last[16] = {};
        std::memcpy(last, codes + i, n - i);
        simd::store_from_float<T>(w + i, decode<S>(simd::load_u8(last), grids, group_at(i)), n - i);
    }
}

/// Calls f(first column, columns, group_at) once if no sixteen of a batch of n columns straddles
/// groups, else for each of its groups.
template <quantization_scheme S, class F>
QUANT_DETAIL_INLINE void for_each_run(std::size_t n, F&& f) {
    if constexpr (S::group_cols == all) {
        f(std::size_t{0}, n, [](std::size_t) { return std::size_t{0}; });
    } else if constexpr (S::group_cols % 16 == 0) {
        f(std::size_t{0}, n, [](std::size_t i) { return i / S::group_cols; });
    } else {
        std::size_t g = 0;
        for (std::size_t c = 0; c < n; c += S::group_cols, ++g) {
            f(c, std::min(S::group_cols, n - c), [g](std::size_t) { return g; });
        }
    }
}

/// Codes of a batch of n columns.
template <quantization_scheme S>
QUANT_DETAIL_INLINE void encode_batch(const float* w, std::size_t n,
                                      const stored_groups<S>& stored,
                                      std::uint8_t* codes) noexcept {
    group_grids grids;
    grids.set(stored, inverse_of(stored.scale));
    for_each_run<S>(n, [&](std::size_t c, std::size_t count, auto group_at) QUANT_DETAIL_LAMBDA {
        encode_sixteens<S>(w + c, count, grids, codes + c, group_at);
    });
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
