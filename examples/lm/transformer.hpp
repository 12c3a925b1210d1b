// The forward pass: tokens in, logits out, one or many at a time.
#pragma once

#include "model.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace lm {

/// Which tokens' logits are wanted.
enum class logits_of { last, all };

/// A model reading one sequence: remembers the keys and values of the tokens that it has seen.
class transformer {
public:
    /// Room for a sequence of `capacity` tokens. The model and the pool must outlive this.
    transformer(const model& weights, quant::thread_pool& pool, std::size_t capacity);

    /// Reads more tokens of the sequence.
    /// @param tokens at least one. @param wanted `all` of at most max_batch tokens, or the `last`.
    /// @return logits [1 or tokens × vocabulary], valid until the next call.
    /// @throws failure for tokens that are not in the vocabulary or beyond the capacity.
    quant::matrix_view<const float> read(std::span<const token> tokens,
                                         logits_of wanted = logits_of::last);

    /// Tokens read so far.
    [[nodiscard]] std::size_t position() const noexcept { return position_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    /// Forgets all tokens after the first `position`.
    void rewind(std::size_t position = 0) noexcept { position_ = position; }

    /// Tokens that go through the layers together; longer prompts go in parts.
    static constexpr std::size_t max_batch = 256;

private:
    using layer = model::layer;

    void check(std::span<const token> tokens, logits_of wanted) const;
    void run_layers(std::span<const token> tokens);
    void attend(const layer& weights, std::size_t index, std::size_t tokens);
    void store_keys_and_values(std::size_t layer_index, std::size_t tokens);
    void attend_heads(std::size_t layer_index, std::size_t tokens);
    void feed_forward(const layer& weights, std::size_t tokens);

    void normalize(std::span<const float> gains, std::size_t tokens);
    void add_to_stream(std::size_t tokens);
    void rotate(float* heads, std::size_t count, std::size_t position) const noexcept;

    [[nodiscard]] float* keys(std::size_t layer_index) noexcept {
        return keys_.data() + layer_index * capacity_ * model_->shape.kv_dim();
    }
    [[nodiscard]] float* values(std::size_t layer_index) noexcept {
        return values_.data() + layer_index * capacity_ * model_->shape.kv_dim();
    }

    const model* model_;
    quant::thread_pool* pool_;
    std::size_t capacity_;
    std::size_t position_ = 0;

    std::vector<float> keys_;    ///< [layers][capacity × kv_dim], rotated
    std::vector<float> values_;  ///< [layers][capacity × kv_dim]
    std::vector<float> cosines_; ///< [capacity × pairs]
    std::vector<float> sines_;   ///< [capacity × pairs]

    // Of the batch under way, a row per token.
    std::vector<float> stream_;     ///< the residual stream [dim]
    std::vector<float> normalized_; ///< [dim]
    std::vector<float> qkv_;        ///< [query_dim + 2·kv_dim]
    std::vector<float> attention_;  ///< [query_dim]
    std::vector<float> gate_up_;    ///< [2·hidden]
    std::vector<float> hidden_;     ///< [hidden]
    std::vector<float> update_;     ///< what a block adds to the stream [dim]
    std::vector<float> logits_;     ///< [vocabulary], a row per wanted token
};

} // namespace lm
