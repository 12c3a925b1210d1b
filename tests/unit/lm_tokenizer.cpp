// The language model example's tokenizers: words, merges and bytes on a tiny made-up vocabulary.
#include "tokenizer.hpp"
#include "unicode.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace {

using lm::split_style;
using words = std::vector<std::string_view>;
using lm::token;
using tokens = std::vector<token>;

/// The 256 bytes as byte-level vocabularies write them, then "he", "ll", " he", "llo", "the".
std::vector<std::string> tiny_byte_vocabulary() {
    std::vector<std::string> all;
    char32_t next = 0x100;
    for (char32_t byte = 0; byte < 256; ++byte) {
        const bool visible = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
        lm::append_utf8(all.emplace_back(), visible ? byte : next++);
    }
    for (const char* const more : {"he", "ll", "\u0120he", "llo", "the"}) all.emplace_back(more);
    return all;
}

lm::byte_bpe tiny_byte_bpe() {
    return {
        tiny_byte_vocabulary(), {"h e", "l l", "\u0120 he", "ll o", "t he"}, split_style::gpt2, {}};
}

/// <unk>, two markers, the 256 bytes, then words with scores.
lm::score_bpe tiny_score_bpe() {
    std::vector<std::string> all = {"<unk>", "\n<s>\n", "\n</s>\n"};
    for (int byte = 0; byte < 256; ++byte) {
        constexpr char digits[] = "0123456789ABCDEF";
        all.push_back({'<', '0', 'x', digits[byte / 16], digits[byte % 16], '>'});
    }
    std::vector<float> scores(all.size(), 0.0f);
    const auto add = [&](const char* text, float score) {
        all.emplace_back(text);
        scores.push_back(score);
    };
    add(" ", -20); // 259
    add("a", -21);
    add("b", -22);
    add("ab", -2);
    add("ba", -1);
    add(" a", -3);
    add(" ab", -4); // 265
    return {std::move(all), std::move(scores), true, {.begin = 1, .end = 2, .add_begin = true}};
}

std::string all_bytes() {
    std::string text;
    for (int byte = 0; byte < 256; ++byte) text.push_back(static_cast<char>(byte));
    return text;
}

TEST_CASE("gpt2 splits contractions, words, numbers, punctuation and spaces") {
    CHECK(split_words("I'm here, they've 42!", split_style::gpt2) ==
          words{"I", "'m", " here", ",", " they", "'ve", " 42", "!"});
    CHECK(split_words("a  b\n\n c ", split_style::gpt2) ==
          words{"a", " ", " b", "\n\n", " c", " "});
    CHECK(split_words("\nx\t", split_style::gpt2) == words{"\n", "x", "\t"});
    CHECK(split_words("", split_style::gpt2).empty());
}

TEST_CASE("smollm splits digits one by one") {
    CHECK(split_words("in 1984:", split_style::smollm) ==
          words{"in", " ", "1", "9", "8", "4", ":"});
    CHECK(split_words("x  7", split_style::smollm) == words{"x", "  ", "7"});
}

TEST_CASE("words beyond ASCII go by their kind; broken UTF-8 is kept") {
    CHECK(split_words("caf\u00E9 \u201Cna\u00EFve\u201D \u20AC5", split_style::gpt2) ==
          words{"caf\u00E9", " \u201C", "na\u00EFve", "\u201D", " \u20AC", "5"});
    const std::string bytes = all_bytes();
    std::string joined;
    for (const std::string_view word : split_words(bytes, split_style::smollm)) joined += word;
    CHECK(joined == bytes);
}

TEST_CASE("byte-level BPE merges by rank within words") {
    const lm::byte_bpe text = tiny_byte_bpe();
    // "the" needs its merge t+he; " he" is of a lower rank than "t he" but needs its space.
    CHECK(text.encode("the") == tokens{260});
    CHECK(text.encode("hello") == tokens{256, 259});
    CHECK(text.encode("hello hello") == tokens{256, 259, 258, 259});
    // Words do not merge with each other: the space belongs to the second one.
    CHECK(text.encode("t he") == tokens{'t', 258});
    CHECK(text.encode("llll") == tokens{257, 257});
    CHECK(text.encode("lllo") == tokens{257, 'l', 'o'}); // the leftmost of equal pairs first
}

TEST_CASE("byte-level BPE gives every byte back") {
    const lm::byte_bpe text = tiny_byte_bpe();
    for (const std::string& one : {std::string("hello, the \u4E16\u754C\n"), all_bytes()}) {
        CHECK(text.decode(text.encode(one)) == one);
    }
}

TEST_CASE("byte-level BPE refuses merges of unknown tokens") {
    CHECK_THROWS(lm::byte_bpe(tiny_byte_vocabulary(), {"x y"}, split_style::gpt2, {}));
    CHECK_THROWS(lm::byte_bpe(tiny_byte_vocabulary(), {"xy"}, split_style::gpt2, {}));
}

TEST_CASE("score-based BPE merges the best score first, after a space in front") {
    const lm::score_bpe text = tiny_score_bpe();
    CHECK(text.encode("ab") == tokens{265});       // " a" + "b" only after "ab": " " + "ab"
    CHECK(text.encode("aba") == tokens{264, 263}); // "ba" is better than "ab"
    CHECK(text.encode("") == tokens{});
    CHECK(text.encode_prompt("ab") == tokens{1, 265});
    CHECK(text.encode("Z") == tokens{259, 3 + 'Z'}); // no token of its own: its byte
}

TEST_CASE("score-based BPE gives every byte back") {
    const lm::score_bpe text = tiny_score_bpe();
    for (const std::string& one : {std::string("abba \u00E9"), std::string(" a"), all_bytes()}) {
        CHECK(text.decode(text.encode(one)) == one);
    }
}

TEST_CASE("long texts without spaces take no quadratic time") {
    const std::string text(1'000'000, 'l');
    CHECK(tiny_byte_bpe().encode(text).size() == text.size() / 2);
}

TEST_CASE("vocabularies that contradict themselves are refused") {
    CHECK_THROWS(lm::score_bpe({"a"}, {0.0f}, true, {}));
    CHECK_THROWS(lm::byte_bpe(tiny_byte_vocabulary(), {}, split_style::gpt2, {{}, 1000, false}));
    CHECK_THROWS(tiny_byte_bpe().decode({-1}));
    CHECK_THROWS(tiny_byte_bpe().decode({261}));
}

} // namespace
