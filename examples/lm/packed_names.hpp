// What the tensors of a model are called in a packed file.
#pragma once

#include "failure.hpp"
#include "model.hpp"

#include <string>

namespace lm {

inline constexpr const char* scheme_key = "lm.scheme";
inline constexpr const char* frequencies_name = "lm.rope_frequencies";
inline constexpr const char* embedding_name = "token_embd.weight";
inline constexpr const char* classifier_name = "output.weight";

/// Calls f(name, matrix, rows, cols) for each matrix, in an order that never changes. The matrices
/// that the model joins are one tensor.
template <class Model, class F>
void for_each_named_matrix(Model& of, F f) {
    const model_shape& s = of.shape;
    f(std::string(embedding_name), of.embedding, s.vocabulary, s.dim);
    for (std::size_t i = 0; i < of.layers.size(); ++i) {
        auto& layer = of.layers[i];
        const std::string prefix = text_of("blk.", i, ".");
        f(prefix + "attn_qkv.weight", layer.qkv, s.query_dim() + 2 * s.kv_dim(), s.dim);
        f(prefix + "attn_output.weight", layer.attention_out, s.dim, s.query_dim());
        f(prefix + "ffn_gate_up.weight", layer.gate_up, 2 * s.hidden, s.dim);
        f(prefix + "ffn_down.weight", layer.down, s.dim, s.hidden);
    }
    if (of.classifier) f(std::string(classifier_name), *of.classifier, s.vocabulary, s.dim);
}

/// Calls f(name, numbers, size) for each vector.
template <class Model, class F>
void for_each_named_vector(Model& of, F f) {
    for (std::size_t i = 0; i < of.layers.size(); ++i) {
        auto& layer = of.layers[i];
        const std::string prefix = text_of("blk.", i, ".");
        f(prefix + "attn_norm.weight", layer.attention_norm, of.shape.dim);
        f(prefix + "ffn_norm.weight", layer.ffn_norm, of.shape.dim);
    }
    f(std::string("output_norm.weight"), of.final_norm, of.shape.dim);
}

} // namespace lm
