// One model in several formats: size, speed, and distance from the float model.
#pragma once

#include "load.hpp"
#include "packed_model.hpp"
#include "schemes.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace lm {

struct compare_options {
    std::vector<const scheme_entry*> schemes;
    /// Packed files of the same model, to be compared as well: rows called "packed".
    std::vector<const packed_model*> packed;
    std::size_t scored_tokens = 512; ///< that the float model writes
    std::uint64_t seed = 1;
    std::vector<token> prompt; ///< of the line of text that each model writes
    std::size_t text_tokens = 24;
};

/// What is known of a model in one format.
struct scheme_report {
    std::string name;
    std::string meaning;
    double bits_per_weight = 0; ///< of the matrices; scales counted, padding not
    std::size_t bytes = 0;      ///< in memory, padding and norms counted
    double share_of_f32 = 0;
    double share_of_f16 = 0;
    double quantize_seconds = 0; ///< of a packed file, what loading it took, tokenizer included
    double prompt_rate = 0;      ///< tokens per second
    double decode_rate = 0;      ///< tokens per second
    double divergence = 0;       ///< see quality
    double agreement = 0;
    double perplexity = 0;
    std::string text;
};

struct comparison {
    std::size_t weights = 0; ///< numbers in the model
    std::size_t scored_tokens = 0;
    std::size_t prompt_tokens = 0; ///< that the prompt rate was measured on
    std::size_t decode_tokens = 0;
    std::vector<scheme_report> schemes;
};

/// @param reported gets each report as soon as it is complete.
[[nodiscard]] comparison compare(const loaded_model& loaded, const compare_options& options,
                                 quant::thread_pool& pool,
                                 const std::function<void(const scheme_report&)>& reported);

} // namespace lm
