#include "tokenizer.hpp"

#include "failure.hpp"
#include "unicode.hpp"

#include <algorithm>

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
        const std::array<char32_t, 256> visible = visible_bytes();
        for (std::size_t byte = 0; byte < 256; ++byte) {
            bytes_.emplace(visible[byte], static_cast<char>(byte));
        }
    }

    [[nodiscard]] std::string operator()(std::string_view text) const {
        std::string decoded;
        for (std::size_t at = 0; at < text.size();) {
            const code_point next = decode_utf8(text, at);
            if (const auto found = bytes_.find(next.value); found != bytes_.end()) {
                decoded.push_back(found->second);
            } else {
                decoded.append(text.substr(at, next.size));
            }
            at += next.size;
        }
        return decoded;
    }

private:
    std::unordered_map<char32_t, char> bytes_;
};

std::vector<std::string> decode_visible(const std::vector<std::string>& tokens) {
    const visible_decoder decode;
    std::vector<std::string> decoded;
    decoded.reserve(tokens.size());
    for (const std::string& one : tokens) decoded.push_back(decode(one));
    return decoded;
}

std::uint64_t pair_key(token left, token right) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
}

} // namespace

tokenizer::tokenizer(std::vector<std::string> tokens, special_tokens special)
    : tokens_(std::move(tokens)), special_(special) {
    ids_.reserve(tokens_.size());
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
        ids_.emplace(tokens_[i], static_cast<token>(i)); // the first of equals
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
    const auto found = ids_.find(bytes);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
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
    : tokenizer(decode_visible(tokens), special), style_(style) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
        const char value = static_cast<char>(byte);
        byte_tokens_[byte] = find({&value, 1}).value_or(-1);
    }
    const visible_decoder decode;
    double rank = 0;
    for (const std::string& line : merges) {
        const std::size_t space = line.find(' ');
        if (space == std::string::npos) throw failure("tokenizer: merge '", line, "' is no pair");
        const std::string left = decode(line.substr(0, space));
        const std::string right = decode(line.substr(space + 1));
        const auto left_id = find(left);
        const auto right_id = find(right);
        const auto result = find(left + right);
        if (!left_id || !right_id || !result) {
            throw failure("tokenizer: merge '", line, "' names no tokens");
        }
        merges_.emplace(pair_key(*left_id, *right_id), merge{rank++, *result});
    }
}

std::vector<token> byte_bpe::encode(std::string_view text) const {
    const auto lookup = [&](token left, token right) -> std::optional<merge> {
        const auto found = merges_.find(pair_key(left, right));
        return found == merges_.end() ? std::nullopt : std::optional(found->second);
    };
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
