// The little of Unicode that splitting text into words needs.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lm {

/// A code point and the bytes that it took.
struct code_point {
    char32_t value;
    std::size_t size;
};

/// The code point at text[at]; a byte that starts no valid UTF-8 sequence counts as itself.
[[nodiscard]] code_point decode_utf8(std::string_view text, std::size_t at) noexcept;

void append_utf8(std::string& text, char32_t value);

enum class character { space, letter, number, other };

/// Kind of a code point: exact for ASCII and Latin-1; beyond them the blocks of spaces, digits,
/// punctuation, symbols and emoji are known and everything else is taken for a letter.
[[nodiscard]] character kind_of(char32_t value) noexcept;

} // namespace lm
