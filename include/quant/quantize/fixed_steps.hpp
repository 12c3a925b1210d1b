// Nearest steps in 16-bit fixed point, thirty-two at a time: what a search tries scales with.
#pragma once

#include <quant/policy/scheme.hpp>
#include <quant/simd/cell_lookup.hpp>
#include <quant/simd/halves.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// The largest step of a scheme, with any zero point.
template <quantization_scheme S>
inline constexpr int farthest_step = [] {
    if constexpr (S::has_zero_point) {
        return S::max_code;
    } else {
        return static_cast<int>(std::max(-S::least_step, S::greatest_step));
    }
}();

/// The smallest share of the min-max scale that is tried, as a power of two below 1: the longer
/// groups and the fewer levels, the smaller. Shares below are like it.
template <quantization_scheme S>
inline constexpr int smallest_share = [] {
    constexpr bool is_long = S::group_cols == all || S::group_cols > 256 || S::group_rows != 1;
    if constexpr (S::bits <= 2) return 5;
    if constexpr (is_long) return S::bits <= 4 ? 5 : S::bits <= 6 ? 4 : 3;
    return 2;
}();

/// Fraction bits of w / scale: even the smallest scale leads to numbers of 14 bits and a sign.
template <quantization_scheme S>
inline constexpr int step_fraction =
    (S::has_minimum ? 13 : 14) - std::bit_width(static_cast<unsigned>(farthest_step<S>) - 1) -
    smallest_share<S>;

/// Integer steps in ascending order, each once.
template <quantization_scheme S, int Table>
struct step_ladder {
    std::array<std::int16_t, 256> step{};
    std::size_t count = 0;

    consteval step_ladder() {
        for (int u = 0; u <= S::max_code; ++u) {
            if (S::is_level(u)) step[count++] = static_cast<std::int16_t>(S::step(u, Table));
        }
        std::sort(step.begin(), step.begin() + static_cast<std::ptrdiff_t>(count));
        count = static_cast<std::size_t>(
            std::unique(step.begin(), step.begin() + static_cast<std::ptrdiff_t>(count)) -
            step.begin());
    }
};
template <quantization_scheme S, int Table>
inline constexpr step_ladder<S, Table> ladder{};

/// What lies between steps i and i + 1, in fixed point.
template <quantization_scheme S, int Table>
[[nodiscard]] consteval std::int16_t middle_above(std::size_t i) {
    static_assert(step_fraction<S> >= 2); // middles are even
    const int sum = ladder<S, Table>.step[i] + ladder<S, Table>.step[i + 1];
    return static_cast<std::int16_t>(sum * (1 << (step_fraction<S> - 1)));
}

/// Cells of 2^shift numbers in fixed point, none with more than one middle: the step below it, how
/// far it is to the next one, and the middle.
template <quantization_scheme S, int Table, int MostShift>
struct fixed_cells_up_to {
    int shift = MostShift;
    std::int16_t first = 0;
    std::size_t count = 0;
    std::array<std::int16_t, 128> below{}, rise{}, middle{};

    consteval fixed_cells_up_to() {
        while (!fill()) --shift;
    }

private:
    /// False if two middles meet in a cell; no cells if there would be too many.
    consteval bool fill() {
        const auto& steps = ladder<S, Table>;
        std::array<int, 128> middles{};
        for (std::size_t i = 0; i + 1 < steps.count; ++i) {
            middles[i] = (steps.step[i] + steps.step[i + 1]) * (1 << (step_fraction<S> - 1));
        }
        const int from = middles[0] >> shift;
        const auto cells = static_cast<std::size_t>((middles[steps.count - 2] >> shift) - from + 1);
        count = 0;
        if (cells > 128) return true;
        for (std::size_t i = 0; i + 2 < steps.count; ++i) {
            if (middles[i] >> shift == middles[i + 1] >> shift) return false;
        }
        first = static_cast<std::int16_t>(from * (1 << shift));
        std::size_t i = 0;
        for (std::size_t cell = 0; cell < cells; ++cell) {
            below[cell] = steps.step[i];
            middle[cell] = 32767; // none: nothing is above it
            if (i + 1 < steps.count && (middles[i] >> shift) - from == static_cast<int>(cell)) {
                middle[cell] = static_cast<std::int16_t>(middles[i]);
                rise[cell] = static_cast<std::int16_t>(steps.step[i + 1] - steps.step[i]);
                ++i;
            }
        }
        count = cells;
        return true;
    }
};
template <quantization_scheme S, int Table>
inline constexpr fixed_cells_up_to<S, Table, 14> fixed_cells{};
/// The same with few enough numbers in a cell for bytes.
template <quantization_scheme S, int Table>
inline constexpr fixed_cells_up_to<S, Table, 7> narrow_fixed_cells{};
template <quantization_scheme S, int Table>
inline constexpr simd::cell_bytes fixed_cell_bytes = [] {
    constexpr const auto& in = narrow_fixed_cells<S, Table>;
    simd::cell_bytes bytes{};
    for (std::size_t i = 0; i < in.count; ++i) {
        bytes.below[i] = static_cast<std::uint8_t>(in.below[i]);
        bytes.rise[i] = static_cast<std::uint8_t>(in.rise[i]);
        if (in.rise[i] != 0) {
            bytes.border[i] =
                static_cast<std::uint8_t>((in.middle[i] - in.first) & ((1 << in.shift) - 1));
        }
    }
    return bytes;
}();

/// t minus the first cell's beginning, with t clamped to the cells. A middle is never a cell's last
/// number, being even: what lies above the last middle stays so.
template <const auto& In>
QUANT_DETAIL_INLINE simd::i32x16 place_in_cells(const simd::i32x16& t) noexcept {
    static_assert(In.shift >= 1);
    constexpr auto last =
        static_cast<std::int16_t>(In.first + (static_cast<int>(In.count) << In.shift) - 1);
    const auto first = simd::broadcast_halves(In.first);
    return simd::subtract_halves_saturating(
        simd::clamp_halves(t, first, simd::broadcast_halves(last)), first);
}

/// Bounds of linear steps.
struct fixed_bounds {
    simd::i32x16 least, greatest;
};

/// The steps nearest to numbers in fixed point; of equally near ones the greater if the code is
/// linear, else the lesser.
template <quantization_scheme S, int Table>
QUANT_DETAIL_INLINE simd::i32x16 nearest_fixed_steps(const simd::i32x16& t,
                                                     const fixed_bounds& bounds) noexcept {
    constexpr int fraction = step_fraction<S>;
    if constexpr (S::is_linear && S::multiplier == 2) {
        const auto half = simd::shift_halves<fraction + 1>(t);
        const auto odd = simd::add_halves(simd::add_halves(half, half), simd::broadcast_halves(1));
        return simd::clamp_halves(odd, bounds.least, bounds.greatest);
    } else if constexpr (S::is_linear) {
        const auto half = simd::broadcast_halves(1 << (fraction - 1));
        return simd::clamp_halves(simd::shift_halves<fraction>(simd::add_halves(t, half)),
                                  bounds.least, bounds.greatest);
    } else if constexpr (simd::has_half_lookup && ladder<S, Table>.count > 4 &&
                         fixed_cells<S, Table>.count > 0) {
        constexpr const auto& in = fixed_cells<S, Table>;
        const auto cell = simd::shift_halves<in.shift>(place_in_cells<in>(t));
        return simd::add_where_greater(simd::lookup_halves<in.count>(in.below, cell), t,
                                       simd::lookup_halves<in.count>(in.middle, cell),
                                       simd::lookup_halves<in.count>(in.rise, cell));
    } else if constexpr (simd::has_cell_lookup && ladder<S, Table>.count > 4 &&
                         narrow_fixed_cells<S, Table>.count > 0) {
        constexpr const auto& in = narrow_fixed_cells<S, Table>;
        return simd::lookup_cells<in.count, in.shift>(fixed_cell_bytes<S, Table>,
                                                      place_in_cells<in>(t));
    } else {
        constexpr const auto& steps = ladder<S, Table>;
        auto step = simd::broadcast_halves(steps.step[0]);
        unroll<steps.count - 1>([&](auto i) QUANT_DETAIL_LAMBDA {
            constexpr auto rise = static_cast<std::int16_t>(steps.step[i + 1] - steps.step[i]);
            step =
                simd::add_where_greater(step, t, simd::broadcast_halves(middle_above<S, Table>(i)),
                                        simd::broadcast_halves(rise));
        });
        return step;
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
