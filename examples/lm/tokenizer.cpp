#include "tokenizer.hpp"

#include "failure.hpp"
#include "unicode.hpp"

#include <algorithm>
#include <functional>

namespace lm {
namespace {

/// The visible character that stands for each byte in byte-level vocabularies: itself if it is
/// visible in Latin-1, else the next one from U+0100 on.
std::array<char32_t, 256> visible_bytes() {
    std::array<char32_t, 256> visible{};
    char32_t next = 0x100;
    for (char32_t byte = 0; byte < 256; ++byte) {
        const bool is_visible =
            (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
        visible[byte] = is_visible ? byte : next++;
    }
    return visible;
}

/// Bytes of a token that is written in visible characters; others stand for their own UTF-8.
class visible_decoder {
public:
    visible_decoder() {
        bytes_.fill(none);
        const std::array<char32_t, 256> visible = visible_bytes();
        for (std::size_t byte = 0; byte < 256; ++byte) {
            bytes_[visible[byte]] = static_cast<std::int16_t>(byte);
        }
    }

    /// Appends the bytes: a vocabulary's merges are decoded without a string for each.
    void append(std::string_view text, std::string& to) const {
        for (std::size_t at = 0; at < text.size();) {
            const code_point next = decode_utf8(text, at);
            const std::int16_t byte = next.value < bytes_.size() ? bytes_[next.value] : none;
            if (byte != none) {
                to.push_back(static_cast<char>(byte));
            } else {
                to.append(text.substr(at, next.size));
            }
            at += next.size;
        }
    }

private:
    static constexpr std::int16_t none = -1;
    std::array<std::int16_t, 0x144> bytes_{}; ///< by character; the last visible one is U+0143
};

std::vector<std::string> decode_visible(const std::vector<std::string>& tokens) {
    const visible_decoder decode;
    std::vector<std::string> decoded(tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) decode.append(tokens[i], decoded[i]);
    return decoded;
}

std::uint64_t hash_of(std::string_view bytes) { return std::hash<std::string_view>()(bytes); }

/// Of two tokens: multiplied, then folded, so that both ends of it depend on both.
std::uint64_t hash_of(token left, token right) {
    const std::uint64_t pair = static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
                               static_cast<std::uint32_t>(right);
    const std::uint64_t mixed = (pair ^ pair >> 29) * 0x9E3779B97F4A7C15u;
    return (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93u ^ mixed >> 29;
}

} // namespace

tokenizer::tokenizer(std::vector<std::string> tokens, special_tokens special)
    : tokens_(std::move(tokens)), ids_(tokens_.size()), special_(special) {
    for (std::size_t i = 0; i < tokens_.size(); ++i) { // of equals, the first will be found
        ids_.insert(hash_of(tokens_[i]), static_cast<std::uint32_t>(i));
    }
    for (const auto& id : {special_.begin, special_.end}) {
        if (id && (*id < 0 || static_cast<std::size_t>(*id) >= tokens_.size())) {
            throw failure("tokenizer: special token ", *id, " of a vocabulary of ", tokens_.size());
        }
    }
}

std::string tokenizer::decode(token, token id) const { return bytes_of(id); }

std::string tokenizer::decode(const std::vector<token>& ids) const {
    std::string text;
    token previous = -1;
    for (const token id : ids) {
        text += decode(previous, id);
        previous = id;
    }
    return text;
}

std::optional<token> tokenizer::find(std::string_view bytes) const {
    const auto found = ids_.find(
        hash_of(bytes), [&](std::uint32_t id) { return std::string_view(tokens_[id]) == bytes; });
    return found ? std::optional(static_cast<token>(*found)) : std::nullopt;
}

std::vector<token> tokenizer::encode_prompt(std::string_view text) const {
    std::vector<token> ids = encode(text);
    if (special_.add_begin && special_.begin) ids.insert(ids.begin(), *special_.begin);
    return ids;
}

const std::string& tokenizer::bytes_of(token id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= tokens_.size()) {
        throw failure("tokenizer: no token ", id);
    }
    return tokens_[static_cast<std::size_t>(id)];
}

byte_bpe::byte_bpe(const std::vector<std::string>& tokens, const std::vector<std::string>& merges,
                   split_style style, special_tokens special)
    : tokenizer(decode_visible(tokens), special), style_(style), merge_index_(merges.size()) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
        const char value = static_cast<char>(byte);
        byte_tokens_[byte] = find({&value, 1}).value_or(-1);
    }
    const visible_decoder decode;
    std::string both;
    merges_.reserve(merges.size());
    for (const std::string& line : merges) {
        const std::string_view text = line;
        const std::size_t space = text.find(' ');
        if (space == std::string::npos) throw failure("tokenizer: merge '", line, "' is no pair");
        both.clear();
        decode.append(text.substr(0, space), both);
        const std::size_t left_size = both.size();
        decode.append(text.substr(space + 1), both);
        const std::string_view whole = both;
        const auto left_id = find(whole.substr(0, left_size));
        const auto right_id = find(whole.substr(left_size));
        const auto result = find(whole);
        if (!left_id || !right_id || !result) {
            throw failure("tokenizer: merge '", line, "' names no tokens");
        }
        merge_index_.insert(hash_of(*left_id, *right_id),
                            static_cast<std::uint32_t>(merges_.size()));
        merges_.push_back({*left_id, *right_id, *result});
    }
}

std::optional<merge> byte_bpe::find_merge(token left, token right) const {
    const auto rank = merge_index_.find(hash_of(left, right), [&](std::uint32_t i) {
        return merges_[i].left == left && merges_[i].right == right;
    });
    if (!rank) return std::nullopt;
    return merge{static_cast<double>(*rank), merges_[*rank].result};
}

std::vector<token> byte_bpe::encode(std::string_view text) const {
    const auto lookup = [&](token left, token right) { return find_merge(left, right); };
    std::vector<token> ids;
    for (const std::string_view word : split_words(text, style_)) {
        std::vector<token> symbols;
        for (const char byte : word) {
            const token id = byte_tokens_[static_cast<unsigned char>(byte)];
            if (id >= 0) symbols.push_back(id); // some vocabularies lack bytes that UTF-8 never has
        }
        const std::vector<token> merged = merge_pairs(symbols, lookup);
        ids.insert(ids.end(), merged.begin(), merged.end());
    }
    return ids;
}

score_bpe::score_bpe(std::vector<std::string> tokens, std::vector<float> scores, bool space_first,
                     special_tokens special)
    : tokenizer(std::move(tokens), special), scores_(std::move(scores)), space_first_(space_first),
      first_byte_(find("<0x00>").value_or(-1)) {
    if (scores_.size() != size()) throw failure("tokenizer: not one score for each token");
    if (first_byte_ < 0 || static_cast<std::size_t>(first_byte_) + 256 > size()) {
        throw failure("tokenizer: the vocabulary lacks tokens for single bytes");
    }
}

std::vector<token> score_bpe::encode(std::string_view text) const {
    // These vocabularies know words by the space before them; mostly the first word gets one too.
    std::string spaced(space_first_ && !text.empty() ? 1 : 0, ' ');
    spaced += text;
    std::vector<token> symbols;
    for (std::size_t at = 0; at < spaced.size();) {
        const std::size_t length = decode_utf8(spaced, at).size;
        const std::string_view bytes = std::string_view(spaced).substr(at, length);
        if (const auto id = find(bytes)) {
            symbols.push_back(*id);
        } else {
            for (const char byte : bytes) {
                symbols.push_back(first_byte_ + static_cast<unsigned char>(byte));
            }
        }
        at += length;
    }
    return merge_pairs(symbols, [&](token left, token right) -> std::optional<merge> {
        const auto id = find(bytes_of(left) + bytes_of(right));
        if (!id) return std::nullopt;
        return merge{-static_cast<double>(scores_[static_cast<std::size_t>(*id)]), *id};
    });
}

std::string score_bpe::decode(token previous, token id) const {
    if (id >= first_byte_ && id < first_byte_ + 256) {
        return std::string(1, static_cast<char>(id - first_byte_));
    }
    std::string bytes = bytes_of(id);
    const bool starts_text = space_first_ && (previous < 0 || previous == special().begin);
    if (starts_text && bytes.starts_with(' ')) bytes.erase(0, 1);
    return bytes;
}

} // namespace lm
