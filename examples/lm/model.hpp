// A Llama-architecture model: its shape, and its weights as loaded and as run.
#pragma once

#include <quant/core/matrix_view.hpp>
#include <quant/core/thread_pool.hpp>
#include <quant/io/gguf/tensor.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace lm {

using token = std::int32_t;

struct model_shape {
    std::size_t dim = 0;    ///< width of the residual stream
    std::size_t hidden = 0; ///< width of the feed-forward layer
    std::size_t layers = 0;
    std::size_t heads = 0;    ///< query heads
    std::size_t kv_heads = 0; ///< key and value heads; each serves heads / kv_heads queries
    std::size_t head_dim = 0;
    std::size_t vocabulary = 0;
    std::size_t context = 0; ///< tokens that the model was trained to look back on
    float norm_epsilon = 1e-5f;
    /// Angle per position of each rotated pair (x[2i], x[2i+1]) of a head.
    std::vector<float> rope_frequencies;

    [[nodiscard]] std::size_t query_dim() const noexcept { return heads * head_dim; }
    [[nodiscard]] std::size_t kv_dim() const noexcept { return kv_heads * head_dim; }
};

/// The weights of a model, matrices of type Matrix with rows = outputs, columns = inputs.
///
/// Matrices with the same input are one: qkv holds the rows of the query, key and value
/// projections in this order, gate_up those of w1 and w3. One product instead of three or two,
/// and the input is quantized once.
template <class Matrix>
struct basic_model {
    struct layer {
        std::vector<float> attention_norm; ///< [dim]
        Matrix qkv;                        ///< [query_dim + 2·kv_dim × dim]
        Matrix attention_out;              ///< [dim × query_dim]
        std::vector<float> ffn_norm;       ///< [dim]
        Matrix gate_up;                    ///< [2·hidden × dim]
        Matrix down;                       ///< [dim × hidden]
    };

    model_shape shape;
    Matrix embedding; ///< [vocabulary × dim]
    std::vector<layer> layers;
    std::vector<float> final_norm;    ///< [dim]
    std::optional<Matrix> classifier; ///< [vocabulary × dim]; the embedding serves if absent

    [[nodiscard]] const Matrix& output() const { return classifier ? *classifier : embedding; }
};

/// Calls f(matrix) for each matrix of a model.
template <class Model, class F>
void for_each_matrix(Model& model, F f) {
    f(model.embedding);
    for (auto& layer : model.layers) {
        f(layer.qkv);
        f(layer.attention_out);
        f(layer.gate_up);
        f(layer.down);
    }
    if (model.classifier) f(*model.classifier);
}

/// A float matrix that owns its numbers.
struct float_matrix {
    std::size_t rows = 0;
    std::size_t cols = 0;
    std::vector<float> values;
    /// The tensors of a GGUF file, below each other, that were decoded into the values; empty if
    /// they come from elsewhere.
    std::vector<quant::gguf::tensor> stored;

    float_matrix() = default;
    float_matrix(std::size_t row_count, std::size_t col_count)
        : rows(row_count), cols(col_count), values(row_count * col_count) {}

    [[nodiscard]] quant::matrix_view<const float> view() const noexcept {
        return {values.data(), rows, cols};
    }
    /// The numbers of rows [first, first + count), to be filled.
    [[nodiscard]] std::span<float> row_values(std::size_t first, std::size_t count) noexcept {
        return std::span<float>(values).subspan(first * cols, count * cols);
    }
};

/// The weights as read from a file, in float.
using float_model = basic_model<float_matrix>;

/// A weight matrix ready for products, in whatever format.
class weight_matrix {
public:
    virtual ~weight_matrix() = default;

    [[nodiscard]] virtual std::size_t rows() const noexcept = 0;
    [[nodiscard]] virtual std::size_t cols() const noexcept = 0;
    /// Bytes in memory, padding included.
    [[nodiscard]] virtual std::size_t bytes() const noexcept = 0;
    /// These bytes if they are a quant::packed_matrix, which a packed file stores; none of floats.
    [[nodiscard]] virtual std::span<const std::byte> packed_bytes() const noexcept { return {}; }
    /// Bits that the format needs for this shape, padding not counted.
    [[nodiscard]] virtual double nominal_bits() const noexcept = 0;

    /// y = x · wᵀ for x [tokens × cols], y [tokens × rows].
    virtual void multiply(quant::matrix_view<const float> x, quant::matrix_view<float> y,
                          quant::thread_pool& pool) const = 0;
    /// One row for each token, its number the token's, as floats: values [tokens × cols].
    virtual void read_rows(std::span<const token> tokens, quant::matrix_view<float> values,
                           quant::thread_pool& pool) const = 0;
};

using weight_pointer = std::unique_ptr<const weight_matrix>;

/// A model that runs.
using model = basic_model<weight_pointer>;

} // namespace lm
