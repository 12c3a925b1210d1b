// UTF-8 validation, and names from a file made fit for an error message.
#pragma once

#include <quant/core/config.hpp>

#include <cstddef>
#include <string_view>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Length of the well-formed UTF-8 sequence at the start of a non-empty text, 0 if there is none:
/// no overlong forms, no surrogates, nothing above U+10FFFF. Source: Unicode 15, table 3-7.
[[nodiscard]] constexpr std::size_t utf8_sequence(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) -> unsigned {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
    };
    const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
    const unsigned lead = byte(0);
    const unsigned second = byte(1);
    if (lead < 0x80) return 1;
    if (lead < 0xC2 || lead > 0xF4 || !continues(1)) return 0;
    if (lead < 0xE0) return 2;
    if (lead < 0xF0) {
        const bool overlong = lead == 0xE0 && second < 0xA0;
        const bool surrogate = lead == 0xED && second > 0x9F;
        return !overlong && !surrogate && continues(2) ? 3 : 0;
    }
    const bool overlong = lead == 0xF0 && second < 0x90;
    const bool too_large = lead == 0xF4 && second > 0x8F;
    return !overlong && !too_large && continues(2) && continues(3) ? 4 : 0;
}

/// Index of the first byte that breaks UTF-8, or the text's size. Linear.
[[nodiscard]] constexpr std::size_t utf8_valid_prefix(std::string_view text) noexcept {
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t length = utf8_sequence(text.substr(at));
        if (length == 0) break;
        at += length;
    }
    return at;
}

/// A name from a file for an error message: cut at 48 characters, everything but printable ASCII
/// as '?', so that no terminal obeys what a file says.
struct printable_name {
    explicit printable_name(std::string_view name) noexcept {
        const bool cut = name.size() > 48;
        const std::size_t kept = cut ? 45 : name.size();
        for (std::size_t i = 0; i < kept; ++i) {
            text[i] = name[i] >= ' ' && name[i] <= '~' ? name[i] : '?';
        }
        for (std::size_t i = kept; cut && i < 48; ++i) text[i] = '.';
    }
    char text[49] = {};
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
