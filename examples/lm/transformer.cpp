#include "transformer.hpp"

#include "attention.hpp"
#include "failure.hpp"
#include "lanes.hpp"
#include "parallel.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace lm {
namespace {

using input = quant::matrix_view<const float>;
using output = quant::matrix_view<float>;

/// x·σ(x), the gate of SwiGLU.
float silu(float x) noexcept { return x / (1.0f + std::exp(-x)); }

} // namespace

transformer::transformer(const model& weights, quant::thread_pool& pool, std::size_t capacity)
    : model_(&weights), pool_(&pool), capacity_(capacity) {
    const model_shape& s = weights.shape;
    keys_.resize(s.layers * capacity * s.kv_dim());
    values_.resize(keys_.size());

    const std::size_t pairs = s.rope_frequencies.size();
    cosines_.resize(capacity * pairs);
    sines_.resize(capacity * pairs);
    for (std::size_t at = 0; at < capacity; ++at) {
        for (std::size_t i = 0; i < pairs; ++i) {
            const double angle =
                static_cast<double>(at) * static_cast<double>(s.rope_frequencies[i]);
            cosines_[at * pairs + i] = static_cast<float>(std::cos(angle));
            sines_[at * pairs + i] = static_cast<float>(std::sin(angle));
        }
    }

    const std::size_t batch = std::min(capacity, max_batch);
    stream_.resize(batch * s.dim);
    normalized_.resize(batch * s.dim);
    qkv_.resize(batch * (s.query_dim() + 2 * s.kv_dim()));
    attention_.resize(batch * s.query_dim());
    gate_up_.resize(batch * 2 * s.hidden);
    hidden_.resize(batch * s.hidden);
    update_.resize(batch * s.dim);
}

void transformer::check(std::span<const token> tokens, logits_of wanted) const {
    if (tokens.empty()) throw failure("no tokens to read: the prompt is empty");
    if (tokens.size() > capacity_ - position_) {
        throw failure("the prompt is too long: ", position_ + tokens.size(),
                      " tokens where there is room for ", capacity_);
    }
    if (wanted == logits_of::all && tokens.size() > max_batch) {
        throw failure("logits of more than ", max_batch, " tokens at once");
    }
    for (const token one : tokens) {
        if (one < 0 || static_cast<std::size_t>(one) >= model_->shape.vocabulary) {
            throw failure("token ", one, " is not in the model's vocabulary");
        }
    }
}

quant::matrix_view<const float> transformer::read(std::span<const token> tokens, logits_of wanted) {
    check(tokens, wanted);
    std::size_t batch = 0;
    while (!tokens.empty()) {
        batch = std::min(tokens.size(), max_batch);
        run_layers(tokens.first(batch));
        tokens = tokens.subspan(batch);
    }

    const model_shape& s = model_->shape;
    const std::size_t rows = wanted == logits_of::all ? batch : 1;
    if (rows < batch) { // the last token's stream to the front
        std::copy_n(stream_.data() + (batch - 1) * s.dim, s.dim, stream_.data());
    }
    normalize(model_->final_norm, rows);
    logits_.resize(std::max(logits_.size(), rows * s.vocabulary));
    model_->output()->multiply(input(normalized_.data(), rows, s.dim),
                               output(logits_.data(), rows, s.vocabulary), *pool_);
    return {logits_.data(), rows, s.vocabulary};
}

void transformer::run_layers(std::span<const token> tokens) {
    model_->embedding->read_rows(tokens, {stream_.data(), tokens.size(), model_->shape.dim},
                                 *pool_);
    for (std::size_t i = 0; i < model_->layers.size(); ++i) {
        attend(model_->layers[i], i, tokens.size());
        feed_forward(model_->layers[i], tokens.size());
    }
    position_ += tokens.size();
}

void transformer::attend(const layer& weights, std::size_t index, std::size_t tokens) {
    const model_shape& s = model_->shape;
    normalize(weights.attention_norm, tokens);
    weights.qkv->multiply(input(normalized_.data(), tokens, s.dim),
                          output(qkv_.data(), tokens, s.query_dim() + 2 * s.kv_dim()), *pool_);
    store_keys_and_values(index, tokens);
    attend_heads(index, tokens);
    weights.attention_out->multiply(input(attention_.data(), tokens, s.query_dim()),
                                    output(update_.data(), tokens, s.dim), *pool_);
    add_to_stream(tokens);
}

/// Rotates queries in place, and keys on their way into the history.
void transformer::store_keys_and_values(std::size_t layer_index, std::size_t tokens) {
    const model_shape& s = model_->shape;
    const std::size_t width = s.query_dim() + 2 * s.kv_dim();
    parallel_for(*pool_, tokens, 4 * width, [&](std::size_t t) {
        float* const row = qkv_.data() + t * width;
        const std::size_t at = position_ + t;
        rotate(row, s.heads + s.kv_heads, at);
        const float* const key = row + s.query_dim();
        std::copy_n(key, s.kv_dim(), keys(layer_index) + at * s.kv_dim());
        std::copy_n(key + s.kv_dim(), s.kv_dim(), values(layer_index) + at * s.kv_dim());
    });
}

void transformer::rotate(float* heads, std::size_t count, std::size_t position) const noexcept {
    const std::size_t head_dim = model_->shape.head_dim;
    const std::size_t pairs = model_->shape.rope_frequencies.size();
    const float* const cosine = cosines_.data() + position * pairs;
    const float* const sine = sines_.data() + position * pairs;
    for (std::size_t h = 0; h < count; ++h) {
        float* const head = heads + h * head_dim;
        for (std::size_t i = 0; i < pairs; ++i) {
            const float x = head[2 * i];
            const float y = head[2 * i + 1];
            head[2 * i] = x * cosine[i] - y * sine[i];
            head[2 * i + 1] = x * sine[i] + y * cosine[i];
        }
    }
}

void transformer::attend_heads(std::size_t layer_index, std::size_t tokens) {
    const model_shape& s = model_->shape;
    const std::size_t width = s.query_dim() + 2 * s.kv_dim();
    const std::size_t shared_by = s.heads / s.kv_heads;
    const std::size_t cost = 4 * (position_ + tokens) * s.head_dim;
    parallel_for(*pool_, tokens * s.heads, cost, [&](std::size_t task) {
        const std::size_t t = task / s.heads;
        const std::size_t head = task % s.heads;
        const std::size_t offset = head / shared_by * s.head_dim;
        const head_history past_keys{keys(layer_index) + offset, s.kv_dim(), s.head_dim};
        const head_history past_values{values(layer_index) + offset, s.kv_dim(), s.head_dim};
        attend_head(qkv_.data() + t * width + head * s.head_dim, past_keys, past_values,
                    position_ + t + 1, attention_.data() + t * s.query_dim() + head * s.head_dim);
    });
}

void transformer::feed_forward(const layer& weights, std::size_t tokens) {
    const model_shape& s = model_->shape;
    normalize(weights.ffn_norm, tokens);
    weights.gate_up->multiply(input(normalized_.data(), tokens, s.dim),
                              output(gate_up_.data(), tokens, 2 * s.hidden), *pool_);
    parallel_for(*pool_, tokens, 16 * s.hidden, [&](std::size_t t) {
        const float* const gate = gate_up_.data() + t * 2 * s.hidden;
        const float* const up = gate + s.hidden;
        float* const hidden = hidden_.data() + t * s.hidden;
        for (std::size_t i = 0; i < s.hidden; ++i) hidden[i] = silu(gate[i]) * up[i];
    });
    weights.down->multiply(input(hidden_.data(), tokens, s.hidden),
                           output(update_.data(), tokens, s.dim), *pool_);
    add_to_stream(tokens);
}

/// RMSNorm of the stream: x / √(mean(x²) + ε), times a gain per column.
void transformer::normalize(std::span<const float> gains, std::size_t tokens) {
    const std::size_t dim = model_->shape.dim;
    parallel_for(*pool_, tokens, 4 * dim, [&](std::size_t t) {
        const float* const x = stream_.data() + t * dim;
        float* const y = normalized_.data() + t * dim;
        const float mean_square = dot(x, x, dim) / static_cast<float>(dim);
        const float scale = 1.0f / std::sqrt(mean_square + model_->shape.norm_epsilon);
        for (std::size_t i = 0; i < dim; ++i) y[i] = x[i] * scale * gains[i];
    });
}

void transformer::add_to_stream(std::size_t tokens) {
    const std::size_t size = tokens * model_->shape.dim;
    for (std::size_t i = 0; i < size; ++i) stream_[i] += update_[i];
}

} // namespace lm
