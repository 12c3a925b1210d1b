// How the work of one call is divided among tasks: pieces of one size per item (tiles to pack,
// blocks of outputs to compute), items of different sizes one behind the other, cut where the work
// is even.
#pragma once

#include <quant/core/checked.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

namespace quant::inline QUANT_ABI {
namespace detail {

/// The pieces of an item, and the work of all items before it.
struct work_share {
    double before = 0;
    double per_piece = 0;
    std::size_t pieces = 0;

    [[nodiscard]] double after() const noexcept {
        return before + per_piece * static_cast<double>(pieces);
    }
};

/// A piece of an item.
struct work_place {
    std::size_t item, piece;
};

/// The work of a call: items in their order.
struct work_list {
    std::span<const work_share> items;

    [[nodiscard]] double total() const noexcept { return items.empty() ? 0 : items.back().after(); }
    [[nodiscard]] std::size_t pieces() const noexcept {
        std::size_t sum = 0;
        for (const work_share& share : items) sum += share.pieces;
        return sum;
    }

    /// The first piece of task `index` of `tasks`. Each end is the next task's beginning, so no
    /// rounding can leave a piece out or give it to two.
    [[nodiscard]] work_place begin(std::size_t index, std::size_t tasks) const noexcept {
        if (index == 0) return {0, 0};
        if (index == tasks) return {items.size(), 0};
        const double at = total() * static_cast<double>(index) / static_cast<double>(tasks);
        const auto next =
            std::upper_bound(items.begin(), items.end(), at,
                             [](double a, const work_share& b) { return a < b.before; });
        const auto item = static_cast<std::size_t>(next - items.begin()) - 1;
        const work_share& of = items[item];
        if (of.pieces == 0) return {item, 0};
        const double whole = std::ceil((at - of.before) / of.per_piece);
        return {item, whole < static_cast<double>(of.pieces) ? static_cast<std::size_t>(whole)
                                                             : of.pieces};
    }

    /// f(item, first piece, last piece) for the pieces of one task.
    template <class F>
    void for_each(std::size_t index, std::size_t tasks, F&& f) const {
        const work_place from = begin(index, tasks), to = begin(index + 1, tasks);
        for (std::size_t i = from.item; i < items.size() && i <= to.item; ++i) {
            const std::size_t first = i == from.item ? from.piece : 0;
            const std::size_t last = i == to.item ? to.piece : items[i].pieces;
            if (first < last) f(i, first, last);
        }
    }
};

/// Where dividing work begins to pay.
struct work_limits {
    double serial_below; ///< what is less stays on the calling thread
    double least;        ///< of a task
    std::size_t tasks_per_thread;
};

/// How many tasks: none without a piece, and as many for each thread.
[[nodiscard]] inline std::size_t task_count(double work, std::size_t pieces,
                                            std::size_t concurrency,
                                            const work_limits& limits) noexcept {
    if (concurrency <= 1 || pieces <= 1 || work < limits.serial_below) return 1;
    const std::size_t most = std::min(concurrency * limits.tasks_per_thread, pieces);
    const double wanted = work / limits.least;
    if (!(wanted < static_cast<double>(most))) return most;
    const auto tasks = std::max<std::size_t>(static_cast<std::size_t>(wanted), 1);
    return tasks <= concurrency ? tasks : tasks - tasks % concurrency;
}

/// How one product is cut: into blocks of panels and, where those are too few for the threads, into
/// parts of the tokens. Pieces are numbered part by part.
struct product_pieces {
    /// Outputs of a block begin on a cache line wherever rows of y do, and fill whole tiles.
    static constexpr std::size_t block_panels = 4;
    /// Each part decodes the weights anew, which many tokens must make up for.
    static constexpr std::size_t least_tiles = 12;
    static constexpr std::size_t tasks_per_thread = 4;

    std::size_t panels = 0, blocks = 0, tiles = 0, tiles_per_part = 0;

    product_pieces() noexcept = default;
    product_pieces(std::size_t panel_count, std::size_t tile_count,
                   std::size_t concurrency) noexcept
        : panels(panel_count), blocks(div_ceil(panel_count, block_panels)), tiles(tile_count),
          tiles_per_part(tile_count) {
        const std::size_t wanted = concurrency > 1 ? tasks_per_thread * concurrency : 1;
        if (blocks < wanted) {
            const std::size_t fair = div_ceil(tiles, div_ceil(wanted, blocks));
            tiles_per_part = std::min(tiles, std::max(fair, least_tiles));
        }
    }

    /// The work, whose unit is a multiply-add. Decoding weights for a tile costs as much as
    /// multiplying them with some tokens.
    [[nodiscard]] work_share work(std::size_t cols, std::size_t tokens,
                                  double before) const noexcept {
        constexpr double decode = 1;
        const std::size_t parts = div_ceil(tiles, tiles_per_part);
        const double whole = static_cast<double>(panels) * 16 * static_cast<double>(cols) *
                             (static_cast<double>(tokens) + decode * static_cast<double>(tiles));
        return {before, whole / static_cast<double>(blocks) / static_cast<double>(parts),
                blocks * parts};
    }

    /// f(first tile, last tile, first panel, last panel) for pieces first … last − 1.
    template <class F>
    void for_each(std::size_t first, std::size_t last, F&& f) const {
        while (first < last) {
            const std::size_t part = first / blocks;
            const std::size_t until = std::min(last, (part + 1) * blocks);
            const std::size_t tile = part * tiles_per_part;
            f(tile, std::min(tile + tiles_per_part, tiles), (first - part * blocks) * block_panels,
              std::min((until - part * blocks) * block_panels, panels));
            first = until;
        }
    }
};

/// Tasks of a product. Two threads gain from five microseconds of AVX-512 upward, when both are
/// awake; other instruction sets take longer for as much work.
[[nodiscard]] inline std::size_t product_tasks(double work, std::size_t pieces,
                                               std::size_t concurrency) noexcept {
    return task_count(work, pieces, concurrency,
                      {1 << 20, 1 << 18, product_pieces::tasks_per_thread});
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
