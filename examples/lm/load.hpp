// Reading models and tokenizers from files.
#pragma once

#include "model.hpp"
#include "tokenizer.hpp"

#include <quant/io/gguf/file.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace lm {

struct loaded_model {
    std::string name;
    std::string file_types; ///< of the matrices in the file: "f32" or "q4_1, q8_0"
    float_model weights;
    std::unique_ptr<const tokenizer> text;
    std::unique_ptr<const quant::gguf::file> file{}; ///< what the weights' stored tensors refer to
};

/// Reads a model, a GGUF file or one of llama2.c, and its tokenizer.
///
/// A GGUF file holds its tokenizer. One of llama2.c needs a second file: `tokenizer_file` or, if
/// empty, tok<vocabulary>.bin or tokenizer.bin beside the model.
/// @throws failure or quant::error, naming the file and what is wrong with it.
[[nodiscard]] loaded_model load_model(const std::filesystem::path& model_file,
                                      const std::filesystem::path& tokenizer_file = {});

/// @copydoc load_model
[[nodiscard]] loaded_model load_gguf(const std::filesystem::path& model_file);

/// @copydoc load_model
[[nodiscard]] loaded_model load_llama2c(const std::filesystem::path& model_file,
                                        std::filesystem::path tokenizer_file);

/// Refuses shapes that no model has, before anything is allocated for them.
void check_shape(const model_shape& shape);

/// Angles per position of `pairs` rotated pairs: base^(−i / pairs).
[[nodiscard]] std::vector<float> rope_frequencies(std::size_t pairs, double base);

} // namespace lm
