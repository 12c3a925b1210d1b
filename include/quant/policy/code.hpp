// Code axis: how many bits a weight's code has and which levels the codes stand for.
//
// In storage a code is always unsigned, 0 … max_code. A linear code's level is the code itself,
// shifted by the mapping (see mapping.hpp); other codes name their levels themselves.
#pragma once

#include <quant/core/bit_cast.hpp>
#include <quant/core/minifloat.hpp>

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace quant::inline QUANT_VOCABULARY {

/// Equally spaced levels, B bits wide, 1 ≤ B ≤ 8.
template <int B>
struct int_code {
    static_assert(1 <= B && B <= 8, "quant: int_code holds 1 to 8 bits");
    static constexpr int bits = B;
    /// Number of steps between the first and the last level, 2^B − 1.
    static constexpr int max_code = (1 << B) - 1;
};

using int8 = int_code<8>;
using int7 = int_code<7>;
using int6 = int_code<6>;
using int5 = int_code<5>;
using int4 = int_code<4>;
using int3 = int_code<3>;
using int2 = int_code<2>;
using binary = int_code<1>;

namespace core_detail {

template <class Table>
constexpr bool ascends() {
    for (std::size_t i = 1; i < Table::levels.size(); ++i) {
        if (!(Table::levels[i - 1] < Table::levels[i])) return false;
    }
    return true;
}

template <class Table>
constexpr bool valid_table() {
    using level_type = typename decltype(Table::levels)::value_type;
    static_assert(std::is_same_v<level_type, std::int8_t> || std::is_same_v<level_type, float>,
                  "quant::codebook: levels are std::int8_t or float");
    static_assert(2 <= Table::levels.size() && Table::levels.size() <= 64,
                  "quant::codebook: a table has 2 to 64 levels");
    static_assert(ascends<Table>(), "quant::codebook: levels must ascend");
    static_assert(Table::levels.front() <= 0 && Table::levels.back() > 0,
                  "quant::codebook: levels must reach from zero or below to above zero");
    return true;
}

template <class Table, class Second>
constexpr bool can_be_second() {
    if constexpr (std::is_void_v<Second>) {
        return true;
    } else {
        using level_type = typename decltype(Table::levels)::value_type;
        using second_type = typename decltype(Second::levels)::value_type;
        constexpr std::size_t n = Table::levels.size();
        return valid_table<Second>() && Second::levels.size() == n && std::has_single_bit(n) &&
               std::is_same_v<level_type, std::int8_t> && std::is_same_v<second_type, std::int8_t>;
    }
}

} // namespace core_detail

/// Levels of the user's choice: Table has `static constexpr std::array<T, N> levels`, strictly
/// ascending, 2 ≤ N ≤ 64. With T = std::int8_t products run as those of integers; with float they
/// take float activations. A level is multiplied by the group's scale as it is.
///
///     struct odd { static constexpr std::array<std::int8_t, 4> levels{-40, -9, 9, 40}; };
///     using w2 = quant::scheme<quant::codebook<odd>, quant::symmetric,
///                              quant::group_wise<64>, quant::fp16>;
///
/// With a second table, of std::int8_t and of as many levels, a power of two, each group chooses
/// between the two: a bit beside the group's integer of a two_level scale.
template <class Table, class Second = void>
struct codebook {
    static_assert(core_detail::valid_table<Table>());
    static_assert(core_detail::can_be_second<Table, Second>(),
                  "quant::codebook: two tables have as many levels of std::int8_t, a power of two");
};

/// Levels −1, 0, 1 in 2 bits.
struct ternary_levels {
    static constexpr std::array<std::int8_t, 3> levels{-1, 0, 1};
};
using ternary = codebook<ternary_levels>;

/// NormalFloat of 4 bits: quantiles of the normal distribution, with an exact zero. Source: QLoRA
/// (Dettmers et al., 2023), appendix E.
struct nf4_levels {
    static constexpr std::array<float, 16> levels{-1.0f,
                                                  -0.6961928009986877f,
                                                  -0.5250730514526367f,
                                                  -0.39491748809814453f,
                                                  -0.28444138169288635f,
                                                  -0.18477343022823334f,
                                                  -0.09105003625154495f,
                                                  0.0f,
                                                  0.07958029955625534f,
                                                  0.16093020141124725f,
                                                  0.24611230194568634f,
                                                  0.33791524171829224f,
                                                  0.44070982933044434f,
                                                  0.5626170039176941f,
                                                  0.7229568362236023f,
                                                  1.0f};
};
using nf4 = codebook<nf4_levels>;

/// How levels are found from codes.
enum class level_kind : std::uint8_t {
    linear,   ///< by arithmetic on the code
    table,    ///< in a table of at most 64 entries
    minifloat ///< the code is a small floating-point number
};

/// What the library asks of a code: bits, the greatest code, its kind and, unless it is linear,
/// the level of each code as a real number.
template <class T>
struct code_traits;

template <int B>
struct code_traits<int_code<B>> {
    static constexpr int bits = B;
    static constexpr int max_code = int_code<B>::max_code;
    static constexpr int tables = 1;
    static constexpr level_kind kind = level_kind::linear;
};
template <class Table, class Second>
struct code_traits<codebook<Table, Second>> {
    static_assert(sizeof(codebook<Table, Second>) > 0); // its own assertions are looked at here
    static constexpr int max_code = static_cast<int>(Table::levels.size()) - 1;
    static constexpr int bits = std::bit_width(static_cast<unsigned>(max_code));
    static constexpr int tables = std::is_void_v<Second> ? 1 : 2;
    static constexpr level_kind kind = level_kind::table;
    [[nodiscard]] static constexpr float level(int code, int table = 0) noexcept {
        const auto i = static_cast<std::size_t>(code);
        if constexpr (tables == 2) {
            if (table == 1) return static_cast<float>(Second::levels[i]);
        }
        return static_cast<float>(Table::levels[i]);
    }
    [[nodiscard]] static constexpr bool valid(int code) noexcept { return code <= max_code; }
};
template <int E, int M>
struct code_traits<minifloat<E, M>> {
    using number = minifloat<E, M>;
    static constexpr int bits = number::width;
    static constexpr int max_code = (1 << bits) - 1;
    static constexpr int tables = 1;
    static constexpr level_kind kind = level_kind::minifloat;
    [[nodiscard]] static constexpr float level(int code, int /*table*/ = 0) noexcept {
        return static_cast<float>(number::from_bits(static_cast<std::uint8_t>(code)));
    }
    /// Whether the code stands for a finite number.
    [[nodiscard]] static constexpr bool valid(int code) noexcept {
        return (code & (number::sign_bit - 1)) <= number::greatest_bits;
    }
};

template <class T>
inline constexpr bool is_code = false;
template <int B>
inline constexpr bool is_code<int_code<B>> = true;
template <class Table, class Second>
inline constexpr bool is_code<codebook<Table, Second>> = true;
template <int E, int M>
inline constexpr bool is_code<minifloat<E, M>> = true;

/// A choice on the code axis.
template <class T>
concept code = is_code<T>;

namespace core_detail {

/// Levels of a code that is not linear, as multiples of a power of two: level = unit · step.
template <class Code>
struct level_steps {
    using traits = code_traits<Code>;

    /// f(level) of all codes and tables.
    template <class F>
    static constexpr void for_each(F f) {
        for (int table = 0; table < traits::tables; ++table) {
            for (int code = 0; code <= traits::max_code; ++code) {
                if (traits::valid(code)) f(traits::level(code, table));
            }
        }
    }
    /// Whether all levels are multiples of u that 8 bits hold.
    [[nodiscard]] static constexpr bool fit_int8_by(float u) noexcept {
        bool fit = true;
        for_each([&](float level) {
            const float step = level / u;
            fit = fit && -128 <= step && step <= 127 &&
                  step == static_cast<float>(static_cast<int>(step));
        });
        return fit;
    }
    /// A minifloat's least positive number divides all its others.
    static constexpr float divisor = [] {
        if constexpr (traits::kind == level_kind::minifloat) {
            return traits::level(1);
        } else {
            return 1.0f;
        }
    }();
    static constexpr bool fit_int8 = fit_int8_by(divisor);
    static constexpr float unit = fit_int8 ? divisor : 1.0f;

    [[nodiscard]] static constexpr float step(int code, int table) noexcept {
        return traits::level(code, table) / unit;
    }
    static constexpr float least = [] {
        float found = 0;
        for_each([&](float level) { found = level / unit < found ? level / unit : found; });
        return found;
    }();
    static constexpr float greatest = [] {
        float found = 0;
        for_each([&](float level) { found = level / unit > found ? level / unit : found; });
        return found;
    }();
};

/// Whether a float is a bf16 number.
[[nodiscard]] constexpr bool fits_bf16(float value) noexcept {
    return (core_detail::bit_cast<std::uint32_t>(value) & 0xFFFFu) == 0;
}

} // namespace core_detail

} // namespace quant::inline QUANT_VOCABULARY
