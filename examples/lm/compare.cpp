#include "compare.hpp"

#include "clock.hpp"
#include "evaluation.hpp"
#include "failure.hpp"
#include "generate.hpp"
#include "progress_bar.hpp"
#include "transformer.hpp"

#include <algorithm>

namespace lm {
namespace {

constexpr std::size_t most_prompt_tokens = 256;
constexpr std::size_t most_decode_tokens = 64;
constexpr std::size_t prompt_repeats = 3;

struct speed {
    double prompt_rate;
    double decode_rate;
};

template <class Model>
std::size_t size_of_norms(const Model& weights) {
    std::size_t size = weights.final_norm.size();
    for (const auto& layer : weights.layers) {
        size += layer.attention_norm.size() + layer.ffn_norm.size();
    }
    return size;
}

/// Medians over repeated prompts and over single tokens.
speed measure_speed(const model& weights, quant::thread_pool& pool,
                    const std::vector<token>& tokens, std::size_t prompt_tokens) {
    transformer engine(weights, pool, tokens.size());
    const std::span<const token> all(tokens);
    std::vector<double> prompt_seconds;
    for (std::size_t i = 0; i < prompt_repeats; ++i) {
        engine.rewind();
        const stopwatch watch;
        engine.read(all.first(prompt_tokens));
        prompt_seconds.push_back(watch.seconds());
    }
    std::vector<double> token_seconds;
    for (std::size_t at = prompt_tokens; at < all.size(); ++at) {
        const stopwatch watch;
        engine.read(all.subspan(at, 1));
        token_seconds.push_back(watch.seconds());
    }
    return {static_cast<double>(prompt_tokens) / median(prompt_seconds),
            1.0 / median(token_seconds)};
}

std::string write_line(const model& weights, const tokenizer& text, quant::thread_pool& pool,
                       const compare_options& options) {
    transformer engine(
        weights, pool,
        std::min(weights.shape.context, options.prompt.size() + options.text_tokens));
    sampler greedy({.temperature = 0.0});
    std::string line;
    generate(engine, text, greedy, options.prompt, options.text_tokens,
             [&](std::string_view bytes) { line += bytes; });
    std::replace(line.begin(), line.end(), '\n', ' ');
    return line;
}

/// The steps of a comparison, with what they share.
class comparer {
public:
    comparer(const loaded_model& loaded, const compare_options& options, quant::thread_pool& pool)
        : loaded_(&loaded), options_(&options), pool_(&pool),
          float_model_(prepare(loaded.weights, find_scheme("f32"), pool)) {
        progress_bar bar("f32 writes");
        sequences_ =
            write_sequences(float_model_, *loaded.text, pool, options.scored_tokens, options.seed);
        bar.show(0.5);
        reference_ = score_logits(float_model_, pool, sequences_);
        choose_speed_tokens();

        norms_ = size_of_norms(loaded.weights);
        for_each_matrix(loaded.weights,
                        [&](const float_matrix& one) { matrix_weights_ += one.values.size(); });
    }

    [[nodiscard]] comparison summary() const {
        return {.weights = matrix_weights_ + norms_,
                .scored_tokens = count_scored(sequences_),
                .prompt_tokens = prompt_tokens_,
                .decode_tokens = speed_tokens_.size() - prompt_tokens_,
                .schemes = {}};
    }

    [[nodiscard]] scheme_report report(const scheme_entry& scheme) const {
        scheme_report made;
        made.name = scheme.name;
        made.meaning = scheme.meaning;
        const model quantized = quantize(scheme, made);
        measure(quantized, made);
        return made;
    }

    [[nodiscard]] scheme_report report(const packed_model& packed) const {
        scheme_report made;
        made.name = "packed";
        made.meaning = "packed file, " + packed.scheme;
        made.quantize_seconds = packed.load_seconds;
        measure(packed.weights, made);
        return made;
    }

private:
    void measure(const model& quantized, scheme_report& made) const {
        measure_size(quantized, made);
        progress_bar bar(made.name + ": evaluates");
        const quality distance =
            measure_quality(reference_, score_logits(quantized, *pool_, sequences_), sequences_,
                            quantized.shape.vocabulary, *pool_);
        made.divergence = distance.divergence;
        made.agreement = distance.agreement;
        made.perplexity = distance.perplexity;
        bar.show(0.5);
        const speed rates = measure_speed(quantized, *pool_, speed_tokens_, prompt_tokens_);
        made.prompt_rate = rates.prompt_rate;
        made.decode_rate = rates.decode_rate;
        bar.show(0.9);
        made.text = write_line(quantized, *loaded_->text, *pool_, *options_);
    }

    /// Text of the float model, as much as the context and the measurement have room for.
    void choose_speed_tokens() {
        const std::size_t context = loaded_->weights.shape.context;
        const std::size_t size = std::min(context, most_prompt_tokens + most_decode_tokens);
        while (speed_tokens_.size() < size) {
            for (const sequence& one : sequences_) {
                speed_tokens_.insert(speed_tokens_.end(), one.tokens.begin(), one.tokens.end());
            }
        }
        speed_tokens_.resize(size);
        prompt_tokens_ = size - std::min(size / 2, most_decode_tokens);
    }

    [[nodiscard]] model quantize(const scheme_entry& scheme, scheme_report& made) const {
        progress_bar bar(made.name + ": quantizes");
        const stopwatch watch;
        model quantized =
            prepare(loaded_->weights, scheme, *pool_, [&](double share) { bar.show(share); });
        made.quantize_seconds = watch.seconds();
        return quantized;
    }

    void measure_size(const model& quantized, scheme_report& made) const {
        double bits = 0;
        made.bytes = norms_ * sizeof(float);
        for_each_matrix(quantized, [&](const weight_pointer& one) {
            bits += one->nominal_bits();
            made.bytes += one->bytes();
        });
        const double weights = static_cast<double>(matrix_weights_ + norms_);
        made.bits_per_weight = bits / static_cast<double>(matrix_weights_);
        made.share_of_f32 = static_cast<double>(made.bytes) / (4.0 * weights);
        made.share_of_f16 = static_cast<double>(made.bytes) / (2.0 * weights);
    }

    const loaded_model* loaded_;
    const compare_options* options_;
    quant::thread_pool* pool_;
    model float_model_;
    std::vector<sequence> sequences_;
    std::vector<float> reference_; ///< logits of the float model
    std::vector<token> speed_tokens_;
    std::size_t prompt_tokens_ = 0; ///< of speed_tokens_, read as one prompt
    std::size_t norms_ = 0;
    std::size_t matrix_weights_ = 0;
};

} // namespace

comparison compare(const loaded_model& loaded, const compare_options& options,
                   quant::thread_pool& pool,
                   const std::function<void(const scheme_report&)>& reported) {
    if (options.scored_tokens == 0) throw failure("compare: no tokens to compare on");
    if (loaded.weights.shape.context < 8)
        throw failure("compare: the model's context is too short");
    for (const packed_model* const one : options.packed) {
        if (one->weights.shape.vocabulary != loaded.weights.shape.vocabulary ||
            one->weights.shape.context != loaded.weights.shape.context) {
            throw failure("compare: the packed file is one of another model");
        }
    }
    const comparer compares(loaded, options, pool);
    comparison made = compares.summary();
    for (const scheme_entry* const scheme : options.schemes) {
        made.schemes.push_back(compares.report(*scheme));
        reported(made.schemes.back());
    }
    for (const packed_model* const packed : options.packed) {
        made.schemes.push_back(compares.report(*packed));
        reported(made.schemes.back());
    }
    return made;
}

} // namespace lm
