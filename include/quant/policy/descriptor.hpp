// scheme_descriptor: a scheme as a value, for files and for formats known only at run time.
#pragma once

#include <quant/core/bit_cast.hpp>
#include <quant/policy/scheme.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace quant::inline QUANT_VOCABULARY {

/// Numbers below are written to packed files: they never change and are never reused.
enum class code_kind : std::uint8_t { integer = 1, codebook = 2, minifloat = 3 };
enum class mapping_kind : std::uint8_t {
    symmetric = 1,
    midrise = 2,
    asymmetric = 3,
    asymmetric_min = 4
};
enum class scale_kind : std::uint8_t {
    float32 = 1,
    fp16 = 2,
    bf16 = 3,
    e8m0 = 4,
    fp8 = 5,
    two_level = 6
};

/// A scheme as a value. Two schemes are the same format exactly if their descriptors are equal.
struct scheme_descriptor {
    code_kind code{};
    std::uint8_t bits = 0;
    mapping_kind mapping{};
    scale_kind scale{};
    std::uint32_t group_rows = 0; ///< rows that share a scale; 0: all
    std::uint32_t group_cols = 0; ///< columns that share a scale; 0: all
    /// Which levels: 0 for integers, the mantissa bits of a minifloat, a codebook's fingerprint
    /// (FNV-1a over the 32-bit patterns of its levels as floats, each lowest byte first).
    std::uint64_t levels = 0;
    /// Two levels: what a super-scale is, how many groups share it, bits of a group's integer, and
    /// whether that has a sign. Otherwise zero.
    scale_kind super_scale{};
    std::uint16_t super_groups = 0;
    std::uint8_t scale_bits = 0;
    bool signed_scales = false;

    friend constexpr bool operator==(const scheme_descriptor&,
                                     const scheme_descriptor&) noexcept = default;
};

namespace core_detail {

template <class M>
inline constexpr mapping_kind mapping_kind_of = mapping_kind::symmetric;
template <>
inline constexpr mapping_kind mapping_kind_of<midrise> = mapping_kind::midrise;
template <>
inline constexpr mapping_kind mapping_kind_of<asymmetric> = mapping_kind::asymmetric;
template <>
inline constexpr mapping_kind mapping_kind_of<asymmetric_min> = mapping_kind::asymmetric_min;

template <class T>
inline constexpr scale_kind scale_kind_of = scale_kind::float32;
template <>
inline constexpr scale_kind scale_kind_of<fp16> = scale_kind::fp16;
template <>
inline constexpr scale_kind scale_kind_of<bf16> = scale_kind::bf16;

template <>
inline constexpr scale_kind scale_kind_of<e8m0> = scale_kind::e8m0;
template <>
inline constexpr scale_kind scale_kind_of<fp8_e4m3> = scale_kind::fp8;

template <class Group, class Super, std::size_t N>
inline constexpr scale_kind scale_kind_of<two_level<Group, Super, N>> = scale_kind::two_level;

template <class T>
inline constexpr code_kind code_kind_of = code_kind::integer;
template <class Table, class Second>
inline constexpr code_kind code_kind_of<codebook<Table, Second>> = code_kind::codebook;
template <int E, int M>
inline constexpr code_kind code_kind_of<minifloat<E, M>> = code_kind::minifloat;

template <class T>
inline constexpr std::uint64_t levels_of = 0;
template <class Table, class Second>
inline constexpr std::uint64_t levels_of<codebook<Table, Second>> = [] {
    std::uint64_t hash = 14695981039346656037u;
    level_steps<codebook<Table, Second>>::for_each([&](float level) {
        const auto bits = core_detail::bit_cast<std::uint32_t>(level);
        for (int i = 0; i < 32; i += 8) hash = (hash ^ (bits >> i & 0xFFu)) * 1099511628211u;
    });
    return hash;
}();
template <int E, int M>
inline constexpr std::uint64_t levels_of<minifloat<E, M>> = M;

} // namespace core_detail

/// The descriptor of a scheme.
template <quantization_scheme S>
[[nodiscard]] constexpr scheme_descriptor describe() noexcept {
    using code_type = typename S::code_type;
    constexpr bool two = S::is_two_level;
    return {core_detail::code_kind_of<code_type>,
            static_cast<std::uint8_t>(S::bits),
            core_detail::mapping_kind_of<typename S::mapping_type>,
            core_detail::scale_kind_of<typename S::scale_policy>,
            static_cast<std::uint32_t>(S::group_rows),
            static_cast<std::uint32_t>(S::group_cols),
            core_detail::levels_of<code_type>,
            two ? core_detail::scale_kind_of<typename S::super_type> : scale_kind{},
            two ? static_cast<std::uint16_t>(S::super_groups) : std::uint16_t{0},
            two ? static_cast<std::uint8_t>(S::scale_bits) : std::uint8_t{0},
            two && S::least_scale < 0};
}

[[nodiscard]] constexpr const char* to_string(mapping_kind kind) noexcept {
    switch (kind) {
    case mapping_kind::symmetric: return "symmetric";
    case mapping_kind::midrise: return "midrise";
    case mapping_kind::asymmetric: return "asymmetric";
    case mapping_kind::asymmetric_min: return "asymmetric_min";
    }
    return "unknown mapping";
}

[[nodiscard]] constexpr const char* to_string(scale_kind kind) noexcept {
    switch (kind) {
    case scale_kind::float32: return "float";
    case scale_kind::fp16: return "fp16";
    case scale_kind::bf16: return "bf16";
    case scale_kind::e8m0: return "e8m0";
    case scale_kind::fp8: return "fp8_e4m3";
    case scale_kind::two_level: return "two_level";
    }
    return "unknown scale";
}

namespace core_detail {

/// The readable name of a scheme, in memory of its own.
struct scheme_text {
    explicit scheme_text(const scheme_descriptor& d) noexcept;
    char text[256];
};

inline scheme_text::scheme_text(const scheme_descriptor& d) noexcept {
    char group[64];
    if (d.group_rows == all) {
        std::snprintf(group, sizeof group, "per_tensor");
    } else if (d.group_cols == all) {
        std::snprintf(group, sizeof group, "per_channel");
    } else if (d.group_rows == 1) {
        std::snprintf(group, sizeof group, "group_wise<%u>", static_cast<unsigned>(d.group_cols));
    } else {
        std::snprintf(group, sizeof group, "block_wise<%u, %u>",
                      static_cast<unsigned>(d.group_rows), static_cast<unsigned>(d.group_cols));
    }
    char levels[64];
    const unsigned bits = d.bits;
    if (d.code == code_kind::minifloat) {
        const auto mantissa = static_cast<unsigned>(d.levels);
        std::snprintf(levels, sizeof levels, "e%um%u", bits - 1 - mantissa, mantissa);
    } else if (d.code == code_kind::codebook) {
        std::snprintf(levels, sizeof levels, "codebook%u:%016llx", bits,
                      static_cast<unsigned long long>(d.levels));
    } else {
        std::snprintf(levels, sizeof levels, "int%u", bits);
    }
    char scale[64];
    if (d.scale == scale_kind::two_level) {
        std::snprintf(scale, sizeof scale, "%s%u under %s of %u",
                      d.signed_scales ? "signed" : "unsigned", static_cast<unsigned>(d.scale_bits),
                      to_string(d.super_scale), static_cast<unsigned>(d.super_groups));
    } else {
        std::snprintf(scale, sizeof scale, "%s", to_string(d.scale));
    }
    std::snprintf(text, sizeof text, "%s %s %s %s", levels, to_string(d.mapping), group, scale);
}

} // namespace core_detail

/// Readable name, such as "int4 symmetric group_wise<32> fp16"; "e2m1" is a minifloat,
/// "codebook4:0123456789abcdef" a table with its fingerprint, "signed6 under fp16 of 16" two
/// levels of scales.
[[nodiscard]] inline std::string to_string(const scheme_descriptor& d) {
    return core_detail::scheme_text(d).text;
}

} // namespace quant::inline QUANT_VOCABULARY
