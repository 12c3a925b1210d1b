// Several products in two parallel regions: one packs the activations of all, one multiplies all.
#pragma once

#include <quant/core/buffer.hpp>
#include <quant/core/run_tasks.hpp>
#include <quant/kernel/matmul.hpp>
#include <quant/kernel/scratch_bytes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string_view>

namespace quant::inline QUANT_ABI {

/// One of several products: y[tokens × out] = x[tokens × in] · wᵀ, with packed weights w.
///
/// Token t is row t of x, or row rows[t] if `rows` is given: the tokens that are routed to an
/// expert, gathered as they are quantized. A product whose y has no rows has no tokens.
template <quantization_scheme S, real_element X = float, real_element Y = float>
struct product {
    matrix_view<const X> x;
    packed_view<S> w;
    matrix_view<Y> y;
    std::span<const std::uint32_t> rows;

    product(matrix_view<const X> activations, packed_view<S> weights, matrix_view<Y> outputs,
            std::span<const std::uint32_t> row_indices = {}) noexcept
        : x(activations), w(weights), y(outputs), rows(row_indices) {}
};
template <class X, quantization_scheme S, class Y>
product(matrix_view<X>, packed_view<S>, matrix_view<Y>, std::span<const std::uint32_t> = {})
    -> product<S, std::remove_const_t<X>, Y>;
template <class X, quantization_scheme S, class Y>
product(matrix_view<X>, const packed_matrix<S>&, matrix_view<Y>,
        std::span<const std::uint32_t> = {}) -> product<S, std::remove_const_t<X>, Y>;

namespace detail {

/// How errors name a batch and its products.
struct batch_names {
    const char* function;
    const char* item;
};

/// What went wrong with one product, under the batch's name.
[[nodiscard]] inline error within_item(const error& failure, const batch_names& names,
                                       std::size_t item) noexcept {
    constexpr std::string_view single = "matmul: ";
    std::string_view where = failure.where();
    if (where.starts_with(single)) where.remove_prefix(single.size());
    char text[160];
    std::snprintf(text, sizeof text, "%s: %s %zu: %.*s", names.function, names.item, item,
                  static_cast<int>(where.size()), where.data());
    return error(failure.code(), text, failure.message());
}

template <class S, class X, class Y>
[[nodiscard]] std::size_t tokens_of(const product<S, X, Y>& p) noexcept {
    return p.rows.empty() ? p.x.rows() : p.rows.size();
}
template <class S, class X, class Y>
[[nodiscard]] bool has_no_tokens(const product<S, X, Y>& p) noexcept {
    return p.y.rows() == 0 && p.rows.empty();
}

/// Whether two products multiply the same activations, as Q, K and V do.
template <class S, class X, class Y>
[[nodiscard]] bool same_activations(const product<S, X, Y>& a, const product<S, X, Y>& b) noexcept {
    return a.x.data() == b.x.data() && a.x.rows() == b.x.rows() && a.x.cols() == b.x.cols() &&
           a.x.row_stride() == b.x.row_stride() && a.x.col_stride() == b.x.col_stride() &&
           a.rows.data() == b.rows.data() && a.rows.size() == b.rows.size();
}

/// Checks x and the rows that are taken of it.
template <class S, class X, class Y>
[[nodiscard]] result<void> check_activations(const product<S, X, Y>& p) noexcept {
    if (auto valid = check_readable(p.x, "matmul: x"); !valid) return valid;
    for (std::size_t t = 0; t < p.rows.size(); ++t) {
        if (p.rows[t] < p.x.rows()) continue;
        return make_error(errc::invalid_argument, "matmul: rows", "row %zu at %zu, x has %zu rows",
                          std::size_t{p.rows[t]}, t, p.x.rows());
    }
    if (!packed_tiles<activations::fp32, all, 32>::has_size(tokens_of(p), p.x.cols())) {
        return make_error(errc::size_overflow, "matmul: x", "%zu x %zu exceeds the address space",
                          tokens_of(p), p.x.cols());
    }
    return {};
}

/// Where outputs of one product of a batch go.
template <class Y, class... Stages>
[[nodiscard]] product_output<Y, Stages...>
output_through(matrix_view<Y> y, const std::tuple<const Stages&...>& stages) noexcept {
    return {y, stages};
}

/// What a batch needs: memory and tasks.
struct batch_needs {
    maybe_size tile_bytes = 0;
    std::size_t row_floats = 0;
    double packing = 0;
    std::size_t tiles = 0;
};

/// A batch of products in the memory that it works in. ItemAt(i) gives product i.
template <activation A, quantization_scheme S, class ItemAt>
class batch {
    using tiles = tiles_for<S, A>;
    using item = batch_item<tiles>;

public:
    batch(std::size_t count, const ItemAt& item_at, std::size_t concurrency) noexcept
        : count_(count), item_at_(item_at), concurrency_(concurrency) {}

    /// Checks all products and adds up what they need.
    template <class Prologue, class... Args>
    [[nodiscard]] result<void> check(const batch_names& names, const Prologue& prologue,
                                     const Args&... args) noexcept {
        std::size_t last = count_;
        for (std::size_t i = 0; i < count_; ++i) {
            const auto p = item_at_(i);
            if (has_no_tokens(p)) continue;
            const bool shared = last < count_ && same_activations(item_at_(last), p);
            if (auto valid = check_one(p, shared, prologue, args...); !valid) {
                return within_item(valid.failure(), names, i);
            }
            last = i;
            if (shared) continue;
            const tiles made(tokens_of(p), p.x.cols(), rows_rule_of<A, S>);
            needs_.tile_bytes = checked_add(needs_.tile_bytes, made.bytes());
            needs_.row_floats = std::max(needs_.row_floats, prepared_row_scratch(p.x, prologue));
            needs_.packing = packing_work(made, needs_.packing).after();
            needs_.tiles += made.tiles();
        }
        packing_tasks_ = packing_tasks(needs_.packing, needs_.tiles, concurrency_);
        row_bytes_ = row_buffer_bytes(needs_.row_floats);
        return {};
    }

    [[nodiscard]] bool empty() const noexcept { return needs_.tiles == 0; }

    /// Bytes to give to place.
    [[nodiscard]] maybe_size bytes() const noexcept {
        const auto rows = checked_mul(row_bytes_, packing_tasks_);
        const auto packed = checked_add(checked_add(needs_.tile_bytes, over_read_bytes), rows);
        return checked_add(batch_notes_bytes<tiles>(count_), packed);
    }

    /// Lays out the memory, on a cache line, and plans the work.
    void place(std::byte* memory) noexcept {
        items_ = reinterpret_cast<item*>(memory);
        packing_ = reinterpret_cast<work_share*>(memory + count_ * sizeof(item));
        products_ = packing_ + count_;
        std::byte* at = memory + *batch_notes_bytes<tiles>(count_);
        work_share packing, products;
        std::size_t last = count_;
        for (std::size_t i = 0; i < count_; ++i) {
            const auto p = item_at_(i);
            packing = {packing.after(), 0, 0};
            products = {products.after(), 0, 0};
            item made{};
            if (!has_no_tokens(p)) {
                if (last < count_ && same_activations(item_at_(last), p)) {
                    made.tiles = items_[last].tiles;
                } else {
                    made.tiles = {tokens_of(p), p.x.cols(), rows_rule_of<A, S>};
                    made.tiles.place(at);
                    at += made.tiles.bytes();
                    packing = packing_work(made.tiles, packing.before);
                }
                made.pieces = {div_ceil(p.w.rows(), panel_rows), made.tiles.tiles(), concurrency_};
                products = made.pieces.work(p.w.cols(), made.tiles.rows(), products.before);
                last = i;
            }
            std::construct_at(items_ + i, made);
            std::construct_at(packing_ + i, packing);
            std::construct_at(products_ + i, products);
        }
        rows_ = at + over_read_bytes;
    }

    template <class Prologue>
    [[nodiscard]] result<void> pack(const executor_ref& run, const Prologue& prologue,
                                    const char* where) noexcept {
        const work_list list{{packing_, count_}};
        return for_each_row_range(
            run, packing_tasks_, 1, where, [&](std::size_t index, std::size_t) -> result<void> {
                std::byte* row = rows_ + index * *row_bytes_;
                list.for_each(
                    index, packing_tasks_, [&](std::size_t i, std::size_t first, std::size_t last) {
                        const auto p = item_at_(i);
                        pack_tiles(items_[i].tiles, first, last, p.x, p.rows, row, prologue);
                    });
                return {};
            });
    }

    template <class... Args>
    [[nodiscard]] result<void> multiply(const executor_ref& run, const char* where,
                                        const Args&... args) noexcept {
        const work_list list{{products_, count_}};
        const std::size_t tasks = product_tasks(list.total(), list.pieces(), concurrency_);
        const auto multiply_share = [&](std::size_t index) noexcept {
            list.for_each(index, tasks, [&](std::size_t i, std::size_t first, std::size_t last) {
                const auto p = item_at_(i);
                const epilogue::residual previous(p.y);
                const auto stages = std::tuple_cat(stage_or_nothing(args, previous)...);
                multiply_pieces(items_[i].tiles, p.w, output_through(p.y, stages), items_[i].pieces,
                                first, last);
            });
        };
        return run_tasks(run, tasks, multiply_share, where);
    }

private:
    template <class P, class Prologue, class... Args>
    [[nodiscard]] result<void> check_one(const P& p, bool shared, const Prologue& prologue,
                                         const Args&... args) const noexcept {
        if (!shared) {
            if (auto valid = check_activations(p); !valid) return valid;
        }
        const epilogue::residual previous(p.y);
        const auto stages = std::tuple_cat(stage_or_nothing(args, previous)...);
        if (auto valid = check_product(tokens_of(p), p.x.cols(), p.w, p.y, stages); !valid) {
            return valid;
        }
        return shared ? result<void>() : check_prologue(tokens_of(p), p.x.cols(), prologue);
    }

    std::size_t count_;
    const ItemAt& item_at_;
    std::size_t concurrency_;
    batch_needs needs_;
    std::size_t packing_tasks_ = 1;
    maybe_size row_bytes_;
    item* items_ = nullptr;
    work_share *packing_ = nullptr, *products_ = nullptr;
    std::byte* rows_ = nullptr;
};

/// Runs products item_at(0) … item_at(count − 1).
template <class A, quantization_scheme S, class ItemAt, class... Args>
[[nodiscard]] result<void> run_batch(std::size_t count, const ItemAt& item_at,
                                     const batch_names& names, Args&... args) noexcept {
    using chosen = chosen_activations<A, S>;
    static_assert(activation<chosen>, "quant::matmul_batch: the template argument must be an "
                                      "activation, such as quant::activations::fp32");
    static_assert(product_plan<S, chosen>::fits,
                  "quant::matmul_batch: an activation group and a weight group must divide one "
                  "another, in whole quads of columns");
    auto& run = find_executor(args...);
    const auto prologue = find_prologue(args...);
    const scratch* given = find_scratch(args...);
    if (!checked_mul(count, 1024)) {
        return make_error(errc::size_overflow, names.function, "%zu products", count);
    }
    batch<chosen, S, ItemAt> work(count, item_at, concurrency_of(run));
    if (auto valid = work.check(names, prologue, args...); !valid) return valid;
    if (work.empty()) return {};
    const maybe_size bytes = work.bytes();
    char where[64];
    buffer<std::byte> own;
    if (given != nullptr) {
        std::snprintf(where, sizeof where, "%s: scratch", names.function);
        auto taken = take_scratch(*given, bytes, where);
        if (!taken) return taken.failure();
        work.place(*taken);
    } else {
        std::snprintf(where, sizeof where, "%s: x", names.function);
        if (!bytes) return error(errc::size_overflow, where, "exceeds the address space");
        auto made = buffer<std::byte>::uninitialized(*bytes, where);
        if (!made) return made.failure();
        own = std::move(*made);
        work.place(own.data());
    }
    if (auto packed = work.pack(run, prologue, names.function); !packed) return packed;
    return work.multiply(run, names.function, args...);
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
