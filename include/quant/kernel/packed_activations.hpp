// packed_activations: the other operand of a product, quantized and laid out for the tiles.
#pragma once

#include <quant/core/buffer.hpp>
#include <quant/core/executor.hpp>
#include <quant/core/matrix_view.hpp>
#include <quant/kernel/arguments.hpp>
#include <quant/kernel/pack_token.hpp>
#include <quant/kernel/prologue.hpp>
#include <quant/quantize/rows.hpp>

#include <algorithm>
#include <cstddef>

namespace quant::inline QUANT_ABI {

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

    /// Tiles of up to detail::tile_tokens<A> tokens, all but equal in size.
    [[nodiscard]] std::size_t tiles() const noexcept { return split_.tiles; }
    [[nodiscard]] std::size_t first_token(std::size_t tile) const noexcept {
        return split_.first_token(tile);
    }
    [[nodiscard]] std::size_t tokens_in(std::size_t tile) const noexcept {
        return split_.tokens_in(tile);
    }
    [[nodiscard]] detail::activation_tile<A, Section, Block>
    tile(std::size_t index) const noexcept {
        return {{{cols_}, tokens_in(index)}, memory_.data() + tile_at(index)};
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
        // Sections may pad 15 columns of each; sums and scales are smaller than the values.
        const auto per_token = detail::checked_mul(x.cols(), 256);
        if (!detail::checked_mul(per_token, x.rows() + detail::tile_tokens<A>)) {
            return detail::make_error(errc::size_overflow, where,
                                      "%zu x %zu exceeds the address space", x.rows(), x.cols());
        }
        made.split_ = detail::tile_split(x.rows(), detail::tile_tokens<A>);
        made.larger_bytes_ = made.tile_bytes(made.split_.smaller() + 1);
        made.smaller_bytes_ = made.tile_bytes(made.split_.smaller());
        auto memory = detail::buffer<std::byte>::uninitialized(
            made.tile_at(made.tiles()) + detail::over_read_bytes, where);
        if (!memory) return memory.failure();
        made.memory_ = std::move(*memory);

        auto done = detail::for_each_row_range(
            run, made.tiles(), tiles_per_task(made.tiles(), x.cols()), where,
            [&](std::size_t first, std::size_t last) -> result<void> {
                const std::size_t width = detail::prepared_row_scratch(x, prologue);
                auto scratch = detail::buffer<float>::uninitialized(width, where);
                if (!scratch) return scratch.failure();
                for (std::size_t t = first; t < last; ++t) {
                    const detail::activation_tile<A, Section, Block, std::byte> tile{
                        made.tile(t).at, made.memory_.data() + made.tile_at(t)};
                    detail::clear_padding(tile);
                    for (std::size_t i = 0; i < tile.at.tokens; ++i) {
                        const float* row = detail::prepared_row(x, made.first_token(t) + i,
                                                                scratch->data(), prologue);
                        if constexpr (is_integer_activation<A>) {
                            detail::pack_integer_token(tile, i, row);
                        } else {
                            detail::pack_float_token(tile, i, row);
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
        return std::min(tiles, detail::div_ceil(worthwhile, cols * detail::tile_tokens<A>));
    }
    [[nodiscard]] std::size_t tile_bytes(std::size_t tokens) const noexcept {
        return detail::tile_layout<A, Section, Block>{{cols_}, tokens}.bytes();
    }
    [[nodiscard]] std::size_t tile_at(std::size_t index) const noexcept {
        const std::size_t larger = std::min(index, split_.larger_tiles());
        return larger * larger_bytes_ + (index - larger) * smaller_bytes_;
    }

    detail::moved_size tokens_;
    detail::moved_size cols_;
    detail::tile_split split_;
    std::size_t larger_bytes_ = 0, smaller_bytes_ = 0;
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
