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

/// Codes of the steps nearest to t; see reference::nearest_step.
template <quantization_scheme S, int Table = 0>
QUANT_DETAIL_INLINE simd::i32x16 nearest_codes(const simd::f32x16& t) noexcept {
    if constexpr (S::levels == level_kind::table) {
        auto code = simd::broadcast<std::int32_t>(0);
        unroll<static_cast<std::size_t>(S::max_code)>([&](auto i) QUANT_DETAIL_LAMBDA {
            const auto above = simd::select_greater(t, simd::broadcast(middles<S, Table>[i]),
                                                    simd::broadcast(1.0f), simd::broadcast(0.0f));
            code = code + simd::shift_right<29>(simd::float_to_bits(above)); // 1 or 0
        });
        return code;
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
