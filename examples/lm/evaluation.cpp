#include "evaluation.hpp"

#include "failure.hpp"
#include "sampler.hpp"
#include "transformer.hpp"

#include <quant/calibrate/logits.hpp>

#include <algorithm>
#include <span>

namespace lm {
namespace {

constexpr std::size_t tokens_per_sequence = 128;

constexpr std::string_view openings[] = {
    "Once upon a time",          "The history of the city begins", "Here is how it works:",
    "She opened the letter and", "The most important thing about", "One day, the dog",
};

std::vector<token> scored_tokens(const std::vector<sequence>& sequences) {
    std::vector<token> scored;
    for (const sequence& one : sequences) {
        scored.insert(scored.end(),
                      one.tokens.begin() + static_cast<std::ptrdiff_t>(one.first_scored),
                      one.tokens.end());
    }
    return scored;
}

} // namespace

std::vector<sequence> write_sequences(const model& weights, const tokenizer& text,
                                      quant::thread_pool& pool, std::size_t count,
                                      std::uint64_t seed) {
    const std::size_t capacity = std::min(weights.shape.context, 2 * tokens_per_sequence);
    transformer engine(weights, pool, capacity);
    sampler choose({.temperature = 1.0, .seed = seed});
    std::vector<sequence> written;
    std::size_t opening = 0;
    while (count > 0) {
        sequence one;
        one.tokens = text.encode_prompt(openings[opening++ % std::size(openings)]);
        one.first_scored = one.tokens.size();
        const std::size_t wanted = std::min(count, tokens_per_sequence);
        engine.rewind();
        auto logits = engine.read(one.tokens);
        for (std::size_t i = 0; i < wanted; ++i) {
            const token next = choose.next({logits.row(0), logits.cols()});
            one.tokens.push_back(next);
            --count;
            if (next == text.special().end || one.tokens.size() >= capacity) break;
            if (i + 1 < wanted) logits = engine.read({&next, 1});
        }
        written.push_back(std::move(one));
    }
    return written;
}

std::size_t count_scored(const std::vector<sequence>& sequences) {
    std::size_t count = 0;
    for (const sequence& one : sequences) count += one.tokens.size() - one.first_scored;
    return count;
}

std::vector<float> score_logits(const model& weights, quant::thread_pool& pool,
                                const std::vector<sequence>& sequences) {
    const std::size_t vocabulary = weights.shape.vocabulary;
    std::size_t longest = 1;
    for (const sequence& one : sequences) longest = std::max(longest, one.tokens.size());
    transformer engine(weights, pool, longest);
    std::vector<float> scored;
    scored.reserve(count_scored(sequences) * vocabulary);
    for (const sequence& one : sequences) {
        engine.rewind();
        // The last token predicts nothing that is scored; what precedes the first scored one only
        // the token before it.
        const std::span<const token> all(one.tokens);
        const std::size_t unscored = one.first_scored - 1;
        if (unscored > 0) engine.read(all.first(unscored));
        for (std::size_t at = unscored; at + 1 < all.size();) {
            const std::size_t batch = std::min(all.size() - 1 - at, transformer::max_batch);
            const auto logits = engine.read(all.subspan(at, batch), logits_of::all);
            scored.insert(scored.end(), logits.data(), logits.data() + batch * vocabulary);
            at += batch;
        }
    }
    return scored;
}

quality measure_quality(const std::vector<float>& reference, const std::vector<float>& logits,
                        const std::vector<sequence>& sequences, std::size_t vocabulary,
                        quant::thread_pool& pool) {
    const std::vector<token> tokens = scored_tokens(sequences);
    if (reference.size() != tokens.size() * vocabulary || logits.size() != reference.size()) {
        throw failure("measure_quality: logits of different texts");
    }
    const quant::matrix_view p(reference.data(), tokens.size(), vocabulary);
    const quant::matrix_view q(logits.data(), tokens.size(), vocabulary);
    const auto distance = quant::compare_logits(p, q, pool);
    return {.divergence = distance.mean_divergence(),
            .agreement = distance.top1_agreement(),
            .perplexity = quant::score_logits(q, std::span(tokens), pool).perplexity()};
}

} // namespace lm
