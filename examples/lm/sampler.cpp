#include "sampler.hpp"

#include "failure.hpp"

#include <algorithm>
#include <cmath>

namespace lm {

token most_likely(std::span<const float> logits) {
    return static_cast<token>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

sampler::sampler(const sampling& options) : options_(options), random_(options.seed) {
    // Written so that NaN fails too.
    if (!(options.temperature >= 0.0)) throw failure("the temperature must not be negative");
    if (!(options.top_p >= 0.0 && options.top_p <= 1.0)) throw failure("top-p goes from 0 to 1");
}

token sampler::next(std::span<const float> logits) {
    if (options_.temperature <= 0.0) return most_likely(logits);
    collect(logits);
    keep_likely();
    double total = 0.0;
    for (const candidate& one : candidates_) total += one.weight;
    double left = uniform() * total;
    for (const candidate& one : candidates_) {
        left -= one.weight;
        if (left < 0.0) return one.id;
    }
    return candidates_.back().id;
}

/// All tokens with weights proportional to their probabilities, the largest weight 1.
void sampler::collect(std::span<const float> logits) {
    const float largest = *std::max_element(logits.begin(), logits.end());
    candidates_.resize(logits.size());
    for (std::size_t i = 0; i < logits.size(); ++i) {
        const double distance = static_cast<double>(logits[i]) - static_cast<double>(largest);
        candidates_[i] = {static_cast<token>(i), std::exp(distance / options_.temperature)};
    }
}

/// Drops what top_k and top_p exclude.
void sampler::keep_likely() {
    const bool limit_count = options_.top_k > 0 && options_.top_k < candidates_.size();
    if (!limit_count && options_.top_p >= 1.0) return;
    std::sort(candidates_.begin(), candidates_.end(), [](const candidate& a, const candidate& b) {
        return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
    });
    if (limit_count) candidates_.resize(options_.top_k);
    if (options_.top_p >= 1.0) return;

    double total = 0.0;
    for (const candidate& one : candidates_) total += one.weight;
    double sum = 0.0;
    std::size_t kept = 0;
    while (kept < candidates_.size() && (kept == 0 || sum < options_.top_p * total)) {
        sum += candidates_[kept++].weight;
    }
    candidates_.resize(kept);
}

/// A number in [0, 1) from the upper 53 bits: std::uniform_real_distribution may differ between
/// standard libraries.
double sampler::uniform() { return static_cast<double>(random_() >> 11) * 0x1p-53; }

} // namespace lm
