// scratch_bytes: how much memory a product needs from its caller to allocate nothing.
#pragma once

#include <quant/core/scratch.hpp>
#include <quant/kernel/packed_activations.hpp>
#include <quant/kernel/packed_tiles.hpp>
#include <quant/kernel/schedule.hpp>

#include <algorithm>
#include <cstddef>

namespace quant::inline QUANT_ABI {
namespace detail {

/// What a batch notes of one of its products.
template <class Tiles>
struct batch_item {
    Tiles tiles;
    product_pieces pieces;
};

/// Bytes of a batch's notes on `products` products.
template <class Tiles>
[[nodiscard]] maybe_size batch_notes_bytes(std::size_t products) noexcept {
    constexpr std::size_t each = sizeof(batch_item<Tiles>) + 2 * sizeof(work_share);
    return checked_round_up(checked_mul(products, each), scratch_alignment);
}

template <class Tiles>
[[nodiscard]] std::size_t scratch_bytes(std::size_t tokens, std::size_t cols,
                                        std::size_t concurrency, std::size_t products) noexcept {
    if (!Tiles::has_size(tokens, cols) || !checked_mul(cols, 64)) return 0;
    // Enough for any cut into tiles and products, and for fewer tokens.
    const auto tiles = checked_mul(tokens, Tiles::most_bytes_per_token(cols));
    const std::size_t most_tasks = concurrency > 1 ? packing_tasks_per_thread * concurrency : 1;
    const auto rows = checked_mul(row_buffer_bytes(2 * cols), std::min(most_tasks, tokens));
    const auto bytes = checked_add(checked_add(tiles, over_read_bytes), rows);
    return with_alignment(checked_add(bytes, batch_notes_bytes<Tiles>(products))).value_or(0);
}

/// Bytes of the stack that a product without a scratch uses instead of allocating, if they do.
inline constexpr std::size_t small_scratch_bytes = 4096;

template <class Tiles>
[[nodiscard]] bool fits_small_scratch(std::size_t tokens, std::size_t cols,
                                      std::size_t concurrency) noexcept {
    if (tokens > small_scratch_bytes || cols > small_scratch_bytes) return false;
    return scratch_bytes<Tiles>(tokens, cols, concurrency, 0) <= small_scratch_bytes;
}

} // namespace detail

/// Bytes of scratch with which products of `tokens` rows of x, `cols` columns, by weights of scheme
/// S allocate nothing; 0 if there is no such size.
///
/// Enough for the quantized activations with their sums and scales and, for each task that the
/// executor may run at once, a row of x in float and a prologue's room to work in, whatever x's
/// type and strides; some of it stays unused without these. For matmul, pack_activations<A, S> and
/// batches of up to `products` products with `tokens` rows in all, however they are distributed,
/// and up to `cols` columns each. No less for more tokens, columns or products: one scratch serves
/// all that are smaller. `run` is the executor that the product will be given.
template <activation A, quantization_scheme S, executor E = const serial_executor&>
[[nodiscard]] std::size_t scratch_bytes(std::size_t tokens, std::size_t cols, E&& run = serial,
                                        std::size_t products = 1) noexcept {
    using tiles = detail::tiles_for<S, A>;
    return detail::scratch_bytes<tiles>(tokens, cols, detail::concurrency_of(run), products);
}
/// The same for pack_activations<A>, whose result serves weights of many schemes.
template <activation A, executor E = const serial_executor&>
[[nodiscard]] std::size_t scratch_bytes(std::size_t tokens, std::size_t cols,
                                        E&& run = serial) noexcept {
    using tiles = detail::packed_tiles<A, all, detail::common_block<A>>;
    return detail::scratch_bytes<tiles>(tokens, cols, detail::concurrency_of(run), 1);
}

} // namespace quant::inline QUANT_ABI
