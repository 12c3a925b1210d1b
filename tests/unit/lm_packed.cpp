// Packed files of the language model: they run as the model that they were packed from, bit for
// bit.
#include "load.hpp"
#include "packed_model.hpp"
#include "packed_names.hpp"
#include "schemes.hpp"
#include "temporary_file.hpp"
#include "transformer.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace {

using lm::token;

std::vector<float> logits_of(const lm::model& weights, std::span<const token> tokens,
                             quant::thread_pool& pool) {
    lm::transformer engine(weights, pool, tokens.size());
    const auto logits = engine.read(tokens, lm::logits_of::all);
    return {logits.data(), logits.data() + logits.rows() * logits.cols()};
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && !a.empty() &&
           std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// One layer of random numbers, and a tokenizer of bytes.
lm::loaded_model tiny_model() {
    std::mt19937 random(3);
    const auto vector = [&](std::size_t size) {
        std::vector<float> made(size);
        for (float& one : made) one = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
        return made;
    };
    const auto matrix = [&](std::size_t rows, std::size_t cols) {
        lm::float_matrix made(rows, cols);
        made.values = vector(rows * cols);
        return made;
    };
    lm::loaded_model made;
    made.name = "tiny";
    lm::model_shape& s = made.weights.shape;
    s = {.dim = 20,
         .hidden = 37,
         .layers = 1,
         .heads = 2,
         .kv_heads = 1,
         .head_dim = 12,
         .vocabulary = 259,
         .context = 30,
         .norm_epsilon = 1e-6f,
         .rope_frequencies = lm::rope_frequencies(5, 12345.0)};
    made.weights.embedding = matrix(s.vocabulary, s.dim);
    made.weights.layers.push_back({.attention_norm = vector(s.dim),
                                   .qkv = matrix(s.query_dim() + 2 * s.kv_dim(), s.dim),
                                   .attention_out = matrix(s.dim, s.query_dim()),
                                   .ffn_norm = vector(s.dim),
                                   .gate_up = matrix(2 * s.hidden, s.dim),
                                   .down = matrix(s.dim, s.hidden)});
    made.weights.final_norm = vector(s.dim);
    made.weights.classifier = matrix(s.vocabulary, s.dim);
    std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
    for (int byte = 0; byte < 256; ++byte) {
        constexpr char digits[] = "0123456789ABCDEF";
        tokens.push_back({'<', '0', 'x', digits[byte / 16], digits[byte % 16], '>'});
    }
    made.text = std::make_unique<lm::score_bpe>(
        std::move(tokens), vector(259), true,
        lm::special_tokens{.begin = 1, .end = {}, .add_begin = true});
    return made;
}

/// A path that nothing has yet; what is written there goes away with the object.
class free_path {
public:
    free_path() : folder_("packed", {}) { std::filesystem::remove(folder_.path()); }
    [[nodiscard]] const std::filesystem::path& operator*() const { return folder_.path(); }

private:
    temporary_file folder_;
};

void check_round_trip(const lm::loaded_model& loaded, std::string_view scheme,
                      std::span<const token> tokens) {
    CAPTURE(std::string(scheme));
    quant::thread_pool pool(2);
    const free_path path;
    const lm::scheme_entry& entry = lm::find_scheme(scheme);
    lm::save_packed(*path, loaded, entry, pool);
    const auto packed = lm::load_packed(*path);
    REQUIRE(packed.has_value());
    CHECK(packed->name == loaded.name);
    CHECK(packed->scheme == scheme);
    CHECK(packed->load_seconds > 0);

    const lm::model prepared = lm::prepare(loaded.weights, entry, pool);
    CHECK(same_bits(logits_of(packed->weights, tokens, pool), logits_of(prepared, tokens, pool)));
    // In the file's own memory.
    const auto tensors = packed->file.container().tensors();
    lm::for_each_matrix(packed->weights, [&](const lm::weight_pointer& one) {
        const auto bytes = one->packed_bytes();
        if (bytes.empty()) return; // in float
        CHECK(bytes.data() >= tensors.front().data().data());
        CHECK(bytes.data() < tensors.back().data().data());
    });

    const lm::tokenizer& text = *packed->text;
    CHECK(text.tokens() == loaded.text->tokens());
    CHECK(text.special().begin == loaded.text->special().begin);
    CHECK(text.special().end == loaded.text->special().end);
    const auto ids = loaded.text->encode_prompt("One day, two \xC3\xA9t\xC3\xA9s.");
    CHECK(text.encode_prompt("One day, two \xC3\xA9t\xC3\xA9s.") == ids);
    CHECK(text.decode(ids) == loaded.text->decode(ids));
}

} // namespace

TEST_CASE("a packed file runs as the model that was packed") {
    const lm::loaded_model tiny = tiny_model();
    std::vector<token> tokens(20);
    std::iota(tokens.begin(), tokens.end(), 100);
    for (const char* const scheme : {"f32", "int8_channel", "int4_g32_asym_e8", "int3_g32"}) {
        check_round_trip(tiny, scheme, tokens);
    }
}

TEST_CASE("a packed file of stories260K runs as the model that was packed") {
    const std::filesystem::path folder = std::filesystem::path(QUANT_SHARED_DATA) / "stories260K";
    if (!std::filesystem::exists(folder)) SKIP("no " << folder.string() << " here");
    const lm::loaded_model stories = lm::load_model(folder / "stories260K.bin");
    const auto tokens = stories.text->encode_prompt("Once upon a time, there was a little girl.");
    for (const lm::scheme_entry& one : lm::all_schemes()) {
        check_round_trip(stories, one.name, tokens);
    }
}

TEST_CASE("other models are no packed files, and packed files are no float models") {
    const free_path path;
    CHECK_FALSE(lm::load_packed(*path).has_value());
    const temporary_file other("model.bin", std::as_bytes(std::span("GGUG and more")));
    CHECK_FALSE(lm::load_packed(other.path()).has_value());
    const temporary_file broken("model.gguf", std::as_bytes(std::span("GGUF and less")));
    CHECK_THROWS_AS(lm::load_packed(broken.path()), lm::failure);

    quant::thread_pool pool(1);
    lm::save_packed(*path, tiny_model(), lm::find_scheme("int4_g32"), pool);
    CHECK_THROWS_AS(lm::load_model(*path), lm::failure);
}

TEST_CASE("packed files that are no model are refused") {
    quant::thread_pool pool(1);
    const lm::loaded_model tiny = tiny_model();
    const free_path path;
    lm::save_packed(*path, tiny, lm::find_scheme("int4_g32"), pool);
    // The same file with one name, or one number of the metadata, spoiled.
    const auto refuse = [&](std::string_view text, std::size_t at, char value) {
        std::ifstream in(*path, std::ios::binary);
        std::string bytes{std::istreambuf_iterator<char>(in), {}};
        const std::size_t found = bytes.find(text);
        REQUIRE(found != std::string::npos);
        bytes[found + at] = value;
        const temporary_file spoiled("spoiled", std::as_bytes(std::span(bytes)));
        CAPTURE(std::string(text));
        CHECK_THROWS_AS(lm::load_packed(spoiled.path()), lm::failure);
    };
    refuse("blk.0.attn_qkv.weight", 6, 'x');
    refuse("blk.0.ffn_norm.weight", 6, 'x');
    refuse("lm.rope_frequencies", 0, 'x');
    refuse("tokenizer.ggml.tokens", 0, 'x');
    // A key is followed by the four bytes of its type, then its value.
    refuse("llama.embedding_length", 22 + 4, 21);
    refuse("llama.block_count", 17 + 4, 2);
    refuse("llama.block_count", 17 + 4 + 2, 100);
    refuse("quant.packed.layout_version", 27 + 4, 9);
}
