// Writing text with a model.
#pragma once

#include "model.hpp"
#include "sampler.hpp"
#include "tokenizer.hpp"
#include "transformer.hpp"

#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace lm {

struct generation {
    std::vector<token> tokens;
    double prompt_seconds = 0;
    double decode_seconds = 0;
    std::size_t decoded = 0; ///< tokens read one at a time: not the first, the prompt predicts it

    [[nodiscard]] double decode_rate() const {
        return decoded > 0 ? static_cast<double>(decoded) / decode_seconds : 0.0;
    }
};

/// Reads a prompt and writes up to `count` tokens, fewer if the text ends or the room does.
/// @param receive gets the bytes of each token as it comes; a character may come in parts.
generation generate(transformer& engine, const tokenizer& text, sampler& choose,
                    std::span<const token> prompt, std::size_t count,
                    const std::function<void(std::string_view)>& receive);

/// The tokens that put a question to a model trained on the ChatML template.
/// @throws failure if the vocabulary lacks the template's markers.
[[nodiscard]] std::vector<token> chat_prompt(const tokenizer& text, std::string_view system,
                                             std::string_view question);

} // namespace lm
