// Byte pair encoding: the merging that both tokenizers share.
#pragma once

#include "model.hpp"

#include <cstddef>
#include <optional>
#include <queue>
#include <vector>

namespace lm {

/// What two neighbours become, and how early: lower priorities merge first.
struct merge {
    double priority;
    token result;
};

namespace detail {

struct merge_candidate {
    double priority;
    std::size_t left;
    std::size_t right;
    token left_token; ///< the pair as it was seen; stale if one of them has merged since
    token right_token;
    token result;

    /// std::priority_queue keeps the largest on top: the lowest priority, then the leftmost.
    friend bool operator<(const merge_candidate& a, const merge_candidate& b) {
        return a.priority != b.priority ? a.priority > b.priority : a.left > b.left;
    }
};

} // namespace detail

/// Merges neighbours until no pair is known: always the pair of lowest priority, the leftmost of
/// equals. lookup(left, right) -> std::optional<merge>. O(n log n).
template <class Lookup>
[[nodiscard]] std::vector<token> merge_pairs(const std::vector<token>& symbols,
                                             const Lookup& lookup) {
    constexpr token gone = -1;
    const std::size_t size = symbols.size();
    std::vector<token> tokens = symbols;
    std::vector<std::size_t> next(size); // neighbours among the symbols still there
    std::vector<std::size_t> previous(size);
    std::priority_queue<detail::merge_candidate> queue;
    const auto consider = [&](std::size_t left, std::size_t right) {
        if (const std::optional<merge> found = lookup(tokens[left], tokens[right])) {
            queue.push({found->priority, left, right, tokens[left], tokens[right], found->result});
        }
    };

    for (std::size_t i = 0; i < size; ++i) {
        next[i] = i + 1;
        previous[i] = i - 1; // of the first: never read
        if (i + 1 < size) consider(i, i + 1);
    }
    while (!queue.empty()) {
        const detail::merge_candidate best = queue.top();
        queue.pop();
        if (tokens[best.left] != best.left_token || tokens[best.right] != best.right_token ||
            next[best.left] != best.right) {
            continue;
        }
        tokens[best.left] = best.result;
        tokens[best.right] = gone;
        next[best.left] = next[best.right];
        if (next[best.left] < size) {
            previous[next[best.left]] = best.left;
            consider(best.left, next[best.left]);
        }
        if (best.left > 0) consider(previous[best.left], best.left);
    }
    std::vector<token> merged;
    for (std::size_t i = 0; i < size; i = next[i]) merged.push_back(tokens[i]);
    return merged;
}

} // namespace lm
