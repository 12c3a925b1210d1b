// GGUF metadata: typed access to the key-value pairs at the head of a file.
#pragma once

#include <quant/core/little_endian.hpp>

#include <cfloat>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace quant::inline QUANT_ABI {

namespace detail {
class gguf_parser;
} // namespace detail

namespace gguf {

/// What a metadata value is stored as; the values are the ids that GGUF stores.
enum class value_type : std::uint32_t {
    u8 = 0,
    i8 = 1,
    u16 = 2,
    i16 = 3,
    u32 = 4,
    i32 = 5,
    f32 = 6,
    boolean = 7, ///< one byte, 0 or 1
    string = 8,  ///< 64-bit length, then UTF-8 without a terminator
    array = 9,   ///< element type, 64-bit length, then the elements
    u64 = 10,
    i64 = 11,
    f64 = 12,
};

/// The name of a value type, "u32"; "unknown" for an id that is none.
[[nodiscard]] constexpr const char* to_string(value_type which) noexcept {
    constexpr const char* names[] = {"u8",      "i8",     "u16",   "i16", "u32", "i32", "f32",
                                     "boolean", "string", "array", "u64", "i64", "f64"};
    const auto id = static_cast<std::uint32_t>(which);
    return id < std::size(names) ? names[id] : "unknown";
}

/// A type that metadata can be asked for: bool, an integer, float, double or std::string_view.
template <class T>
concept metadata_value =
    std::same_as<T, bool> || std::same_as<T, float> || std::same_as<T, double> ||
    std::same_as<T, std::string_view> ||
    (std::integral<T> && !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
     !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>);

} // namespace gguf

namespace detail {

/// Bytes of a value whose size its type fixes, 0 for strings, arrays and unknown types.
[[nodiscard]] constexpr std::size_t gguf_value_bytes(gguf::value_type which) noexcept {
    switch (which) {
    case gguf::value_type::u8:
    case gguf::value_type::i8:
    case gguf::value_type::boolean: return 1;
    case gguf::value_type::u16:
    case gguf::value_type::i16: return 2;
    case gguf::value_type::u32:
    case gguf::value_type::i32:
    case gguf::value_type::f32: return 4;
    case gguf::value_type::u64:
    case gguf::value_type::i64:
    case gguf::value_type::f64: return 8;
    case gguf::value_type::string:
    case gguf::value_type::array: break;
    }
    return 0;
}

/// The string whose 64-bit length stands at `at`; the parser has checked that it is there.
[[nodiscard]] inline std::string_view gguf_string_at(const std::byte* at) noexcept {
    const auto length = static_cast<std::size_t>(load_le<std::uint64_t>(at));
    return {reinterpret_cast<const char*>(at + sizeof(std::uint64_t)), length};
}

/// A stored number as a T if T is of its kind and holds exactly this value. NaN becomes NaN.
template <class T, class Stored>
[[nodiscard]] std::optional<T> gguf_exactly(Stored stored) noexcept {
    if constexpr (std::is_integral_v<T> && std::is_integral_v<Stored>) {
        if (std::in_range<T>(stored)) return static_cast<T>(stored);
    } else if constexpr (std::is_same_v<T, float> && std::is_same_v<Stored, double>) {
        const double size = stored < 0 ? -stored : stored;
        // Narrowing a finite double beyond float's range is undefined in C++.
        if (size > FLT_MAX && size <= DBL_MAX) return std::nullopt;
        const float narrow = static_cast<float>(stored);
        const bool same = static_cast<double>(narrow) == stored || std::isnan(stored);
        if (same) return narrow;
    } else if constexpr (std::is_floating_point_v<T> && std::is_floating_point_v<Stored>) {
        return static_cast<T>(stored);
    }
    return std::nullopt;
}

/// The value of a type at an address as a T, or nothing if it is none.
template <class T>
[[nodiscard]] std::optional<T> gguf_value_as(gguf::value_type stored,
                                             const std::byte* at) noexcept {
    using enum gguf::value_type;
    if constexpr (std::is_same_v<T, std::string_view>) {
        return stored == string ? std::optional(gguf_string_at(at)) : std::nullopt;
    } else if constexpr (std::is_same_v<T, bool>) {
        return stored == boolean ? std::optional(*at != std::byte{0}) : std::nullopt;
    } else {
        switch (stored) {
        case u8: return gguf_exactly<T>(load_le<std::uint8_t>(at));
        case i8: return gguf_exactly<T>(load_le<std::int8_t>(at));
        case u16: return gguf_exactly<T>(load_le<std::uint16_t>(at));
        case i16: return gguf_exactly<T>(load_le<std::int16_t>(at));
        case u32: return gguf_exactly<T>(load_le<std::uint32_t>(at));
        case i32: return gguf_exactly<T>(load_le<std::int32_t>(at));
        case u64: return gguf_exactly<T>(load_le<std::uint64_t>(at));
        case i64: return gguf_exactly<T>(load_le<std::int64_t>(at));
        case f32: return gguf_exactly<T>(load_le<float>(at));
        case f64: return gguf_exactly<T>(load_le<double>(at));
        case boolean:
        case string:
        case array: break;
        }
        return std::nullopt;
    }
}

} // namespace detail

namespace gguf {

/// An array among the metadata: a view into the file, valid as long as it.
class array_view {
public:
    /// The type of every element; never `array`.
    [[nodiscard]] value_type element_type() const noexcept { return element_type_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// Element i as a T, or nothing if i ≥ size() or the element is not a T.
    ///
    /// Converts as entry::get does. Takes constant time, for strings too.
    template <metadata_value T>
    [[nodiscard]] std::optional<T> at(std::size_t i) const noexcept {
        if (i >= size_) return std::nullopt;
        const std::byte* const element = element_type_ == value_type::string
                                             ? base_ + strings_[i]
                                             : base_ + i * detail::gguf_value_bytes(element_type_);
        return detail::gguf_value_as<T>(element_type_, element);
    }

private:
    friend class entry;
    array_view(value_type element_type, std::size_t size, const std::byte* base,
               const std::size_t* strings) noexcept
        : element_type_(element_type), size_(size), base_(base), strings_(strings) {}

    value_type element_type_;
    std::size_t size_;
    const std::byte* base_;      // the first element
    const std::size_t* strings_; // where each string stands, in bytes from base_
};

/// A key and its value: a view into the file, valid as long as it.
class entry {
public:
    /// Not empty, valid UTF-8, unique in its file.
    [[nodiscard]] std::string_view key() const noexcept { return key_; }
    [[nodiscard]] value_type type() const noexcept { return type_; }

    /// The value as a T, or nothing if it is no T.
    ///
    /// Conversions keep the value: any stored integer becomes any integer type that holds it, a
    /// double becomes a float if nothing is lost. Integers, numbers with a point, booleans and
    /// strings never become each other.
    template <metadata_value T>
    [[nodiscard]] std::optional<T> get() const noexcept {
        return detail::gguf_value_as<T>(type_, value_);
    }

    /// The value's elements, or nothing if it is no array.
    [[nodiscard]] std::optional<array_view> array() const noexcept {
        if (type_ != value_type::array) return std::nullopt;
        return array_view(element_type_, size_, value_, strings_);
    }

private:
    friend class detail::gguf_parser;

    std::string_view key_;
    const std::byte* value_ = nullptr;     // an array's first element
    std::size_t size_ = 0;                 // elements of an array
    const std::size_t* strings_ = nullptr; // of an array of strings
    value_type type_ = value_type::u8;
    value_type element_type_ = value_type::u8;
};

} // namespace gguf
} // namespace quant::inline QUANT_ABI
