// One head of one token looking back on a sequence.
#pragma once

#include <cstddef>

namespace lm {

/// Keys or values of one head: `size` numbers per token, tokens `stride` apart.
struct head_history {
    const float* data;
    std::size_t stride;
    std::size_t size;
};

/// out = Σⱼ softmaxⱼ(query·keyⱼ / √size)·valueⱼ over the first `length` ≥ 1 tokens.
///
/// One pass with a running maximum, so that a history of any length needs no memory of its own.
void attend_head(const float* query, const head_history& keys, const head_history& values,
                 std::size_t length, float* out) noexcept;

} // namespace lm
