// look_ahead: the next block of panels, fetched while all tokens pass the present one.
//
// Weights come from memory once per product. Processors fetch ahead by themselves, but not far: a
// block's first tile would wait for them, and few tokens would now wait, now decode. So tiles ask
// for their share of the next block, but for those that look_ahead_requests names. One token, which
// reads a panel after the other from front to back, asks for what lies some way ahead, if the CPU
// gains by that (simd::asks_within_panels).
#pragma once

#include <quant/core/checked.hpp>
#include <quant/core/unroll.hpp>
#include <quant/pack/packed_matrix.hpp>
#include <quant/simd/lanes.hpp>

#include <algorithm>
#include <cstddef>

namespace quant::inline QUANT_ABI {
namespace detail {

inline constexpr std::size_t cache_line = 64;

/// What one walk over the columns asks for: `Requests` addresses with each superblock, `step` bytes
/// apart. Several in one line cost next to nothing, a loop over as many as there are lines to fetch
/// would cost compilers the registers of the sums.
struct look_ahead {
    const std::byte* next = nullptr;
    std::size_t step = 0;

    template <std::size_t Requests>
    QUANT_DETAIL_INLINE void fetch() noexcept {
        unroll<Requests>([&](auto i) QUANT_DETAIL_LAMBDA { simd::prefetch(next + i * step); });
        next += Requests * step;
    }
};

/// How many bytes before they are read one token asks for weights, if it does. Less gains less from
/// memory, more loses in the third-level cache.
inline constexpr std::size_t ahead_within_panel = 6 << 10;

/// Whether every tile asks for all lines, however few its tokens: with vectors of 32 bytes
/// processors that fetch by themselves alone leave a third of memory's rate unused and more.
inline constexpr bool every_tile_asks = isa::current::vector_bytes == 32;

/// Requests with each superblock of a tile of T tokens and P panels: one for each line of its own,
/// so that a tile alone asks for all of the next block. With vectors of 64 bytes none for one token
/// of integers, which takes panels in turn, nor for two of 4 or 8 bits, which requests slow down;
/// with vectors of 16 bytes none for two tokens of 4 bits or four of 8, which gain nothing. 8 bits
/// have so many lines that half must do, unless every tile asks.
template <quantization_scheme S, std::size_t T, std::size_t P>
inline constexpr std::size_t look_ahead_requests = [] {
    if (isa::current::vector_bytes == 64 && T * P == 1) return std::size_t{0};
    constexpr auto bits = static_cast<std::size_t>(S::bits);
    constexpr std::size_t few = isa::current::vector_bytes == 64 ? 2 : bits / 2;
    if (!every_tile_asks && bits % 4 == 0 && T <= few) return std::size_t{0};
    const std::size_t lines = div_ceil(P * layout<S>::superblock_bytes, cache_line);
    return bits == 8 && !every_tile_asks ? div_ceil(lines, 2) : lines;
}();

/// Cuts a block's bytes into shares of walks, in order. Where walks are many, the first ones take
/// all of them, so that no line is asked for more than four times: each request takes the place of
/// a read.
class look_ahead_shares {
public:
    /// For `requests` in all.
    look_ahead_shares(const std::byte* from, std::size_t bytes, std::size_t requests) noexcept
        : from_(from), left_(bytes),
          step_(std::clamp(div_ceil(bytes, std::max(requests, std::size_t{1})), cache_line / 4,
                           cache_line)) {}

    /// Those of the next walk, of so many requests; if nothing is left, for what is at `near`,
    /// which should be in the first-level cache.
    [[nodiscard]] look_ahead take(std::size_t requests, const void* near) noexcept {
        if (left_ == 0) return {static_cast<const std::byte*>(near), 0};
        const look_ahead share{from_, step_};
        const std::size_t bytes = std::min(requests * step_, left_);
        from_ += bytes;
        left_ -= bytes;
        return share;
    }

private:
    const std::byte* from_;
    std::size_t left_, step_;
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
