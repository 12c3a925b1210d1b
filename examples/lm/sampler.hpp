// Choosing the next token from logits, reproducibly on every compiler and library.
#pragma once

#include "model.hpp"

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace lm {

struct sampling {
    double temperature = 1.0; ///< 0: always the most likely token
    std::size_t top_k = 0;    ///< only the k most likely; 0: all
    double top_p = 1.0;       ///< only the most likely whose probabilities reach this sum
    std::uint64_t seed = 1;
};

/// The most likely token; the first of equals.
[[nodiscard]] token most_likely(std::span<const float> logits);

/// Draws tokens; the sequence depends on the options, the seed and the logits alone.
class sampler {
public:
    /// @throws failure for a temperature below 0 or a top_p outside 0 … 1.
    explicit sampler(const sampling& options);

    [[nodiscard]] token next(std::span<const float> logits);

private:
    struct candidate {
        token id;
        double weight;
    };

    void collect(std::span<const float> logits);
    void keep_likely();
    [[nodiscard]] double uniform();

    sampling options_;
    std::mt19937_64 random_;
    std::vector<candidate> candidates_;
};

} // namespace lm
