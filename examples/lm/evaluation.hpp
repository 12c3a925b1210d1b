// How far a model is from the float model: on text that the float model wrote itself.
#pragma once

#include "model.hpp"
#include "tokenizer.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lm {

/// A text to be read token by token; from `first_scored` on the float model wrote it.
struct sequence {
    std::vector<token> tokens;
    std::size_t first_scored = 0; ///< at least 1
};

/// Lets a model write `count` tokens at temperature 1, from a few openings in turn.
[[nodiscard]] std::vector<sequence> write_sequences(const model& weights, const tokenizer& text,
                                                    quant::thread_pool& pool, std::size_t count,
                                                    std::uint64_t seed);

/// The number of scored tokens.
[[nodiscard]] std::size_t count_scored(const std::vector<sequence>& sequences);

/// Logits before each scored token, by reading the sequences in batches: [scored × vocabulary].
[[nodiscard]] std::vector<float> score_logits(const model& weights, quant::thread_pool& pool,
                                              const std::vector<sequence>& sequences);

struct quality {
    double divergence = 0; ///< mean KL(reference ‖ model) over the whole vocabulary, in nats
    double agreement = 0;  ///< share of positions with the same most likely token
    double perplexity = 0; ///< exp of the mean negative log-likelihood of the tokens
};

/// Compares logits with the reference's, both from score_logits.
[[nodiscard]] quality measure_quality(const std::vector<float>& reference,
                                      const std::vector<float>& logits,
                                      const std::vector<sequence>& sequences,
                                      std::size_t vocabulary, quant::thread_pool& pool);

} // namespace lm
