// packed_activations: the other operand of a product, quantized and laid out for the tiles.
//
// Tokens are packed in tiles of T: all lie side by side, quad by quad, so that a tile reads one
// stream. Per tile, in this order:
//
//   integer A   codes   [halves][quads][T][4] int8
//               sums    [halves][blocks + 1][T] int32, running sums before each block
//               scales  [blocks][T] float, or [1][T] per token
//   float A     values  [quads][4][T] float
//               sums    [blocks][T] float, each block's own sum
#pragma once

#include <quant/core/buffer.hpp>
#include <quant/core/executor.hpp>
#include <quant/core/matrix_view.hpp>
#include <quant/kernel/arguments.hpp>
#include <quant/kernel/plan.hpp>
#include <quant/kernel/prologue.hpp>
#include <quant/quantize/rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Tokens of a full tile: what accumulators of both kinds leave room for in the registers.
inline constexpr std::size_t tile_tokens =
    isa::current::registers == 32 && isa::current::vector_bytes == 64 ? 4 : 2;

/// Positions within one tile of packed activations.
template <activation A, std::size_t Section, std::size_t Block>
struct tile_layout {
    activation_layout<Section, Block> row;
    std::size_t tokens = 1;

    static constexpr bool integer = is_integer_activation<A>;
    static constexpr bool scale_per_block = integer && activation_group<A>() != all;
    static constexpr std::size_t halves = [] {
        if constexpr (integer) return static_cast<std::size_t>(A::halves);
        return std::size_t{1};
    }();

    [[nodiscard]] std::size_t values_bytes() const noexcept {
        return round_up(halves * row.quads() * tokens * 4 * (integer ? 1 : sizeof(float)), 64);
    }
    [[nodiscard]] std::size_t sums_per_half() const noexcept {
        return (row.blocks() + (integer ? 1 : 0)) * tokens;
    }
    [[nodiscard]] std::size_t sums_bytes() const noexcept {
        return round_up(halves * sums_per_half() * 4, 64);
    }
    [[nodiscard]] std::size_t scales_bytes() const noexcept {
        return integer ? round_up((scale_per_block ? row.blocks() : 1) * tokens * 4, 64) : 0;
    }
    [[nodiscard]] std::size_t bytes() const noexcept {
        return values_bytes() + sums_bytes() + scales_bytes();
    }
};

/// One tile of packed activations in memory.
template <activation A, std::size_t Section, std::size_t Block>
struct activation_tile {
    tile_layout<A, Section, Block> at;
    std::byte* base = nullptr;

    [[nodiscard]] std::int8_t* codes(std::size_t half, std::size_t quad) const noexcept {
        return reinterpret_cast<std::int8_t*>(base) +
               (half * at.row.quads() + quad) * at.tokens * 4;
    }
    [[nodiscard]] float* values(std::size_t quad) const noexcept {
        return reinterpret_cast<float*>(base) + quad * 4 * at.tokens;
    }
    /// Running integer sums before a block, or float sums of a block; one per token.
    template <class T>
    [[nodiscard]] T* sums(std::size_t half, std::size_t block) const noexcept {
        return reinterpret_cast<T*>(base + at.values_bytes()) + half * at.sums_per_half() +
               block * at.tokens;
    }
    [[nodiscard]] float* scales(std::size_t block) const noexcept {
        return reinterpret_cast<float*>(base + at.values_bytes() + at.sums_bytes()) +
               (at.scale_per_block ? block : 0) * at.tokens;
    }
};

/// Scale of activations of magnitude up to `largest`.
template <activation A>
[[nodiscard]] float activation_scale(float largest) noexcept {
    const float scale = largest / static_cast<float>(A::max_code);
    return scale < 0x1p-126f ? 0.0f : scale;
}

/// Codes of n activations.
template <activation A>
void encode_activations(const float* x, std::size_t n, float scale, std::int32_t* codes) noexcept {
    const auto inverse = simd::broadcast(scale == 0 ? 0.0f : 1.0f / scale);
    const auto last = simd::broadcast<std::int32_t>(A::max_code);
    const auto first = simd::broadcast<std::int32_t>(-A::max_code);
    for (std::size_t i = 0; i < n; i += 16) {
        const std::size_t count = std::min<std::size_t>(16, n - i);
        const auto values =
            count == 16 ? simd::load<float>(x + i) : simd::load_partial<float>(x + i, count);
        const auto code = simd::min(simd::max(simd::nearest(values * inverse), first), last);
        simd::store_partial(codes + i, code, count);
    }
}

/// Writes one block's codes and running sums of one token.
template <activation A, std::size_t Section, std::size_t Block>
void pack_integer_block(const activation_tile<A, Section, Block>& tile, std::size_t token,
                        const float* x, std::size_t n, float scale, std::size_t block,
                        std::size_t quad, std::size_t byte) noexcept {
    constexpr std::size_t chunk = 256;
    std::int32_t codes[chunk];
    std::int32_t sums[2] = {};
    const std::size_t tokens = tile.at.tokens;
    for (std::size_t i = 0; i < n; i += chunk) {
        const std::size_t count = std::min(chunk, n - i);
        encode_activations<A>(x + i, count, scale, codes);
        for (std::size_t k = 0; k < count; ++k) {
            const std::size_t at = byte + i + k;
            const std::size_t place = at / 4 * tokens * 4 + at % 4;
            const std::int32_t high = A::halves == 2 ? (codes[k] + 128) >> 8 : 0;
            const std::int32_t low = codes[k] - 256 * high;
            tile.codes(0, quad)[token * 4 + place] = static_cast<std::int8_t>(low);
            sums[0] += low;
            if constexpr (A::halves == 2) {
                tile.codes(1, quad)[token * 4 + place] = static_cast<std::int8_t>(high);
                sums[1] += high;
            }
        }
    }
    for (std::size_t h = 0; h < tile.at.halves; ++h) {
        const std::int32_t before = tile.template sums<std::int32_t>(h, block)[token];
        // A running sum may wrap over very long rows; differences within a step do not.
        tile.template sums<std::int32_t>(h, block + 1)[token] = static_cast<std::int32_t>(
            static_cast<std::uint32_t>(before) + static_cast<std::uint32_t>(sums[h]));
    }
}

/// Packs one token as integers. A token with a number that is not finite gets NaN scales.
template <activation A, std::size_t Section, std::size_t Block>
void pack_integer_token(const activation_tile<A, Section, Block>& tile, std::size_t token,
                        const float* x) noexcept {
    const std::size_t cols = tile.at.row.cols;
    const group_range whole = range_of(x, cols);
    const auto magnitude = [](const group_range& r) { return std::max(r.highest, -r.lowest); };
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    const float token_scale = whole.finite ? activation_scale<A>(magnitude(whole)) : nan;
    tile.scales(0)[token] = token_scale;
    for (std::size_t h = 0; h < tile.at.halves; ++h) {
        tile.template sums<std::int32_t>(h, 0)[token] = 0;
    }
    float scale = token_scale;
    tile.at.row.for_each_block([&](std::size_t block, std::size_t c, std::size_t n,
                                   std::size_t quad, std::size_t byte) {
        if constexpr (tile_layout<A, Section, Block>::scale_per_block) {
            // Several blocks may share an activation group: each gets the group's scale.
            constexpr std::size_t size = activation_group<A>();
            const std::size_t first = c / size * size;
            const std::size_t count = std::min(size, cols - first);
            scale = whole.finite ? activation_scale<A>(magnitude(range_of(x + first, count))) : nan;
            tile.scales(block)[token] = scale;
        }
        if (whole.finite) {
            pack_integer_block(tile, token, x + c, n, scale, block, quad, byte);
        } else {
            for (std::size_t h = 0; h < tile.at.halves; ++h) {
                tile.template sums<std::int32_t>(h, block + 1)[token] = 0;
            }
        }
    });
}

/// Packs one token as floats. A token with a number that is not finite becomes all NaN.
template <activation A, std::size_t Section, std::size_t Block>
void pack_float_token(const activation_tile<A, Section, Block>& tile, std::size_t token,
                      const float* x) noexcept {
    const std::size_t tokens = tile.at.tokens;
    const bool finite = range_of(x, tile.at.row.cols).finite;
    tile.at.row.for_each_block(
        [&](std::size_t block, std::size_t c, std::size_t n, std::size_t quad, std::size_t byte) {
            float sum = 0;
            for (std::size_t k = 0; k < n; ++k) {
                float value =
                    finite ? load_element(x + c + k) : std::numeric_limits<float>::quiet_NaN();
                if constexpr (std::is_same_v<A, activations::bf16>) {
                    value = static_cast<float>(bf16(value));
                }
                tile.values(quad)[(byte + k) * tokens + token] = value;
                sum += value;
            }
            tile.template sums<float>(0, block)[token] = sum;
        });
}

} // namespace detail

/// Activations ready for products: quantized to A and laid out for this instruction set's tiles.
///
/// Section 0 (`all`): serves every scheme whose groups are whole rows or multiples of A's group
/// (of 32 columns where A has one scale per token). Other sections: serves schemes of that group.
/// Made by pack_activations; move only.
template <activation A, std::size_t Section = all, std::size_t Block = detail::common_block<A>>
class packed_activations {
    static_assert(Section != all || (Block % 4 == 0 && Block <= detail::longest_step),
                  "quant::pack_activations: a group for schemes of all kinds has a multiple of 4 "
                  "columns, 65536 at most; pack_activations<A, S>(x) packs for the groups of S");

public:
    using activation_type = A;
    static constexpr std::size_t section = Section;
    static constexpr std::size_t block = Block;

    packed_activations() noexcept = default;

    [[nodiscard]] std::size_t rows() const noexcept { return tokens_; }
    [[nodiscard]] std::size_t cols() const noexcept { return cols_; }

    /// Tiles of up to tile_tokens tokens; all but the last are full. A short last tile of more
    /// than one token is padded with zero tokens.
    [[nodiscard]] std::size_t tiles() const noexcept {
        return detail::div_ceil(tokens_, detail::tile_tokens);
    }
    [[nodiscard]] std::size_t first_token(std::size_t tile) const noexcept {
        return tile * detail::tile_tokens;
    }
    [[nodiscard]] std::size_t tokens_in(std::size_t tile) const noexcept {
        return std::min(detail::tile_tokens, tokens_ - first_token(tile));
    }
    [[nodiscard]] detail::activation_tile<A, Section, Block>
    tile(std::size_t index) const noexcept {
        const std::size_t tokens = tokens_in(index) == 1 ? 1 : detail::tile_tokens;
        return {{{cols_}, tokens}, const_cast<std::byte*>(memory_.data()) + index * tile_bytes_};
    }

    /// Packs x; see pack_activations.
    template <real_element T, executor E, class... Stages>
    [[nodiscard]] static result<packed_activations>
    try_from(matrix_view<T> x, E&& run,
             const detail::prologue_stages<Stages...>& prologue = {}) noexcept {
        constexpr const char* where = "matmul: x";
        if (auto valid = detail::check_readable(x, where); !valid) return valid.failure();
        if (auto valid = detail::check_prologue(x.rows(), x.cols(), prologue); !valid) {
            return valid.failure();
        }
        packed_activations made;
        made.tokens_ = x.rows();
        made.cols_ = x.cols();
        // Sections may pad three columns of each; sums and scales are smaller than the values.
        const auto per_token = detail::checked_mul(x.cols(), 64);
        if (!detail::checked_mul(per_token, x.rows() + detail::tile_tokens)) {
            return detail::make_error(errc::size_overflow, where,
                                      "%zu x %zu exceeds the address space", x.rows(), x.cols());
        }
        made.tile_bytes_ =
            detail::tile_layout<A, Section, Block>{{x.cols()}, detail::tile_tokens}.bytes();
        const std::size_t last_bytes =
            detail::tile_layout<A, Section, Block>{
                {x.cols()}, made.tokens_in(made.tiles() - 1) == 1 ? 1 : detail::tile_tokens}
                .bytes();
        auto memory = detail::buffer<std::byte>::zeroed(
            (made.tiles() - 1) * made.tile_bytes_ + last_bytes, where);
        if (!memory) return memory.failure();
        made.memory_ = std::move(*memory);

        auto done = detail::for_each_row_range(
            run, made.tiles(), tiles_per_task(made.tiles(), x.cols()), where,
            [&](std::size_t first, std::size_t last) -> result<void> {
                const std::size_t width = detail::prepared_row_scratch(x, prologue);
                auto scratch = detail::buffer<float>::uninitialized(width, where);
                if (!scratch) return scratch.failure();
                for (std::size_t t = first; t < last; ++t) {
                    for (std::size_t i = 0; i < made.tokens_in(t); ++i) {
                        const float* row = detail::prepared_row(x, made.first_token(t) + i,
                                                                scratch->data(), prologue);
                        if constexpr (is_integer_activation<A>) {
                            detail::pack_integer_token(made.tile(t), i, row);
                        } else {
                            detail::pack_float_token(made.tile(t), i, row);
                        }
                    }
                }
                return {};
            });
        if (!done) return done.failure();
        return made;
    }

private:
    [[nodiscard]] static std::size_t tiles_per_task(std::size_t tiles, std::size_t cols) noexcept {
        constexpr std::size_t worthwhile = 1 << 15; // elements
        return std::min(tiles, detail::div_ceil(worthwhile, std::max<std::size_t>(
                                                                1, cols * detail::tile_tokens)));
    }

    detail::moved_size tokens_;
    detail::moved_size cols_;
    std::size_t tile_bytes_ = 0;
    detail::buffer<std::byte> memory_;
};

namespace detail {
template <quantization_scheme S, activation A>
using activations_for =
    packed_activations<A, product_plan<S, A>::section, product_plan<S, A>::block>;

/// What may follow x where activations are packed: an executor, prologue stages.
template <class T>
concept packing_argument = executor<T> || prologue_stage<std::remove_cvref_t<T>>;
} // namespace detail

/// Quantizes activations once for several products (Q, K and V; gate and up).
///
/// pack_activations<A>(x) serves every scheme whose groups are whole rows or multiples of A's
/// group (32 columns per token); pack_activations<A, S>(x) serves schemes grouped like S.
/// Arguments after x, in any order: one executor; prologue stages, applied to each row in the order
/// given before it is quantized.
/// A row of x with NaN or infinity makes that token's outputs NaN and no other's.
/// Errors: empty, null_data, size_overflow, out_of_memory, executor_failed; those of the prologue.
template <activation A, real_element T, class... Args>
    requires(detail::packing_argument<Args> && ...)
[[nodiscard]] result<packed_activations<A>> try_pack_activations(matrix_view<T> x,
                                                                 Args&&... args) noexcept {
    return packed_activations<A>::try_from(x, detail::find_executor(args...),
                                           detail::find_prologue(args...));
}
/// @copydoc try_pack_activations
template <activation A, quantization_scheme S, real_element T, class... Args>
    requires(detail::packing_argument<Args> && ...)
[[nodiscard]] result<detail::activations_for<S, A>> try_pack_activations(matrix_view<T> x,
                                                                         Args&&... args) noexcept {
    return detail::activations_for<S, A>::try_from(x, detail::find_executor(args...),
                                                   detail::find_prologue(args...));
}

#if QUANT_HAS_EXCEPTIONS
/// As try_pack_activations. @throws quant::error
template <activation A, real_element T, class... Args>
    requires(detail::packing_argument<Args> && ...)
[[nodiscard]] packed_activations<A> pack_activations(matrix_view<T> x, Args&&... args) {
    return try_pack_activations<A>(x, args...).value();
}
/// @copydoc pack_activations
template <activation A, quantization_scheme S, real_element T, class... Args>
    requires(detail::packing_argument<Args> && ...)
[[nodiscard]] detail::activations_for<S, A> pack_activations(matrix_view<T> x, Args&&... args) {
    return try_pack_activations<A, S>(x, args...).value();
}
#endif

} // namespace quant::inline QUANT_ABI
