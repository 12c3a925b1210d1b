// A real small language model, float32: the engine against known likelihoods and a known text.
#include "evaluation.hpp"
#include "generate.hpp"
#include "load.hpp"
#include "schemes.hpp"
#include "transformer.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace {

using lm::token;

const std::filesystem::path folder = std::filesystem::path(QUANT_SHARED_DATA) / "stories260K";

template <class T>
std::vector<T> read_numbers(const char* name) {
    const std::filesystem::path path = folder / name;
    std::vector<T> numbers(std::filesystem::file_size(path) / sizeof(T));
    std::ifstream(path, std::ios::binary)
        .read(reinterpret_cast<char*>(numbers.data()),
              static_cast<std::streamsize>(numbers.size() * sizeof(T)));
    return numbers;
}

/// The model, and the eight sequences that its likelihoods are known on.
struct stories {
    static constexpr std::size_t sequences = 8;
    static constexpr std::size_t length = 256;

    lm::loaded_model loaded = lm::load_model(folder / "stories260K.bin");
    std::vector<token> tokens = read_numbers<token>("eval_tokens.i32");
    std::vector<float> likelihoods = read_numbers<float>("eval_nll.f32");
    quant::thread_pool pool{2};

    /// Negative log-likelihoods of each next token, as the file orders them.
    std::vector<double> likelihoods_of(std::string_view scheme) {
        const lm::model model = lm::prepare(loaded.weights, lm::find_scheme(scheme), pool);
        lm::transformer engine(model, pool, length);
        std::vector<double> all;
        for (std::size_t s = 0; s < sequences; ++s) {
            engine.rewind();
            const auto sequence = std::span(tokens).subspan(s * length, length);
            const auto logits = engine.read(sequence, lm::logits_of::all);
            for (std::size_t i = 0; i + 1 < length; ++i) {
                all.push_back(likelihood({logits.row(i), logits.cols()}, sequence[i + 1]));
            }
        }
        return all;
    }

    static double likelihood(std::span<const float> logits, token next) {
        const double largest = *std::max_element(logits.begin(), logits.end());
        double sum = 0;
        for (const float one : logits) sum += std::exp(static_cast<double>(one) - largest);
        return std::log(sum) + largest -
               static_cast<double>(logits[static_cast<std::size_t>(next)]);
    }
};

double mean(const std::vector<double>& values) {
    double sum = 0;
    for (const double one : values) sum += one;
    return sum / static_cast<double>(values.size());
}

#define SKIP_WITHOUT_DATA() \
    if (!std::filesystem::exists(folder)) SKIP("no " << folder.string() << " here")

TEST_CASE("f32 has the known likelihoods") {
    SKIP_WITHOUT_DATA();
    stories data;
    const std::vector<double> got = data.likelihoods_of("f32");
    REQUIRE(got.size() == data.likelihoods.size());
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        worst = std::max(worst, std::abs(got[i] - static_cast<double>(data.likelihoods[i])));
    }
    CHECK(worst < 1e-3);
}

TEST_CASE("f32 has the known first logits") {
    SKIP_WITHOUT_DATA();
    stories data;
    const std::vector<float> known = read_numbers<float>("first_logits.f32");
    const lm::model model = lm::prepare(data.loaded.weights, lm::find_scheme("f32"), data.pool);
    lm::transformer engine(model, data.pool, 4);
    const auto logits = engine.read(std::span(data.tokens).first(4), lm::logits_of::all);
    double worst = 0;
    for (std::size_t i = 0; i < known.size(); ++i) {
        worst = std::max(
            worst, std::abs(static_cast<double>(logits.data()[i]) - static_cast<double>(known[i])));
    }
    CHECK(worst < 1e-3);
}

TEST_CASE("f32 writes the known text") {
    SKIP_WITHOUT_DATA();
    stories data;
    const lm::model model = lm::prepare(data.loaded.weights, lm::find_scheme("f32"), data.pool);
    lm::transformer engine(model, data.pool, 128);
    lm::sampler greedy({.temperature = 0.0});
    std::string text = "Once upon a time";
    lm::generate(engine, *data.loaded.text, greedy, data.loaded.text->encode_prompt(text), 60,
                 [&](std::string_view more) { text += more; });
    CHECK(text.starts_with("Once upon a time, there was a little girl named Lily. She loved to "
                           "play outside in the park. One day, she saw a big, red ball."));
}

TEST_CASE("int8 in groups of 32 is within half a percent of f32") {
    SKIP_WITHOUT_DATA();
    stories data;
    const double exact = mean(data.likelihoods_of("f32"));
    const double quantized = mean(data.likelihoods_of("int8_g32"));
    CAPTURE(exact, quantized);
    CHECK(std::abs(quantized / exact - 1) < 0.005);
}

TEST_CASE("the known sequences are text, and the tokenizer gives their text back") {
    SKIP_WITHOUT_DATA();
    stories data;
    const std::vector<token> first(data.tokens.begin() + 1,
                                   data.tokens.begin() + stories::length / 2);
    const std::string text = data.loaded.text->decode(first);
    CHECK(data.loaded.text->decode(data.loaded.text->encode(text)) == text);
}

} // namespace
