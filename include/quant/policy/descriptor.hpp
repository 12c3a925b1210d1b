// scheme_descriptor: a scheme as a value, for files and for formats known only at run time.
#pragma once

#include <quant/policy/scheme.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace quant::inline QUANT_VOCABULARY {

/// Numbers below are written to packed files: they never change and are never reused.
enum class code_kind : std::uint8_t { integer = 1 };
enum class mapping_kind : std::uint8_t {
    symmetric = 1,
    midrise = 2,
    asymmetric = 3,
    asymmetric_min = 4
};
enum class scale_kind : std::uint8_t { float32 = 1, fp16 = 2, bf16 = 3 };

/// A scheme as a value. Two schemes are the same format exactly if their descriptors are equal.
struct scheme_descriptor {
    code_kind code{};
    std::uint8_t bits = 0;
    mapping_kind mapping{};
    scale_kind scale{};
    std::uint32_t group_rows = 0; ///< rows that share a scale; 0: all
    std::uint32_t group_cols = 0; ///< columns that share a scale; 0: all

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

} // namespace core_detail

/// The descriptor of a scheme.
template <quantization_scheme S>
[[nodiscard]] constexpr scheme_descriptor describe() noexcept {
    return {code_kind::integer,
            static_cast<std::uint8_t>(S::bits),
            core_detail::mapping_kind_of<typename S::mapping_type>,
            core_detail::scale_kind_of<typename S::scale_type>,
            static_cast<std::uint32_t>(S::group_rows),
            static_cast<std::uint32_t>(S::group_cols)};
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
    }
    return "unknown scale";
}

/// Readable name, such as "int4 symmetric group_wise<32> fp16".
[[nodiscard]] inline std::string to_string(const scheme_descriptor& d) {
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
    char text[160];
    std::snprintf(text, sizeof text, "int%u %s %s %s", static_cast<unsigned>(d.bits),
                  to_string(d.mapping), group, to_string(d.scale));
    return text;
}

} // namespace quant::inline QUANT_VOCABULARY
