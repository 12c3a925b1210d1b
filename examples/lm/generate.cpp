#include "generate.hpp"

#include "clock.hpp"
#include "failure.hpp"

#include <string>

namespace lm {

generation generate(transformer& engine, const tokenizer& text, sampler& choose,
                    std::span<const token> prompt, std::size_t count,
                    const std::function<void(std::string_view)>& receive) {
    generation made;
    const stopwatch reading;
    auto logits = engine.read(prompt);
    made.prompt_seconds = reading.seconds();

    const stopwatch writing;
    token previous = prompt.back();
    while (made.tokens.size() < count) {
        const token next = choose.next({logits.row(0), logits.cols()});
        if (next == text.special().end) break;
        made.tokens.push_back(next);
        receive(text.decode(previous, next));
        previous = next;
        if (made.tokens.size() == count || engine.position() == engine.capacity()) break;
        logits = engine.read({&next, 1});
        ++made.decoded;
    }
    made.decode_seconds = writing.seconds();
    return made;
}

std::vector<token> chat_prompt(const tokenizer& text, std::string_view system,
                               std::string_view question) {
    const auto start = text.find("<|im_start|>");
    const auto end = text.find("<|im_end|>");
    if (!start || !end) throw failure("the model's vocabulary has no chat template (ChatML)");
    std::vector<token> ids;
    const auto append = [&](std::string_view words) {
        const std::vector<token> more = text.encode(words);
        ids.insert(ids.end(), more.begin(), more.end());
    };
    const auto say = [&](std::string_view who, std::string_view what) {
        ids.push_back(*start);
        append(text_of(who, "\n", what));
        ids.push_back(*end);
        append("\n");
    };
    if (!system.empty()) say("system", system);
    say("user", question);
    ids.push_back(*start);
    append("assistant\n");
    return ids;
}

} // namespace lm
