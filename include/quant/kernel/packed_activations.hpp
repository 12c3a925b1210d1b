// packed_activations: the other operand of a product, quantized and laid out for the tiles.
#pragma once

#include <quant/core/buffer.hpp>
#include <quant/core/matrix_view.hpp>
#include <quant/core/run_tasks.hpp>
#include <quant/kernel/arguments.hpp>
#include <quant/kernel/packed_tiles.hpp>
#include <quant/kernel/prologue.hpp>
#include <quant/kernel/schedule.hpp>
#include <quant/quantize/rows.hpp>

#include <cstddef>
#include <utility>

namespace quant::inline QUANT_ABI {

/// Activations ready for products: quantized to A and laid out for this instruction set's tiles.
///
/// Section 0 (`all`): serves every scheme whose groups are whole rows or multiples of A's group
/// (of 32 columns where A has one scale per token). Other sections: serves schemes of that group.
/// Made by pack_activations; move only. If made in a scratch, it views that memory, which must
/// outlive it and hold nothing else meanwhile.
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
    packed_activations(packed_activations&& other) noexcept
        : tiles_(std::exchange(other.tiles_, {})), memory_(std::move(other.memory_)) {}
    packed_activations& operator=(packed_activations&& other) noexcept {
        tiles_ = std::exchange(other.tiles_, {});
        memory_ = std::move(other.memory_);
        return *this;
    }

    [[nodiscard]] std::size_t rows() const noexcept { return tiles_.rows(); }
    [[nodiscard]] std::size_t cols() const noexcept { return tiles_.cols(); }
    [[nodiscard]] std::size_t tiles() const noexcept { return tiles_.tiles(); }
    /// The tiles, for kernels.
    [[nodiscard]] const detail::packed_tiles<A, Section, Block>& view() const noexcept {
        return tiles_;
    }

    /// Packs x, in a scratch if there is one; see pack_activations. rule: see packed_tiles.
    template <real_element T, class... Stages>
    [[nodiscard]] static result<packed_activations>
    try_from(matrix_view<T> x, const detail::executor_ref& run,
             const detail::prologue_stages<Stages...>& prologue = {},
             const scratch* given = nullptr,
             const detail::rows_rule& rule = detail::common_rows_rule<A>) noexcept {
        constexpr const char* where = "matmul: x";
        if (auto valid = detail::check_readable(x, where); !valid) return valid.failure();
        if (auto valid = detail::check_prologue(x.rows(), x.cols(), prologue); !valid) {
            return valid.failure();
        }
        if (!detail::packed_tiles<A, Section, Block>::has_size(x.rows(), x.cols())) {
            return detail::make_error(errc::size_overflow, where,
                                      "%zu x %zu exceeds the address space", x.rows(), x.cols());
        }
        packed_activations made;
        made.tiles_ = {x.rows(), x.cols(), rule};
        const detail::work_share work = detail::packing_work(made.tiles_, 0);
        const std::size_t tasks =
            detail::packing_tasks(work.after(), work.pieces, run.concurrency());
        const detail::maybe_size row_bytes =
            detail::row_buffer_bytes(detail::prepared_row_scratch(x, prologue));
        const detail::maybe_size all_rows = detail::checked_mul(row_bytes, tasks);
        detail::buffer<std::byte> own_rows;
        auto rows = given != nullptr ? made.place_in(*given, all_rows)
                                     : made.place_in_own(all_rows, own_rows, where);
        if (!rows) return rows.failure();

        const detail::work_list list{{&work, 1}};
        auto done = detail::for_each_row_range(
            run, tasks, 1, where, [&](std::size_t index, std::size_t) -> result<void> {
                list.for_each(index, tasks, [&](std::size_t, std::size_t first, std::size_t last) {
                    detail::pack_tiles(made.tiles_, first, last, x, {}, *rows + index * *row_bytes,
                                       prologue);
                });
                return {};
            });
        if (!done) return done.failure();
        return made;
    }

private:
    /// Puts the tiles into a scratch; returns where the row buffers of the packing begin.
    [[nodiscard]] result<std::byte*> place_in(const scratch& given,
                                              detail::maybe_size row_bytes) noexcept {
        const std::size_t rows_at = tiles_.bytes() + detail::over_read_bytes;
        auto taken =
            detail::take_scratch(given, detail::checked_add(rows_at, row_bytes), "matmul: scratch");
        if (!taken) return taken.failure();
        tiles_.place(*taken);
        return *taken + rows_at;
    }
    /// The same in memory of this object's own, and the row buffers, which are not kept, in `rows`.
    [[nodiscard]] result<std::byte*> place_in_own(detail::maybe_size row_bytes,
                                                  detail::buffer<std::byte>& rows,
                                                  const char* where) noexcept {
        if (!row_bytes) return error(errc::size_overflow, where, "exceeds the address space");
        auto made = detail::buffer<std::byte>::uninitialized(
            tiles_.bytes() + detail::over_read_bytes, where);
        if (!made) return made.failure();
        auto more = detail::buffer<std::byte>::uninitialized(*row_bytes, where);
        if (!more) return more.failure();
        memory_ = std::move(*made);
        rows = std::move(*more);
        tiles_.place(memory_.data());
        return rows.data();
    }

    detail::packed_tiles<A, Section, Block> tiles_;
    detail::buffer<std::byte> memory_;
};

namespace detail {
template <quantization_scheme S, activation A>
using activations_for =
    packed_activations<A, product_plan<S, A>::section, product_plan<S, A>::block>;

/// What may follow x where activations are packed: an executor, a scratch, prologue stages.
template <class T>
concept packing_argument =
    executor<T> || scratch_argument<T> || prologue_stage<std::remove_cvref_t<T>>;
} // namespace detail

/// Quantizes activations once for several products (Q, K and V; gate and up).
///
/// pack_activations<A>(x) serves every scheme whose groups are whole rows or multiples of A's
/// group (32 columns per token); pack_activations<A, S>(x) serves schemes grouped like S.
/// Arguments after x, in any order: one executor; one scratch, in which the result then lies (see
/// scratch_bytes; nothing is allocated); prologue stages, applied to each row in the order given
/// before it is quantized.
/// A row of x with NaN or infinity makes that token's outputs NaN and no other's.
/// Errors: empty, null_data, size_overflow, out_of_memory, executor_failed; invalid_argument if the
/// scratch is too small; those of the prologue.
template <activation A, real_element T, class... Args>
    requires(detail::packing_argument<Args> && ...)
[[nodiscard]] result<packed_activations<A>> try_pack_activations(matrix_view<T> x,
                                                                 Args&&... args) noexcept {
    return packed_activations<A>::try_from(x, detail::find_executor(args...),
                                           detail::find_prologue(args...),
                                           detail::find_scratch(args...));
}
/// @copydoc try_pack_activations
template <activation A, quantization_scheme S, real_element T, class... Args>
    requires(detail::packing_argument<Args> && ...)
[[nodiscard]] result<detail::activations_for<S, A>> try_pack_activations(matrix_view<T> x,
                                                                         Args&&... args) noexcept {
    return detail::activations_for<S, A>::try_from(
        x, detail::find_executor(args...), detail::find_prologue(args...),
        detail::find_scratch(args...), detail::rows_rule_of<A, S>);
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
