// A position in a GGUF file that never leaves it, and errors that say where they arose.
#pragma once

#include <quant/core/little_endian.hpp>
#include <quant/core/result.hpp>
#include <quant/core/utf8.hpp>

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string_view>

namespace quant::inline QUANT_ABI {
namespace detail {

/// A field of the file, "gguf: metadata[3].value[7]"; spelled out only when an error needs it.
struct gguf_field {
    static constexpr std::uint64_t none = UINT64_MAX;

    const char* name;
    const char* list = nullptr; ///< "metadata", "tensors"; null for the header's own fields
    std::uint64_t item = 0;
    std::uint64_t element = none;

    [[nodiscard]] gguf_field at(std::uint64_t index) const noexcept {
        return {name, list, item, index};
    }
};

/// An error about a field at byte `at` of the file; the message follows printf's rules.
[[nodiscard]]
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
inline error gguf_error(errc code, const gguf_field& field, std::size_t at, const char* format,
                        ...) noexcept {
    char where[80];
    int used = field.list == nullptr
                   ? std::snprintf(where, sizeof where, "gguf: %s", field.name)
                   : std::snprintf(where, sizeof where, "gguf: %s[%llu].%s", field.list,
                                   static_cast<unsigned long long>(field.item), field.name);
    if (field.element != gguf_field::none && used > 0 && used < int{sizeof where}) {
        std::snprintf(where + used, sizeof where - static_cast<std::size_t>(used), "[%llu]",
                      static_cast<unsigned long long>(field.element));
    }

    char message[200];
    used = std::snprintf(message, sizeof message, "at byte %zu: ", at);
    if (used > 0) {
        std::va_list values;
        va_start(values, format);
        std::vsnprintf(message + used, sizeof message - static_cast<std::size_t>(used), format,
                       values);
        va_end(values);
    }
    return error(code, where, message);
}

/// Reads numbers and strings in order; every step is checked against the bytes that remain.
class gguf_cursor {
public:
    explicit gguf_cursor(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}

    [[nodiscard]] std::size_t position() const noexcept { return at_; }
    [[nodiscard]] std::size_t remaining() const noexcept { return bytes_.size() - at_; }
    [[nodiscard]] const std::byte* here() const noexcept { return bytes_.data() + at_; }

    template <class T>
    [[nodiscard]] result<T> number(const gguf_field& field) noexcept {
        if (remaining() < sizeof(T)) {
            return gguf_error(errc::truncated, field, at_, "%zu bytes needed, %zu left in the file",
                              sizeof(T), remaining());
        }
        const T value = load_le<T>(here());
        at_ += sizeof(T);
        return value;
    }

    /// A count of things of which each takes at least `least` bytes of what remains.
    [[nodiscard]] result<std::size_t> count(const gguf_field& field, std::size_t least) noexcept {
        const std::size_t start = at_;
        const auto value = number<std::uint64_t>(field);
        if (!value) return value.failure();
        if (*value > remaining() / least) {
            return gguf_error(errc::truncated, field, start,
                              "%llu of at least %zu bytes each, %zu bytes left in the file",
                              static_cast<unsigned long long>(*value), least, remaining());
        }
        return static_cast<std::size_t>(*value);
    }

    /// A 64-bit length and as many bytes of UTF-8.
    [[nodiscard]] result<std::string_view> string(const gguf_field& field) noexcept {
        const std::size_t start = at_;
        const auto length = number<std::uint64_t>(field);
        if (!length) return length.failure();
        if (*length > remaining()) {
            return gguf_error(errc::truncated, field, start,
                              "a string of %llu bytes, %zu left in the file",
                              static_cast<unsigned long long>(*length), remaining());
        }
        const auto size = static_cast<std::size_t>(*length);
        const std::string_view text(reinterpret_cast<const char*>(here()), size);
        const std::size_t valid = utf8_valid_prefix(text);
        if (valid != size) {
            return gguf_error(errc::bad_format, field, at_ + valid, "invalid UTF-8 in a string");
        }
        at_ += size;
        return text;
    }

    /// Passes over bytes that the caller knows to be there.
    void skip(std::size_t size) noexcept { at_ += size; }

private:
    std::span<const std::byte> bytes_;
    std::size_t at_ = 0;
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
