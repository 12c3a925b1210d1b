// sum_chains: the sums in which the quads of a superblock take turns, of one token and one panel.
//
// A product waits for the last one of the same sum, so that a single sum would leave processors
// idle. And where several codes share a byte, products need not shift them down to its lowest bits:
// those at one place get a sum of their own, too large by a power of two, by which it is divided
// once per step. That is exact, and wraps no more than sums of 8-bit codes do.
#pragma once

#include <quant/kernel/plan.hpp>
#include <quant/pack/planes.hpp>

#include <cstddef>

namespace quant::inline QUANT_ABI {
namespace detail {

template <quantization_scheme S, activation A>
class sum_chains {
    /// Bits by which a quad's codes may stay too high: their place in the byte, or a lower one
    /// where all bits of the code fit.
    static constexpr int raise_of(std::size_t quad) noexcept {
        if (!S::is_linear || S::bits == 8) return 0;
        constexpr int width = planes<S::bits>::bits(0);
        // Four places of one bit, too: one shift serves the upper four, and a further sum would
        // cost as much as it saves.
        int raise = plane_place<S::bits>::of(0, quad).shift % (4 * width);
        while (raise > 8 - S::bits) raise -= width;
        return raise;
    }
    static constexpr std::size_t quads_raised_by(int raise) noexcept {
        std::size_t quads = 0;
        for (std::size_t q = 0; q < 8; ++q) {
            if (raise_of(q) == raise) ++quads;
        }
        return quads;
    }

    struct chain_table {
        std::size_t chain[8]; ///< by quad
        int raise[8];         ///< by chain, ascending
        std::size_t count;    ///< of chains
    };
    static constexpr chain_table table = [] {
        chain_table t{};
        std::size_t raises = 0;
        for (int raise = 0; raise < 8; ++raise) raises += quads_raised_by(raise) > 0 ? 1u : 0u;
        // Four in all are enough for a product's latency; two, where processors work on several
        // short steps at once anyway.
        const bool long_step = product_plan<S, A>::step > 2 * superblock_cols;
        const std::size_t ways = long_step ? 4 / raises : raises == 1 ? 2 : 1;
        for (int raise = 0; raise < 8; ++raise) {
            if (quads_raised_by(raise) == 0) continue;
            std::size_t turn = 0;
            for (std::size_t q = 0; q < 8; ++q) {
                if (raise_of(q) == raise) t.chain[q] = t.count + turn++ % ways;
            }
            for (std::size_t way = 0; way < ways; ++way) t.raise[t.count++] = raise;
        }
        return t;
    }();

public:
    static constexpr std::size_t count = table.count;
    static_assert(table.raise[0] == 0); // what sums start at is not raised

    [[nodiscard]] static constexpr std::size_t chain(std::size_t quad) noexcept {
        return table.chain[quad];
    }
    /// The products of a quad's codes are 2^raise times too large.
    [[nodiscard]] static constexpr int raise(std::size_t quad) noexcept {
        return table.raise[table.chain[quad]];
    }
    /// By how many bits a chain's sum exceeds the size of the one before it.
    [[nodiscard]] static constexpr int shift_to_previous(std::size_t chain) noexcept {
        return table.raise[chain] - table.raise[chain - 1];
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
