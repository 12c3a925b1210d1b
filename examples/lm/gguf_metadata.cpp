#include "gguf_metadata.hpp"

#include "load.hpp"

#include <string_view>

namespace lm {

model_shape gguf_metadata::shape(std::size_t vocabulary) const {
    const auto architecture = need<std::string_view>("general.architecture");
    if (architecture != "llama") {
        fail("its architecture is ", architecture, ", not llama");
    }
    model_shape made;
    made.dim = need<std::size_t>("llama.embedding_length");
    made.hidden = need<std::size_t>("llama.feed_forward_length");
    made.layers = need<std::size_t>("llama.block_count");
    made.heads = need<std::size_t>("llama.attention.head_count");
    made.kv_heads = file_->get<std::size_t>("llama.attention.head_count_kv").value_or(made.heads);
    made.context = need<std::size_t>("llama.context_length");
    if (made.heads == 0) fail("llama.attention.head_count is 0");
    made.head_dim =
        file_->get<std::size_t>("llama.attention.key_length").value_or(made.dim / made.heads);
    made.vocabulary = vocabulary;
    made.norm_epsilon = need<float>("llama.attention.layer_norm_rms_epsilon");
    check_shape(made);
    return made;
}

std::vector<std::string> gguf_metadata::strings(const std::string& key) const {
    const auto array = file_->array(key);
    if (!array) fail("no ", key);
    std::vector<std::string> made;
    made.reserve(array->size());
    for (std::size_t i = 0; i < array->size(); ++i) {
        const auto one = array->at<std::string_view>(i);
        if (!one) fail(key, " is no array of strings");
        made.emplace_back(*one);
    }
    return made;
}

std::optional<token> gguf_metadata::token_at(const std::string& key) const {
    return file_->get<token>(key);
}

std::unique_ptr<const tokenizer> gguf_metadata::byte_level(const special_tokens& special) const {
    const auto name = file_->get<std::string_view>("tokenizer.ggml.pre").value_or("gpt-2");
    split_style style = split_style::gpt2;
    if (name == "smollm") {
        style = split_style::smollm;
    } else if (name != "gpt-2" && name != "gpt2") {
        fail("pre-tokenizer ", name, " is not supported (gpt-2 and smollm are)");
    }
    return std::make_unique<byte_bpe>(strings("tokenizer.ggml.tokens"),
                                      strings("tokenizer.ggml.merges"), style, special);
}

std::unique_ptr<const tokenizer> gguf_metadata::scored(const special_tokens& special) const {
    std::vector<std::string> tokens = strings("tokenizer.ggml.tokens");
    constexpr std::string_view visible_space = "\xE2\x96\x81"; // U+2581
    for (std::string& one : tokens) {
        for (std::size_t at = 0; (at = one.find(visible_space, at)) != std::string::npos; ++at) {
            one.replace(at, visible_space.size(), 1, ' ');
        }
    }
    const auto array = file_->array("tokenizer.ggml.scores");
    std::vector<float> scores;
    for (std::size_t i = 0; array && i < array->size(); ++i) {
        scores.push_back(array->at<float>(i).value_or(0.0f));
    }
    const bool space_first = file_->get<bool>("tokenizer.ggml.add_space_prefix").value_or(true);
    return std::make_unique<score_bpe>(std::move(tokens), std::move(scores), space_first, special);
}

std::unique_ptr<const tokenizer> gguf_metadata::text() const {
    const auto kind = need<std::string_view>("tokenizer.ggml.model");
    if (kind != "gpt2" && kind != "llama") {
        fail("tokenizer ", kind, " is not supported (gpt2 and llama are)");
    }
    const special_tokens special{
        .begin = token_at("tokenizer.ggml.bos_token_id"),
        .end = token_at("tokenizer.ggml.eos_token_id"),
        .add_begin = file_->get<bool>("tokenizer.ggml.add_bos_token").value_or(kind == "llama"),
    };
    return kind == "gpt2" ? byte_level(special) : scored(special);
}

} // namespace lm
