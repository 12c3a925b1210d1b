// Other libraries' products, measured in turn with this one's: same shapes, same threads, same run.
#pragma once

#include "../weights.hpp"

#include <functional>
#include <string>
#include <vector>

namespace rivals {

/// What is multiplied: only like is compared with like.
enum class kind {
    fp32,            ///< float activations; the rivals' weights are float, ours have 4 bits
    int8_per_channel ///< 8-bit weights with one scale per output, or per tensor; 8-bit activations
};

struct rival {
    std::string name;
    kind what;
    /// One product of that shape for that many tokens; an empty function if the library refuses.
    std::function<std::function<void()>(bench::shape, std::size_t tokens)> make;
};

// Each is defined where its library was found.
std::vector<rival> openblas();
std::vector<rival> onednn();
std::vector<rival> xnnpack();

} // namespace rivals
