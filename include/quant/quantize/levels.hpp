// Steps of codes and codes of steps, sixteen at a time, for codes that name their levels
// themselves (policy/code.hpp). reference/quantize.hpp defines the same in scalar code.
#pragma once

#include <quant/policy/scheme.hpp>
#include <quant/simd/lookup.hpp>
#include <quant/simd/minifloat.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Whether steps are looked up: those of tables, and of the smallest minifloats.
template <quantization_scheme S>
inline constexpr bool steps_by_table =
    S::levels == level_kind::table || (S::levels == level_kind::minifloat && S::bits <= 4);

/// Entries of a table of steps; a second table's follow the first's.
template <quantization_scheme S>
inline constexpr std::size_t step_entries =
    static_cast<std::size_t>(S::tables) * (static_cast<std::size_t>(S::max_code) + 1);
template <quantization_scheme S>
inline constexpr std::array<float, 128> step_table = [] {
    std::array<float, 128> table{};
    if constexpr (steps_by_table<S>) {
        for (std::size_t i = 0; i < step_entries<S>; ++i) {
            const int code = static_cast<int>(i);
            table[i] = S::step(code & ((1 << S::bits) - 1), code >> S::bits);
        }
    }
    return table;
}();

/// Steps of one code per lane (plus 2^bits in a second table); bits above these do not count, so
/// that no byte leads out of a table.
template <quantization_scheme S>
QUANT_DETAIL_INLINE simd::f32x16 steps_of(const simd::i32x16& codes) noexcept {
    static_assert(!S::is_linear);
    const auto code = codes & simd::broadcast<std::int32_t>(S::tables * (1 << S::bits) - 1);
    if constexpr (steps_by_table<S>) {
        return simd::lookup_floats<step_entries<S>>(step_table<S>, code);
    } else {
        using number = typename S::code_type;
        const auto level = simd::widen_finite<number::exponent_bits, number::mantissa_bits>(code);
        if constexpr (S::unit == 1.0f) return level;
        return level * simd::broadcast(1.0f / S::unit);
    }
}

/// The same within one of two tables.
template <quantization_scheme S, int Table>
inline constexpr std::array<float, 128> steps_of_one_table = [] {
    std::array<float, 128> table{};
    for (int u = 0; u <= S::max_code; ++u) table[static_cast<std::size_t>(u)] = S::step(u, Table);
    return table;
}();
template <quantization_scheme S, int Table>
QUANT_DETAIL_INLINE simd::f32x16 steps_in(const simd::i32x16& codes) noexcept {
    if constexpr (S::tables == 1) {
        return steps_of<S>(codes);
    } else {
        constexpr auto levels = static_cast<std::size_t>(S::max_code) + 1;
        return simd::lookup_floats<levels>(steps_of_one_table<S, Table>, codes);
    }
}

/// Integers of two-level scales from their bytes.
template <quantization_scheme S>
QUANT_DETAIL_INLINE simd::i32x16 scale_values(const simd::i32x16& bytes) noexcept {
    if constexpr (S::least_scale < 0) {
        return simd::shift_right_signed<24 + S::tables - 1>(simd::shift_left<24>(bytes));
    } else {
        return simd::shift_right<S::tables - 1>(bytes);
    }
}

/// What lies between two levels of a table; behind the last, infinity.
template <quantization_scheme S, int Table>
inline constexpr std::array<float, 128> middles = [] {
    std::array<float, 128> table{};
    table.fill(std::numeric_limits<float>::infinity());
    for (int u = 0; u < S::max_code; ++u) {
        table[static_cast<std::size_t>(u)] = (S::step(u, Table) + S::step(u + 1, Table)) * 0.5f;
    }
    return table;
}();

/// Those of two tables, to choose from without a branch.
template <quantization_scheme S>
inline constexpr std::array<std::array<float, 128>, 2> middles_of_both{middles<S, 0>,
                                                                       middles<S, 1>};

/// A short way to the nearest of many levels: cells of equal width over the table's range, of each
/// the code at its lower end, and as many comparisons with the next middle as a cell can need.
template <quantization_scheme S, int Table>
struct level_cells {
    static constexpr std::size_t count = S::max_code < 16 ? 32 : 64;
    static constexpr float first = S::step(0, Table);
    static constexpr float per_step =
        static_cast<float>(count) / (S::step(S::max_code, Table) - first);

    /// Codes of steps around a cell's bounds; rounding may take a step to the cell beside its own.
    [[nodiscard]] static constexpr int code_at(float step) noexcept {
        int code = 0;
        while (code < S::max_code && step > middles<S, Table>[static_cast<std::size_t>(code)])
            ++code;
        return code;
    }
    [[nodiscard]] static constexpr int lower(std::size_t cell) noexcept {
        return cell == 0 ? 0 : code_at(first + (static_cast<float>(cell) - 0.01f) / per_step);
    }
    [[nodiscard]] static constexpr int upper(std::size_t cell) noexcept {
        return cell == count - 1 ? S::max_code
                                 : code_at(first + (static_cast<float>(cell) + 1.01f) / per_step);
    }
    static constexpr std::array<float, 128> start = [] {
        std::array<float, 128> table{};
        for (std::size_t i = 0; i < count; ++i) table[i] = static_cast<float>(lower(i));
        return table;
    }();
    static constexpr std::size_t comparisons = [] {
        int most = 0;
        for (std::size_t i = 0; i < count; ++i) {
            most = upper(i) - lower(i) > most ? upper(i) - lower(i) : most;
        }
        return static_cast<std::size_t>(most);
    }();
};

/// code + 1 where t lies above the middle behind the code, else code.
QUANT_DETAIL_INLINE simd::i32x16 next_if_above(const simd::f32x16& t, const simd::f32x16& middle,
                                               const simd::i32x16& code) noexcept {
    const auto above =
        simd::select_greater(t, middle, simd::broadcast(1.0f), simd::broadcast(0.0f));
    return code + simd::shift_right<29>(simd::float_to_bits(above)); // 1 or 0
}

/// Codes by comparing with all middles of a table; middle(i) is that behind code i, in lanes.
template <quantization_scheme S, class Middle>
QUANT_DETAIL_INLINE simd::i32x16 codes_between(const simd::f32x16& t, Middle middle) noexcept {
    auto code = simd::broadcast<std::int32_t>(0);
    for (std::size_t i = 0; i < static_cast<std::size_t>(S::max_code); ++i) {
        code = next_if_above(t, middle(i), code);
    }
    return code;
}

/// Whether nearest_codes looks its first guess up.
template <quantization_scheme S>
inline constexpr bool nearest_by_cells =
    S::levels == level_kind::table && S::max_code >= 15 && simd::has_float_lookup;

/// Codes of the steps nearest to t; see reference::nearest_step.
template <quantization_scheme S, int Table = 0>
QUANT_DETAIL_INLINE simd::i32x16 nearest_codes(const simd::f32x16& t) noexcept {
    if constexpr (nearest_by_cells<S>) {
        using cells = level_cells<S, Table>;
        constexpr auto levels = static_cast<std::size_t>(S::max_code) + 1;
        const auto place = (t - simd::broadcast(cells::first)) * simd::broadcast(cells::per_step);
        const auto inside = simd::min(simd::max(simd::floor(place), simd::broadcast(0.0f)),
                                      simd::broadcast(static_cast<float>(cells::count - 1)));
        auto code =
            simd::nearest(simd::lookup_floats<cells::count>(cells::start, simd::nearest(inside)));
        unroll<cells::comparisons>([&](auto) QUANT_DETAIL_LAMBDA {
            const auto middle = simd::lookup_floats<levels>(middles<S, Table>, code);
            code = next_if_above(t, middle, code);
        });
        return code;
    } else if constexpr (S::levels == level_kind::table) {
        return codes_between<S>(t, [](std::size_t i) QUANT_DETAIL_LAMBDA {
            return simd::broadcast(middles<S, Table>[i]);
        });
    } else {
        using number = typename S::code_type;
        const auto inside = simd::min(simd::max(t, simd::broadcast(S::least_step)),
                                      simd::broadcast(S::greatest_step));
        const auto code = simd::narrow_finite<number::exponent_bits, number::mantissa_bits>(
            S::unit == 1.0f ? inside : inside * simd::broadcast(S::unit));
        // −0 becomes 0: the sign bit alone is no code that is written.
        const auto magnitude = code & simd::broadcast<std::int32_t>(number::sign_bit - 1);
        return simd::select_greater(magnitude, simd::broadcast<std::int32_t>(0), code, magnitude);
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
