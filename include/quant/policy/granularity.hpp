// Granularity axis: which weights share a scale.
#pragma once

#include <quant/core/config.hpp>

#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_VOCABULARY {

/// Stands for "all rows" or "all columns" in a granularity.
inline constexpr std::size_t all = 0;

/// R consecutive rows × C consecutive columns share a scale; the last block of a row or column
/// may be short.
template <std::size_t R, std::size_t C>
struct block_wise {
    static_assert(1 <= R && R <= UINT32_MAX && 1 <= C && C <= UINT32_MAX,
                  "quant: a block has 1 to 2^32 - 1 rows and columns");
    static constexpr std::size_t rows = R;
    static constexpr std::size_t cols = C;
};

/// N consecutive weights of a row share a scale; a row's last group may be short.
template <std::size_t N>
struct group_wise {
    static_assert(1 <= N && N <= UINT32_MAX, "quant: a group has 1 to 2^32 - 1 weights");
    static constexpr std::size_t rows = 1;
    static constexpr std::size_t cols = N;
};

/// One scale per row (output feature).
struct per_channel {
    static constexpr std::size_t rows = 1;
    static constexpr std::size_t cols = all;
};

/// One scale for the whole matrix.
struct per_tensor {
    static constexpr std::size_t rows = all;
    static constexpr std::size_t cols = all;
};

template <class T>
inline constexpr bool is_granularity = false;
template <std::size_t R, std::size_t C>
inline constexpr bool is_granularity<block_wise<R, C>> = true;
template <std::size_t N>
inline constexpr bool is_granularity<group_wise<N>> = true;
template <>
inline constexpr bool is_granularity<per_channel> = true;
template <>
inline constexpr bool is_granularity<per_tensor> = true;

/// A choice on the granularity axis.
template <class T>
concept granularity = is_granularity<T>;

} // namespace quant::inline QUANT_VOCABULARY
