#include "attention.hpp"

#include "lanes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lm {

void attend_head(const float* query, const head_history& keys, const head_history& values,
                 std::size_t length, float* out) noexcept {
    constexpr std::size_t block = 64;
    const float scale = 1.0f / std::sqrt(static_cast<float>(keys.size));
    float largest = -std::numeric_limits<float>::infinity();
    float total = 0.0f;
    std::fill_n(out, values.size, 0.0f);

    for (std::size_t first = 0; first < length; first += block) {
        const std::size_t count = std::min(block, length - first);
        float scores[block];
        float block_largest = largest;
        for (std::size_t j = 0; j < count; ++j) {
            scores[j] = scale * dot(query, keys.data + (first + j) * keys.stride, keys.size);
            block_largest = std::max(block_largest, scores[j]);
        }
        if (block_largest > largest) { // what was summed so far shrinks to the new maximum
            const float shrink = std::exp(largest - block_largest);
            total *= shrink;
            for (std::size_t i = 0; i < values.size; ++i) out[i] *= shrink;
            largest = block_largest;
        }
        for (std::size_t j = 0; j < count; ++j) {
            const float weight = std::exp(scores[j] - largest);
            const float* const value = values.data + (first + j) * values.stride;
            total += weight;
            for (std::size_t i = 0; i < values.size; ++i) out[i] += weight * value[i];
        }
    }
    const float share = 1.0f / total;
    for (std::size_t i = 0; i < values.size; ++i) out[i] *= share;
}

} // namespace lm
