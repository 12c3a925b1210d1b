#include "pretokenizer.hpp"

#include "unicode.hpp"

#include <cstddef>

namespace lm {
namespace {

/// Bytes of the contraction that starts the text, or 0.
std::size_t contraction(std::string_view text) noexcept {
    for (const std::string_view one : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
        if (text.starts_with(one)) return one.size();
    }
    return 0;
}

/// End of the run of characters of one kind that starts at `at`.
std::size_t end_of_run(std::string_view text, std::size_t at, character kind) noexcept {
    while (at < text.size()) {
        const code_point next = decode_utf8(text, at);
        if (kind_of(next.value) != kind) break;
        at += next.size;
    }
    return at;
}

/// Bytes of a run of spaces: without the last one if a word follows, which that one belongs to.
std::size_t spaces(std::string_view text) noexcept {
    std::size_t end = 0;
    std::size_t last = 0;
    while (end < text.size()) {
        const code_point next = decode_utf8(text, end);
        if (kind_of(next.value) != character::space) break;
        last = end;
        end += next.size;
    }
    return end < text.size() && last > 0 ? last : end;
}

std::size_t first_word(std::string_view text) noexcept {
    if (const std::size_t size = contraction(text)) return size;
    const std::size_t start = text.size() > 1 && text[0] == ' ' ? 1 : 0;
    const code_point first = decode_utf8(text, start);
    const character kind = kind_of(first.value);
    if (kind == character::space) return spaces(text);
    return end_of_run(text, start + first.size, kind);
}

void split_gpt2(std::string_view text, std::vector<std::string_view>& words) {
    while (!text.empty()) {
        const std::size_t size = first_word(text);
        words.push_back(text.substr(0, size));
        text.remove_prefix(size);
    }
}

} // namespace

std::vector<std::string_view> split_words(std::string_view text, split_style style) {
    std::vector<std::string_view> words;
    if (style == split_style::gpt2) {
        split_gpt2(text, words);
        return words;
    }
    std::size_t start = 0;
    for (std::size_t at = 0; at < text.size();) {
        const code_point next = decode_utf8(text, at);
        if (kind_of(next.value) == character::number) {
            split_gpt2(text.substr(start, at - start), words);
            words.push_back(text.substr(at, next.size));
            start = at + next.size;
        }
        at += next.size;
    }
    split_gpt2(text.substr(start), words);
    return words;
}

} // namespace lm
