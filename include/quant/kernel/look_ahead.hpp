// look_ahead: the next block of panels, fetched while all tokens pass the present one.
//
// Weights come from memory once per product. Processors fetch ahead by themselves, but not far: a
// block's first tile would wait for them, and a token alone would now wait, now decode. So every
// tile asks for its share of the next block.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/simd/lanes.hpp>

#include <algorithm>
#include <cstddef>

namespace quant::inline QUANT_ABI {
namespace detail {

inline constexpr std::size_t cache_line = 64;

/// What one walk over the columns fetches: so many lines with each superblock.
struct look_ahead {
    const std::byte* next = nullptr;
    std::size_t lines = 0;

    QUANT_DETAIL_INLINE void fetch() noexcept {
        for (std::size_t i = 0; i < lines; ++i, next += cache_line) simd::prefetch(next);
    }
};

/// Cuts a block's bytes into shares of walks, in order; the last ones may be empty.
class look_ahead_shares {
public:
    look_ahead_shares() noexcept = default;
    look_ahead_shares(const std::byte* from, std::size_t bytes, std::size_t walks,
                      std::size_t superblocks) noexcept
        : from_(from), lines_(bytes / cache_line), superblocks_(superblocks),
          per_superblock_(div_ceil(lines_, walks * superblocks)) {}

    [[nodiscard]] look_ahead take() noexcept {
        const std::size_t lines = std::min(per_superblock_, lines_ / superblocks_);
        const look_ahead share{from_, lines};
        from_ += lines * superblocks_ * cache_line;
        lines_ -= lines * superblocks_;
        return share;
    }

private:
    const std::byte* from_ = nullptr;
    std::size_t lines_ = 0, superblocks_ = 1, per_superblock_ = 0;
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
