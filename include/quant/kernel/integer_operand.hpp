// What integer products multiply for codes: unsigned bytes, and by how much they exceed levels.
#pragma once

#include <quant/pack/planes.hpp>
#include <quant/policy/descriptor.hpp>
#include <quant/quantize/group.hpp>
#include <quant/simd/lanes.hpp>
#include <quant/simd/lookup.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// The code u itself, 2u + 1 for midrise, or, for codes that name their steps themselves, a step
/// raised by as much as the least one needs.
template <quantization_scheme S>
struct integer_operand {
    /// Whether 2u + 1 is multiplied.
    static constexpr bool odd = S::multiplier == 2 && S::bits < 8;
    /// Small tables are repeated below, so that codes that are looked up need no clean bytes where
    /// simd::repeated_bytes says so.
    static constexpr code_form form{.odd = odd,
                                    .clean = S::is_linear || S::tables > 1 ||
                                             (std::size_t{1} << S::bits) > simd::repeated_bytes};
    /// What steps that are looked up are raised by, so that none is negative: the least 2^n − 1 or
    /// 2^n that does.
    static constexpr int raised_by = [] {
        const int least = -static_cast<int>(S::least_step);
        int raise = 0;
        while (raise < least && raise < 127) raise = 2 * raise + 1;
        return raise < least ? 128 : raise;
    }();
    /// The bits of an operand.
    static constexpr int bits =
        S::is_linear ? S::bits + (odd ? 1 : 0)
                     : std::bit_width(static_cast<unsigned>(static_cast<int>(S::greatest_step)) +
                                      static_cast<unsigned>(raised_by));
    /// What it exceeds a level by; midrise codes of 8 bits are doubled before. integer_sums doubles
    /// others, too, of one token.
    static constexpr int excess = !S::is_linear        ? raised_by
                                  : odd                ? 1 << S::bits
                                  : S::multiplier == 2 ? 0
                                                       : S::offset;
    static constexpr bool doubles_sums = S::multiplier == 2 && !odd;

    /// Operands of decoded codes, which are 2u + 1 already if `odd`. table: of two tables the
    /// chosen one, see lane_grid.
    [[nodiscard]] QUANT_DETAIL_INLINE static simd::i32x16
    of(const simd::i32x16& codes, [[maybe_unused]] const simd::i32x16& table) noexcept {
        if constexpr (S::is_linear) {
            return codes;
        } else if constexpr (S::tables == 2) {
            return simd::lookup_bytes<step_entries<S>>(raised_steps, codes | table);
        } else {
            return simd::lookup_bytes<step_entries<S>>(raised_steps, codes);
        }
    }

private:
    /// Steps so raised, by code; of one table as often as there is room.
    static constexpr std::array<std::uint8_t, 128> raised_steps = [] {
        std::array<std::uint8_t, 128> table{};
        for (std::size_t i = 0; i < table.size(); ++i) {
            const int u = static_cast<int>(i) & ((1 << S::bits) - 1);
            const int chosen = static_cast<int>(i) >> S::bits & (S::tables - 1);
            if (!S::is_level(u)) continue;
            const int step = static_cast<int>(S::step(u, chosen));
            table[i] = static_cast<std::uint8_t>(step + raised_by);
        }
        return table;
    }();
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
