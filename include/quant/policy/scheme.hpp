// scheme: a quantized format as a composition of one choice on each axis.
#pragma once

#include <quant/policy/code.hpp>
#include <quant/policy/granularity.hpp>
#include <quant/policy/mapping.hpp>
#include <quant/policy/scale.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace quant::inline QUANT_VOCABULARY {

/// A quantized format: code × mapping × granularity × scale. An empty type; everything else in
/// the library is instantiated from it.
///
///     using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;
template <class Code, class Mapping, class Granularity, class Scale>
struct scheme {
    static_assert(is_code<Code>, "quant::scheme: the first argument must be a code, such as "
                                 "quant::int4");
    static_assert(is_mapping<Mapping>, "quant::scheme: the second argument must be a mapping: "
                                       "symmetric, midrise, asymmetric or asymmetric_min");
    static_assert(is_granularity<Granularity>,
                  "quant::scheme: the third argument must be a granularity: per_tensor, "
                  "per_channel, group_wise<N> or block_wise<R, C>");
    static_assert(is_scale<Scale>, "quant::scheme: the fourth argument must be a scale type: "
                                   "float, quant::fp16, bf16, fp8_e4m3, e8m0 or two_level");

    using code_type = Code;
    using mapping_type = Mapping;
    using granularity_type = Granularity;
    /// What a group stores as its scale: a number of the scale axis; with two levels, a byte with
    /// the integer (see scale_value) and the choice between two tables.
    using scale_type = typename core_detail::scale_parts<Scale>::stored;
    /// The choice on the scale axis.
    using scale_policy = Scale;

    static constexpr int bits = code_traits<Code>::bits;
    static constexpr int max_code = code_traits<Code>::max_code;
    static constexpr level_kind levels = code_traits<Code>::kind;
    /// Tables between which each group chooses.
    static constexpr int tables = code_traits<Code>::tables;
    static constexpr bool is_linear = levels == level_kind::linear;
    static_assert(is_linear || std::is_same_v<Mapping, symmetric>,
                  "quant::scheme: a codebook or floating-point code names its levels itself; its "
                  "mapping must be symmetric");
    static_assert(!std::is_same_v<Mapping, asymmetric_min> || has_signed_scales<Scale> ||
                      core_detail::scale_parts<Scale>::two_levels,
                  "quant::scheme: a minimum needs a scale type with a sign: float, fp16 or bf16");
    /// Two levels: integers of groups under super-scales of super_groups groups each.
    static constexpr bool is_two_level = core_detail::scale_parts<Scale>::two_levels;
    using super_type = typename core_detail::scale_parts<Scale>::super;
    static constexpr std::size_t super_groups = core_detail::scale_parts<Scale>::groups;
    static constexpr int least_scale = core_detail::scale_parts<Scale>::least;
    static constexpr int greatest_scale = core_detail::scale_parts<Scale>::greatest;
    static constexpr int scale_bits = core_detail::scale_parts<Scale>::bits;
    static_assert(!is_two_level || (Granularity::rows == 1 && Granularity::cols != all),
                  "quant::scheme: two_level scales are those of groups of a row: group_wise<N>");
    static_assert(tables == 1 || (is_two_level && scale_bits <= 7),
                  "quant::scheme: two tables need a two_level scale of at most 7 bits");
    static_assert(!is_two_level || Mapping::stores != group_offset::zero_point,
                  "quant::scheme: two_level scales go with symmetric, midrise or asymmetric_min");
    /// The integer and the table in a two-level scale's byte, and the byte of both.
    [[nodiscard]] static constexpr int scale_value(std::uint8_t byte) noexcept {
        const int value = least_scale < 0 ? static_cast<std::int8_t>(byte) : byte;
        return value >> (tables - 1);
    }
    [[nodiscard]] static constexpr int scale_table(std::uint8_t byte) noexcept {
        return byte & (tables - 1);
    }
    [[nodiscard]] static constexpr std::uint8_t scale_byte(int value, int table = 0) noexcept {
        return static_cast<std::uint8_t>(value * tables + table);
    }
    static constexpr group_offset offset_kind = Mapping::stores;
    static constexpr bool has_zero_point = offset_kind == group_offset::zero_point;
    static constexpr bool has_minimum = offset_kind == group_offset::minimum;
    static constexpr bool has_offset = offset_kind != group_offset::none;
    /// Linear codes: t = multiplier·u − offset − z is the integer that the scale multiplies.
    static constexpr int multiplier = Mapping::multiplier;
    static constexpr int offset = is_linear ? Mapping::template offset<bits> : 0;

    /// A level is unit·t with t = step(u) (− z): powers of two are taken out of levels that are
    /// small integers then. 1 for linear codes.
    static constexpr float unit = [] {
        if constexpr (is_linear) {
            return 1.0f;
        } else {
            return core_detail::level_steps<Code>::unit;
        }
    }();
    [[nodiscard]] static constexpr float step(int u, [[maybe_unused]] int table) noexcept {
        if constexpr (is_linear) {
            return static_cast<float>(multiplier * u - offset);
        } else {
            return core_detail::level_steps<Code>::step(u, table);
        }
    }
    [[nodiscard]] static constexpr float step(int u) noexcept { return step(u, 0); }
    static constexpr float least_step = [] {
        if constexpr (is_linear) {
            return step(0);
        } else {
            return core_detail::level_steps<Code>::least;
        }
    }();
    static constexpr float greatest_step = [] {
        if constexpr (is_linear) {
            return step(max_code);
        } else {
            return core_detail::level_steps<Code>::greatest;
        }
    }();
    /// Whether steps are integers of 8 bits (9, midrise and with zero points), so that products
    /// with integer activations are exact.
    static constexpr bool has_integer_steps = [] {
        if constexpr (is_linear) {
            return true;
        } else {
            return core_detail::level_steps<Code>::fit_int8;
        }
    }();
    /// Whether a code stands for a number.
    [[nodiscard]] static constexpr bool is_level(int u) noexcept {
        if constexpr (is_linear) {
            return u <= max_code;
        } else {
            return code_traits<Code>::valid(u);
        }
    }
    /// The code that a zero scale's weights get: its level times 0 is +0.
    static constexpr int zero_code = [] {
        if constexpr (is_linear) {
            return Mapping::template zero_code<bits>;
        } else {
            int found = 0;
            while (!(is_level(found) && step(found) >= 0)) ++found;
            return found;
        }
    }();

    /// How a group's offset is stored: a byte for a zero point, the scale's type for a minimum (of
    /// two levels, an integer from 0 to greatest_minimum).
    using offset_type = std::conditional_t<has_minimum, scale_type, std::uint8_t>;

    /// Columns that share a scale; `all` (0) for whole rows.
    static constexpr std::size_t group_cols = Granularity::cols;
    /// Rows that share a scale; `all` (0) for the whole matrix.
    static constexpr std::size_t group_rows = Granularity::rows;

    /// Columns of a full group in a matrix of `cols` columns.
    [[nodiscard]] static constexpr std::size_t group_size(std::size_t cols) noexcept {
        return group_cols == all || group_cols > cols ? cols : group_cols;
    }
    /// Groups in a row of `cols` columns.
    [[nodiscard]] static constexpr std::size_t groups_per_row(std::size_t cols) noexcept {
        if constexpr (group_cols == all) {
            return 1;
        } else {
            return cols / group_cols + (cols % group_cols != 0 ? 1 : 0);
        }
    }
    static constexpr int greatest_minimum = is_two_level ? (1 << scale_bits) - 1 : 0;
    /// Super-scales of a row of `cols` columns; 0 unless there are two levels.
    [[nodiscard]] static constexpr std::size_t supers_per_row(std::size_t cols) noexcept {
        const std::size_t groups = groups_per_row(cols);
        return is_two_level ? groups / super_groups + (groups % super_groups != 0 ? 1 : 0) : 0;
    }
    /// Rows of scales in a matrix of `rows` rows.
    [[nodiscard]] static constexpr std::size_t scale_rows(std::size_t rows) noexcept {
        if constexpr (group_rows == all) {
            return 1;
        } else {
            return rows / group_rows + (rows % group_rows != 0 ? 1 : 0);
        }
    }
    /// The row of scales that governs a matrix row.
    [[nodiscard]] static constexpr std::size_t scale_row(std::size_t row) noexcept {
        return group_rows == all ? 0 : row / group_rows;
    }
    /// Bits that a matrix of this shape needs in this format, padding not counted.
    [[nodiscard]] static constexpr double nominal_bits(std::size_t rows,
                                                       std::size_t cols) noexcept {
        const double group_bits = scale_bits + (tables - 1) +
                                  (has_minimum      ? scale_bits
                                   : has_zero_point ? bits
                                                    : 0);
        const double super_bits = 8.0 * sizeof(super_type) * (has_minimum ? 2 : 1);
        return static_cast<double>(rows) * static_cast<double>(cols) * bits +
               static_cast<double>(scale_rows(rows)) *
                   (static_cast<double>(groups_per_row(cols)) * group_bits +
                    static_cast<double>(supers_per_row(cols)) * super_bits);
    }
};

template <class T>
inline constexpr bool is_scheme = false;
template <class C, class M, class G, class S>
inline constexpr bool is_scheme<scheme<C, M, G, S>> = true;

/// An instance of quant::scheme.
template <class T>
concept quantization_scheme = is_scheme<T>;

} // namespace quant::inline QUANT_VOCABULARY
