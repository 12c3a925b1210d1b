// Splitting text into the words that byte-level BPE merges within.
#pragma once

#include <string_view>
#include <vector>

namespace lm {

enum class split_style {
    gpt2,   ///< contractions, words, numbers, punctuation, each with one space before it
    smollm, ///< every digit first stands alone, then as gpt2
};

/// The pieces of `text` in order; together they are the text.
///
/// gpt2 is the expression 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+|
/// ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ by hand, with the kinds of characters of unicode.hpp.
[[nodiscard]] std::vector<std::string_view> split_words(std::string_view text, split_style style);

} // namespace lm
