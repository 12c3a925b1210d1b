// packed_tiles: tiles of packed activations in somebody's memory, and how they are filled.
#pragma once

#include <quant/core/scratch.hpp>
#include <quant/kernel/pack_token.hpp>
#include <quant/kernel/prologue.hpp>
#include <quant/kernel/schedule.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace quant::inline QUANT_ABI {
namespace detail {

/// The tiles of some tokens, or consecutive ones of them: a trivial value to pass around.
template <activation A, std::size_t Section, std::size_t Block>
class packed_tiles {
public:
    using activation_type = A;
    static constexpr std::size_t section = Section;
    static constexpr std::size_t block = Block;
    static constexpr std::size_t most_tokens = most_tile_tokens<A, Section, Block>;

    packed_tiles() noexcept = default;
    /// `tokens` rows of `cols` columns, for which has_size. rule: when they lie in rows.
    packed_tiles(std::size_t tokens, std::size_t cols, const rows_rule& rule) noexcept
        : cols_(cols), split_(tokens, largest_tile(tokens, rule)), last_(split_.tiles),
          larger_bytes_(bytes_of_tile(split_.smaller() + 1, cols)),
          smaller_bytes_(bytes_of_tile(split_.smaller(), cols)) {}

    /// Whether the size of such tiles can be computed without overflow.
    [[nodiscard]] static bool has_size(std::size_t tokens, std::size_t cols) noexcept {
        // Sections may pad 15 columns of each; sums and scales are smaller than the values.
        const auto per_token = checked_mul(cols, 256);
        return checked_mul(per_token, checked_add(tokens, most_tokens)).has_value();
    }
    [[nodiscard]] static std::size_t bytes_of_tile(std::size_t tokens, std::size_t cols) noexcept {
        return layout{{cols}, tokens}.bytes();
    }
    /// Bytes of which so many tokens take no more than so many times as much, however they are cut.
    [[nodiscard]] static std::size_t most_bytes_per_token(std::size_t cols) noexcept {
        // What is rounded up for a tile is so for each token. Rows end in a further superblock.
        const std::size_t in_rows =
            takes_rows<A, Section, Block> ? layout::halves * superblock_cols : 0;
        return bytes_of_tile(1, cols) + in_rows;
    }
    /// Bytes of all tiles; products may read over_read_bytes behind them.
    [[nodiscard]] std::size_t bytes() const noexcept { return at(split_.tiles); }

    [[nodiscard]] std::size_t rows() const noexcept {
        return split_.tiles == 0 ? 0 : split_.first_token(last_) - split_.first_token(first_);
    }
    [[nodiscard]] std::size_t cols() const noexcept { return cols_; }
    /// Tiles of up to tile_tokens<A> tokens, or in rows, all but equal in size.
    [[nodiscard]] std::size_t tiles() const noexcept { return last_ - first_; }
    /// Whether all tiles lie in rows; else none does.
    [[nodiscard]] bool in_rows() const noexcept {
        return takes_rows<A, Section, Block> && tiles() != 0 && split_.smaller() > tile_tokens<A>;
    }
    [[nodiscard]] std::size_t first_token(std::size_t tile) const noexcept {
        return split_.first_token(first_ + tile);
    }
    [[nodiscard]] std::size_t tokens_in(std::size_t tile) const noexcept {
        return split_.tokens_in(first_ + tile);
    }
    [[nodiscard]] activation_tile<A, Section, Block> tile(std::size_t index) const noexcept {
        return {{{cols_}, tokens_in(index)}, base_ + at(first_ + index)};
    }
    /// @copydoc tile
    [[nodiscard]] activation_tile<A, Section, Block, std::byte>
    mutable_tile(std::size_t index) const noexcept {
        return {{{cols_}, tokens_in(index)}, base_ + at(first_ + index)};
    }

    /// Says where the tiles lie, on a 64-byte boundary.
    void place(std::byte* base) noexcept { base_ = base; }

    /// Tiles first … last − 1; their tokens keep their numbers.
    [[nodiscard]] packed_tiles slice(std::size_t first, std::size_t last) const noexcept {
        packed_tiles made = *this;
        made.first_ = first_ + first;
        made.last_ = first_ + last;
        return made;
    }

private:
    using layout = tile_layout<A, Section, Block>;

    [[nodiscard]] static std::size_t largest_tile(std::size_t tokens,
                                                  const rows_rule& rule) noexcept {
        if constexpr (takes_rows<A, Section, Block>) {
            // Else rows could not be told from other tiles, nor would tiles be of two sizes.
            static_assert(simd::amx::register_rows / 2 > tile_tokens<A>);
            const bool may = tokens > tile_tokens<A> && rule.holds(tokens);
            if (may && simd::amx::available()) return simd::amx::register_rows;
        }
        return tile_tokens<A>;
    }
    [[nodiscard]] std::size_t at(std::size_t index) const noexcept {
        const std::size_t larger = std::min(index, split_.tiles == 0 ? 0 : split_.larger_tiles());
        return larger * larger_bytes_ + (index - larger) * smaller_bytes_;
    }

    std::size_t cols_ = 0;
    tile_split split_;
    std::size_t first_ = 0, last_ = 0;
    std::size_t larger_bytes_ = 0, smaller_bytes_ = 0;
    std::byte* base_ = nullptr;
};

template <quantization_scheme S, activation A>
using tiles_for = packed_tiles<A, product_plan<S, A>::section, product_plan<S, A>::block>;

/// The work of packing one product's tiles; its pieces are tiles.
template <class Tiles>
[[nodiscard]] work_share packing_work(const Tiles& tiles, double before) noexcept {
    return {before,
            static_cast<double>(tiles.cols()) *
                static_cast<double>(div_ceil(tiles.rows(), tiles.tiles())),
            tiles.tiles()};
}

/// Each task of the packing needs row buffers of its own, so two per thread must do.
inline constexpr std::size_t packing_tasks_per_thread = 2;

[[nodiscard]] inline std::size_t packing_tasks(double elements, std::size_t tiles,
                                               std::size_t concurrency) noexcept {
    // An element takes as long as ten multiply-adds of a product.
    return task_count(elements, tiles, concurrency, {1 << 13, 1 << 12, packing_tasks_per_thread});
}

static_assert(over_read_bytes % scratch_alignment == 0, "row buffers follow the tiles");

/// Bytes of one task's row buffer of `floats` floats.
[[nodiscard]] inline maybe_size row_buffer_bytes(maybe_size floats) noexcept {
    return checked_round_up(checked_mul(floats, sizeof(float)), scratch_alignment);
}

/// Packs tiles first … last − 1. Token t is row t of x, or rows[t] if there are rows.
template <class Tiles, class T, class... Stages>
void pack_tiles(const Tiles& to, std::size_t first, std::size_t last, const matrix_view<T>& x,
                std::span<const std::uint32_t> rows, std::byte* row_buffer,
                const prologue_stages<Stages...>& prologue) {
    using A = typename Tiles::activation_type;
    auto* floats = reinterpret_cast<float*>(row_buffer);
    const bool together = prepared_row_scratch(x, prologue) == 0; // else all in the same buffer
    for (std::size_t t = first; t < last; ++t) {
        const auto tile = to.mutable_tile(t);
        clear_padding(tile);
        const std::size_t at_once = together ? tile.at.tokens : 1;
        for (std::size_t i = 0; i < tile.at.tokens; i += at_once) {
            const float* prepared[Tiles::most_tokens];
            for (std::size_t j = 0; j < at_once; ++j) {
                const std::size_t token = to.first_token(t) + i + j;
                prepared[j] = prepared_row(x, rows.empty() ? token : rows[token], floats, prologue);
            }
            const std::span<const float* const> from(prepared, at_once);
            if constexpr (is_integer_activation<A>) {
                pack_integer_tokens(tile, i, from, fixed_scale(prologue));
            } else {
                static_assert(!(std::is_same_v<Stages, prologue::static_scale> || ...),
                              "quant: prologue::static_scale is for integer activations");
                pack_float_tokens(tile, i, from);
            }
        }
        widen_codes(tile);
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
