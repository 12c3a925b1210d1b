// Text to tokens and back.
#pragma once

#include "bpe.hpp"
#include "flat_index.hpp"
#include "pretokenizer.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lm {

/// Tokens with a meaning of their own.
struct special_tokens {
    std::optional<token> begin; ///< of a sequence
    std::optional<token> end;   ///< of a sequence
    bool add_begin = false;     ///< whether a prompt starts with `begin`
};

class tokenizer {
public:
    tokenizer(std::vector<std::string> tokens, special_tokens special);
    virtual ~tokenizer() = default;

    /// Tokens of a text, without any special ones.
    [[nodiscard]] virtual std::vector<token> encode(std::string_view text) const = 0;
    /// The bytes that a token adds to a text in which `previous` stands before it.
    [[nodiscard]] virtual std::string decode(token previous, token id) const;
    [[nodiscard]] std::string decode(const std::vector<token>& ids) const;

    [[nodiscard]] std::size_t size() const noexcept { return tokens_.size(); }
    [[nodiscard]] const special_tokens& special() const noexcept { return special_; }
    /// The bytes of each token.
    [[nodiscard]] const std::vector<std::string>& tokens() const noexcept { return tokens_; }
    /// The score of each token, if they have scores.
    [[nodiscard]] virtual std::span<const float> scores() const noexcept { return {}; }
    /// The token whose bytes are exactly these.
    [[nodiscard]] std::optional<token> find(std::string_view bytes) const;
    /// The tokens of a prompt: encode(), after `begin` if the model wants it.
    [[nodiscard]] std::vector<token> encode_prompt(std::string_view text) const;

protected:
    [[nodiscard]] const std::string& bytes_of(token id) const;

private:
    std::vector<std::string> tokens_; ///< the bytes of each
    flat_index ids_;                  ///< by their bytes
    special_tokens special_;
};

/// Byte-level BPE as in GPT-2 and the SmolLM family: merges in order of their rank, within words.
class byte_bpe final : public tokenizer {
public:
    /// Tokens and merges ("left right", best first) in the printable alphabet of their files,
    /// where each byte is one visible character.
    byte_bpe(const std::vector<std::string>& tokens, const std::vector<std::string>& merges,
             split_style style, special_tokens special);

    [[nodiscard]] std::vector<token> encode(std::string_view text) const override;

private:
    split_style style_;
    std::array<token, 256> byte_tokens_{};

    struct ranked_merge {
        token left, right, result;
    };
    [[nodiscard]] std::optional<merge> find_merge(token left, token right) const;
    std::vector<ranked_merge> merges_; ///< best first
    flat_index merge_index_;           ///< by left and right
};

/// Score-based BPE as in llama2.c and SentencePiece: the best scored token that two neighbours
/// form, over the whole text.
class score_bpe final : public tokenizer {
public:
    /// Tokens by their bytes. The 256 from "<0x00>" on stand for single bytes, which spell what no
    /// other token covers.
    /// @param space_first whether a text is read as if a space stood before it.
    score_bpe(std::vector<std::string> tokens, std::vector<float> scores, bool space_first,
              special_tokens special);

    [[nodiscard]] std::vector<token> encode(std::string_view text) const override;
    [[nodiscard]] std::string decode(token previous, token id) const override;
    using tokenizer::decode;
    [[nodiscard]] std::span<const float> scores() const noexcept override { return scores_; }

private:
    std::vector<float> scores_;
    bool space_first_;
    token first_byte_; ///< of the 256 single bytes
};

} // namespace lm
