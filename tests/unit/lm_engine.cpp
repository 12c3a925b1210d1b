// The language model example without any data: a tiny random model, batched and token by token,
// from memory and from files; sampling; the comparison.
#include "clock.hpp"
#include "compare.hpp"
#include "evaluation.hpp"
#include "generate.hpp"
#include "gguf_image.hpp"
#include "sampler.hpp"
#include "temporary_file.hpp"
#include "transformer.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

#include <cmath>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

namespace {

using Catch::Matchers::WithinAbs;
using lm::token;

/// Numbers in [-0.5, 0.5), the same everywhere.
void fill(std::vector<float>& values, std::mt19937_64& random) {
    for (float& one : values) {
        one = static_cast<float>(static_cast<double>(random() >> 11) * 0x1p-53 - 0.5);
    }
}

lm::float_matrix random_matrix(std::size_t rows, std::size_t cols, std::mt19937_64& random) {
    lm::float_matrix made(rows, cols);
    fill(made.values, random);
    return made;
}

std::vector<float> random_gains(std::size_t size, std::mt19937_64& random) {
    std::vector<float> made(size);
    fill(made, random);
    for (float& one : made) one += 1.0f;
    return made;
}

/// Two layers, three query heads per key head, sizes that are multiples of nothing.
lm::float_model random_model(std::uint64_t seed = 1) {
    std::mt19937_64 random(seed);
    lm::float_model made;
    lm::model_shape& s = made.shape;
    s.dim = 42;
    s.hidden = 75;
    s.layers = 2;
    s.heads = 6;
    s.kv_heads = 2;
    s.head_dim = 10;
    s.vocabulary = 300;
    s.context = 400;
    s.rope_frequencies = lm::rope_frequencies(5, 10000.0);
    made.embedding = random_matrix(s.vocabulary, s.dim, random);
    for (std::size_t i = 0; i < s.layers; ++i) {
        made.layers.push_back({.attention_norm = random_gains(s.dim, random),
                               .qkv = random_matrix(s.query_dim() + 2 * s.kv_dim(), s.dim, random),
                               .attention_out = random_matrix(s.dim, s.query_dim(), random),
                               .ffn_norm = random_gains(s.dim, random),
                               .gate_up = random_matrix(2 * s.hidden, s.dim, random),
                               .down = random_matrix(s.dim, s.hidden, random)});
    }
    made.final_norm = random_gains(s.dim, random);
    return made;
}

std::vector<token> random_tokens(std::size_t count, std::size_t vocabulary) {
    std::mt19937_64 random(7);
    std::vector<token> made(count);
    for (token& one : made) one = static_cast<token>(random() % vocabulary);
    return made;
}

std::vector<float> row_of(quant::matrix_view<const float> logits, std::size_t row) {
    return {logits.row(row), logits.row(row) + logits.cols()};
}

void check_close(const std::vector<float>& a, const std::vector<float>& b, double tolerance) {
    REQUIRE(a.size() == b.size());
    double worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    }
    CHECK(worst <= tolerance);
}

/// A vocabulary of single bytes, 44 tokens for nothing, for models of 300 tokens.
std::unique_ptr<const lm::tokenizer> byte_tokenizer() {
    std::vector<std::string> all = {"<unk>", "<s>", "</s>"};
    for (int byte = 0; byte < 256; ++byte) {
        constexpr char digits[] = "0123456789ABCDEF";
        all.push_back({'<', '0', 'x', digits[byte / 16], digits[byte % 16], '>'});
    }
    while (all.size() < 300) all.push_back("<unused" + std::to_string(all.size()) + ">");
    std::vector<float> scores(all.size(), 0.0f);
    return std::make_unique<lm::score_bpe>(std::move(all), std::move(scores), true,
                                           lm::special_tokens{1, 2, true});
}

TEST_CASE("a prompt read at once and token by token gives the same logits") {
    const lm::float_model weights = random_model();
    const std::vector<token> tokens = random_tokens(300, weights.shape.vocabulary);
    for (const lm::scheme_entry& scheme : lm::all_schemes()) {
        CAPTURE(std::string(scheme.name));
        quant::thread_pool two_threads(2);
        quant::thread_pool three_threads(3);
        const lm::model prepared = lm::prepare(weights, scheme, three_threads);
        lm::transformer at_once(prepared, three_threads, tokens.size());
        lm::transformer stepwise(prepared, two_threads, tokens.size());
        const std::vector<float> last = row_of(at_once.read(tokens), 0);
        at_once.rewind();
        const std::size_t first_part = 100;
        at_once.read(std::span(tokens).first(first_part));
        const auto all =
            at_once.read(std::span(tokens).subspan(first_part, 200), lm::logits_of::all);
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            const auto logits = stepwise.read({&tokens[i], 1});
            if (i >= first_part && i % 50 == 3) {
                check_close(row_of(logits, 0), row_of(all, i - first_part), 2e-3);
            }
            if (i + 1 == tokens.size()) check_close(row_of(logits, 0), last, 2e-3);
        }
    }
}

TEST_CASE("more bits are nearer to f32, and unknown schemes are refused") {
    const lm::float_model weights = random_model();
    quant::thread_pool pool(2);
    const std::vector<token> tokens = random_tokens(20, weights.shape.vocabulary);
    const auto distance = [&](std::string_view name) {
        const auto read = [&](std::string_view scheme) {
            const lm::model prepared = lm::prepare(weights, lm::find_scheme(scheme), pool);
            lm::transformer engine(prepared, pool, tokens.size());
            return row_of(engine.read(tokens), 0);
        };
        const std::vector<float> exact = read("f32");
        const std::vector<float> close = read(name);
        double sum = 0;
        for (std::size_t i = 0; i < exact.size(); ++i) sum += std::abs(exact[i] - close[i]);
        return sum;
    };
    const double eight = distance("int8_g32");
    const double four = distance("int4_g32_asym");
    const double two = distance("int2_g32_asym");
    CHECK(eight < four / 4);
    CHECK(four < two);
    CHECK_THROWS(lm::find_scheme("int5"));
}

TEST_CASE("the file's own formats run as they are, and others in float") {
    using quant::gguf::type;
    gguf_test::image image;
    image.header(3, 0)
        .tensor("a", {32, 3}, type::q8_0, 0)
        .tensor("b", {32, 2}, type::q8_0, 128)
        .tensor("c", {32, 1}, type::q5_0, 224)
        .align();
    for (std::uint32_t i = 0; i < 256; ++i) image.u8(static_cast<std::uint8_t>(i * 37u % 101u));
    const auto file = quant::gguf::file::parse(image.bytes());
    quant::thread_pool pool(1);
    const auto check = [&](std::span<const quant::gguf::tensor> stored, double bits) {
        lm::float_matrix decoded;
        decoded.cols = 32;
        for (const auto& one : stored) {
            std::vector<float> values(one.elements());
            quant::gguf::dequantize(one.type(), one.data(), values);
            decoded.values.insert(decoded.values.end(), values.begin(), values.end());
            decoded.rows += one.rows();
            decoded.stored.push_back(one);
        }
        const lm::weight_pointer made = lm::find_scheme("file").linear.make(decoded, pool);
        CHECK(made->rows() == decoded.rows);
        CHECK(made->nominal_bits() == bits * static_cast<double>(decoded.values.size()));
        std::vector<token> all(decoded.rows);
        for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<token>(i);
        std::vector<float> values(decoded.values.size());
        made->read_rows(all, quant::matrix_view(values.data(), decoded.rows, decoded.cols), pool);
        CHECK(values == decoded.values);
    };
    check(file.tensors().first(2), 8.5);
    check(file.tensors().last(1), 32);
}

TEST_CASE("prompts that do not fit and unknown tokens are refused") {
    const lm::float_model weights = random_model();
    quant::thread_pool pool(2);
    const lm::model prepared = lm::prepare(weights, lm::find_scheme("f32"), pool);
    lm::transformer engine(prepared, pool, 8);
    const std::vector<token> tokens = random_tokens(9, weights.shape.vocabulary);
    CHECK_THROWS(engine.read(tokens));
    CHECK_THROWS(engine.read({}));
    const token outside[] = {300, -1};
    CHECK_THROWS(engine.read({&outside[0], 1}));
    CHECK_THROWS(engine.read({&outside[1], 1}));
    CHECK(engine.position() == 0);
    engine.read(std::span(tokens).first(8));
    CHECK_THROWS(engine.read({&tokens[0], 1}));
}

TEST_CASE("sampling repeats with its seed and keeps to its limits") {
    const std::vector<float> logits = {0.0f, 3.0f, 1.0f, 2.0f, -1.0f};
    const auto draw = [&](const lm::sampling& options, std::size_t count) {
        lm::sampler choose(options);
        std::vector<token> drawn(count);
        for (token& one : drawn) one = choose.next(logits);
        return drawn;
    };
    CHECK(draw({.temperature = 1.0, .seed = 5}, 200) == draw({.temperature = 1.0, .seed = 5}, 200));
    CHECK(draw({.temperature = 1.0, .seed = 5}, 200) != draw({.temperature = 1.0, .seed = 6}, 200));
    CHECK(draw({.temperature = 0.0}, 3) == std::vector<token>{1, 1, 1});
    for (const token one : draw({.temperature = 5.0, .top_k = 2}, 200)) {
        CHECK((one == 1 || one == 3));
    }
    // Probabilities are 0.636, 0.234, 0.086 … : the first two reach 0.7.
    for (const token one : draw({.temperature = 1.0, .top_p = 0.7}, 200)) {
        CHECK((one == 1 || one == 3));
    }
    CHECK_THROWS(draw({.temperature = -1.0}, 1));
    CHECK_THROWS(draw({.temperature = std::nan("")}, 1));
    CHECK_THROWS(draw({.temperature = 1.0, .top_p = 2.0}, 1));
    const std::vector<token> many = draw({.temperature = 1.0}, 20000);
    const auto ones = static_cast<double>(std::count(many.begin(), many.end(), 1));
    CHECK_THAT(ones / 20000, WithinAbs(0.636, 0.015));
}

TEST_CASE("a model is at no distance from itself, and the float model writes reproducibly") {
    const lm::float_model weights = random_model();
    quant::thread_pool pool(2);
    const auto text = byte_tokenizer();
    const lm::model prepared = lm::prepare(weights, lm::find_scheme("f32"), pool);
    const auto written = lm::write_sequences(prepared, *text, pool, 150, 3);
    CHECK(lm::count_scored(written) == 150);
    const auto again = lm::write_sequences(prepared, *text, pool, 150, 3);
    REQUIRE(written.size() == again.size());
    for (std::size_t i = 0; i < written.size(); ++i) CHECK(written[i].tokens == again[i].tokens);

    const std::vector<float> logits = lm::score_logits(prepared, pool, written);
    const lm::quality same =
        lm::measure_quality(logits, logits, written, weights.shape.vocabulary, pool);
    CHECK(same.divergence == 0.0);
    CHECK_THAT(same.agreement, WithinAbs(1.0, 1e-9));
    CHECK(same.perplexity > 1.0);
}

TEST_CASE("divergence, agreement and perplexity of two known distributions") {
    quant::thread_pool pool(2);
    const std::vector<lm::sequence> one_token = {{.tokens = {0, 1}, .first_scored = 1}};
    const auto log = [](double p) { return static_cast<float>(std::log(p)); };
    const std::vector<float> p = {log(0.25), log(0.75)};
    const std::vector<float> q = {log(0.5) + 3.0f, log(0.5) + 3.0f};
    const lm::quality far = lm::measure_quality(p, q, one_token, 2, pool);
    CHECK_THAT(far.divergence,
               WithinAbs(0.25 * std::log(0.25 / 0.5) + 0.75 * std::log(0.75 / 0.5), 1e-6));
    CHECK(far.agreement == 0.0); // of equals the first counts
    CHECK_THAT(far.perplexity, WithinAbs(2.0, 1e-6));
}

TEST_CASE("the comparison reports every scheme it was asked for") {
    lm::loaded_model loaded{"tiny", "f32", random_model(), byte_tokenizer()};
    quant::thread_pool pool(2);
    lm::compare_options options;
    for (const lm::scheme_entry& one : lm::all_schemes()) options.schemes.push_back(&one);
    options.scored_tokens = 40;
    options.prompt = loaded.text->encode_prompt("abc");
    std::size_t reported = 0;
    const lm::comparison made =
        lm::compare(loaded, options, pool, [&](const lm::scheme_report&) { ++reported; });
    REQUIRE(made.schemes.size() == lm::all_schemes().size());
    CHECK(reported == made.schemes.size());
    CHECK(made.scored_tokens == 40);
    CHECK(made.schemes[0].divergence == 0.0);
    CHECK(made.schemes[0].share_of_f32 == 1.0);
    double matrix_weights = 0;
    lm::for_each_matrix(loaded.weights, [&](const lm::float_matrix& one) {
        matrix_weights += static_cast<double>(one.values.size());
    });
    for (const lm::scheme_report& one : made.schemes) {
        CAPTURE(one.name);
        CHECK(one.prompt_rate > 0);
        CHECK(one.decode_rate > 0);
        CHECK(one.divergence >= 0);
        CHECK(8.0 * static_cast<double>(one.bytes) >= one.bits_per_weight * matrix_weights);
        CHECK(std::isfinite(one.perplexity));
    }
}

TEST_CASE("a chat wants a vocabulary with its markers") {
    CHECK_THROWS(lm::chat_prompt(*byte_tokenizer(), "", "hello"));
}

/// The random model as a GGUF file of floats, with a byte tokenizer.
gguf_test::image gguf_of(const lm::float_model& weights, std::string_view spoiled_tensor = {}) {
    using gguf_test::value_type;
    const lm::model_shape& s = weights.shape;
    gguf_test::image file;
    std::vector<std::pair<std::string, std::span<const float>>> tensors;
    std::vector<std::vector<std::uint64_t>> shapes;
    const auto add = [&](const std::string& name, const float* data, std::size_t rows,
                         std::size_t cols) {
        tensors.emplace_back(name == spoiled_tensor ? "x" : name, std::span(data, rows * cols));
        shapes.push_back({cols, rows});
    };
    add("token_embd.weight", weights.embedding.values.data(), s.vocabulary, s.dim);
    for (std::size_t i = 0; i < s.layers; ++i) {
        const auto& layer = weights.layers[i];
        const std::string prefix = std::string("blk.").append(std::to_string(i)).append(".");
        const float* const qkv = layer.qkv.values.data();
        add(prefix + "attn_norm.weight", layer.attention_norm.data(), 1, s.dim);
        add(prefix + "attn_q.weight", qkv, s.query_dim(), s.dim);
        add(prefix + "attn_k.weight", qkv + s.query_dim() * s.dim, s.kv_dim(), s.dim);
        add(prefix + "attn_v.weight", qkv + (s.query_dim() + s.kv_dim()) * s.dim, s.kv_dim(),
            s.dim);
        add(prefix + "attn_output.weight", layer.attention_out.values.data(), s.dim, s.query_dim());
        add(prefix + "ffn_norm.weight", layer.ffn_norm.data(), 1, s.dim);
        add(prefix + "ffn_gate.weight", layer.gate_up.values.data(), s.hidden, s.dim);
        add(prefix + "ffn_up.weight", layer.gate_up.values.data() + s.hidden * s.dim, s.hidden,
            s.dim);
        add(prefix + "ffn_down.weight", layer.down.values.data(), s.dim, s.hidden);
    }
    add("output_norm.weight", weights.final_norm.data(), 1, s.dim);

    file.header(tensors.size(), 15).entry("general.architecture", "llama");
    file.entry("general.name", "tiny");
    const auto size = [&](const char* key, std::size_t value) {
        file.entry(key, value_type::u32, static_cast<std::uint32_t>(value));
    };
    size("llama.embedding_length", s.dim);
    size("llama.feed_forward_length", s.hidden);
    size("llama.block_count", s.layers);
    size("llama.attention.head_count", s.heads);
    size("llama.attention.head_count_kv", s.kv_heads);
    size("llama.attention.key_length", s.head_dim);
    size("llama.context_length", s.context);
    file.entry("llama.attention.layer_norm_rms_epsilon", value_type::f32, 1e-5f);
    file.entry("tokenizer.ggml.model", "llama");
    const auto text = byte_tokenizer();
    file.array("tokenizer.ggml.tokens", value_type::string, s.vocabulary);
    for (std::size_t i = 0; i < s.vocabulary; ++i) {
        const bool is_byte = i >= 3 && i < 259;
        constexpr char digits[] = "0123456789ABCDEF";
        const std::size_t byte = i - 3;
        file.str(is_byte ? std::string{'<', '0', 'x', digits[byte / 16], digits[byte % 16], '>'}
                         : text->decode(0, static_cast<token>(i)));
    }
    file.array("tokenizer.ggml.scores", value_type::f32, s.vocabulary);
    for (std::size_t i = 0; i < s.vocabulary; ++i) file.put(0.0f);
    size("tokenizer.ggml.bos_token_id", 1);
    size("tokenizer.ggml.eos_token_id", 2);

    std::uint64_t offset = 0;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        file.str(tensors[i].first).u32(2).u64(shapes[i][0]).u64(shapes[i][1]).u32(0).u64(offset);
        offset += (tensors[i].second.size_bytes() + 31) / 32 * 32;
    }
    file.align();
    for (const auto& [name, values] : tensors) {
        for (const float one : values) file.put(one);
        file.align();
    }
    return file;
}

TEST_CASE("a GGUF file holds the model that was written to it") {
    const lm::float_model weights = random_model();
    const temporary_file file(".gguf", gguf_of(weights).bytes());
    const lm::loaded_model loaded = lm::load_model(file.path());
    CHECK(loaded.name == "tiny");
    CHECK(loaded.file_types == "f32");
    CHECK(loaded.text->encode_prompt("a") == std::vector<token>{1, 3 + ' ', 3 + 'a'});
    CHECK(loaded.weights.shape.rope_frequencies == weights.shape.rope_frequencies);
    CHECK(loaded.weights.embedding.values == weights.embedding.values);
    CHECK(loaded.weights.layers[1].qkv.values == weights.layers[1].qkv.values);
    CHECK(loaded.weights.layers[1].gate_up.values == weights.layers[1].gate_up.values);
    CHECK(loaded.weights.layers[0].down.values == weights.layers[0].down.values);
    CHECK_FALSE(loaded.weights.classifier.has_value());
}

TEST_CASE("files that are no models are refused with their name") {
    const auto refusal = [](const std::filesystem::path& path) {
        try {
            (void)lm::load_model(path);
        } catch (const std::exception& problem) {
            return std::string(problem.what());
        }
        return std::string("nothing");
    };
    const lm::float_model weights = random_model();
    const temporary_file spoiled(".gguf", gguf_of(weights, "blk.1.ffn_up.weight").bytes());
    CHECK(refusal(spoiled.path()).find("no tensor blk.1.ffn_up.weight") != std::string::npos);

    const auto whole = gguf_of(weights);
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{3}, std::size_t{10}, std::size_t{100}, whole.size() / 2}) {
        const temporary_file cut(".bin", whole.bytes().first(size));
        CHECK(refusal(cut.path()).find(cut.path().string()) != std::string::npos);
    }
    CHECK(refusal("no/such/model.gguf").find("no/such/model.gguf") != std::string::npos);
    CHECK(refusal(".") != "nothing");
    std::vector<std::byte> ones(1000, std::byte{1});
    const temporary_file noise(".bin", ones);
    CHECK(refusal(noise.path()).find("neither a GGUF file nor one of llama2.c") !=
          std::string::npos);
}

} // namespace
