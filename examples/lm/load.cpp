#include "load.hpp"

#include "failure.hpp"

#include <array>
#include <cmath>
#include <fstream>
#include <string_view>

namespace lm {

loaded_model load_model(const std::filesystem::path& model_file,
                        const std::filesystem::path& tokenizer_file) {
    if (std::filesystem::is_directory(model_file)) {
        throw failure(model_file.string(), ": a folder, not a model file");
    }
    std::array<char, 4> magic{};
    std::ifstream file(model_file, std::ios::binary);
    if (!file) throw failure(model_file.string(), ": cannot open the model file");
    file.read(magic.data(), magic.size());
    const bool is_gguf = file && std::string_view(magic.data(), magic.size()) == "GGUF";
    loaded_model loaded =
        is_gguf ? load_gguf(model_file) : load_llama2c(model_file, tokenizer_file);
    if (loaded.text->size() != loaded.weights.shape.vocabulary) {
        throw failure(model_file.string(), ": the tokenizer has ", loaded.text->size(),
                      " tokens, the model ", loaded.weights.shape.vocabulary);
    }
    return loaded;
}

void check_shape(const model_shape& shape) {
    constexpr std::size_t limit = 1u << 24;
    for (const std::size_t size :
         {shape.dim, shape.hidden, shape.layers, shape.heads, shape.kv_heads, shape.head_dim,
          shape.vocabulary, shape.context}) {
        if (size == 0 || size > limit) {
            throw failure("model: a size of ", size, " makes no sense");
        }
    }
    if (shape.heads % shape.kv_heads != 0) {
        throw failure("model: ", shape.heads, " heads cannot share ", shape.kv_heads,
                      " key and value heads");
    }
    if (2 * shape.rope_frequencies.size() > shape.head_dim) {
        throw failure("model: rotates more dimensions than a head has");
    }
}

std::vector<float> rope_frequencies(std::size_t pairs, double base) {
    std::vector<float> frequencies(pairs);
    for (std::size_t i = 0; i < pairs; ++i) {
        const double exponent = static_cast<double>(i) / static_cast<double>(pairs);
        frequencies[i] = static_cast<float>(std::pow(base, -exponent));
    }
    return frequencies;
}

} // namespace lm
