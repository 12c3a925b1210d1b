// GGUF files of the architecture "llama". The query and key projections of these files are stored
// with the rows of each head permuted, so that the pairs to rotate are neighbours, as in llama2.c.
#include "load.hpp"

#include "failure.hpp"

#include <quant/io/gguf.hpp>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string_view>

namespace lm {
namespace {

class gguf_model {
public:
    explicit gguf_model(const std::filesystem::path& path)
        : path_(path.string()), file_(open(path)) {}

    [[nodiscard]] std::string name() const {
        return std::string(file_.get<std::string_view>("general.name").value_or(path_));
    }
    [[nodiscard]] std::string types() const;
    [[nodiscard]] float_model weights();
    [[nodiscard]] std::unique_ptr<const tokenizer> text() const;
    /// The file, which tensors of the weights refer to; this object is done then.
    [[nodiscard]] std::unique_ptr<const quant::gguf::file> release() {
        return std::make_unique<const quant::gguf::file>(std::move(file_));
    }

private:
    static quant::gguf::file open(const std::filesystem::path& path) {
        auto opened = quant::gguf::file::try_open(path);
        if (!opened) throw failure(path.string(), ": ", opened.failure().what());
        return *std::move(opened);
    }
    template <class... Parts>
    [[noreturn]] void fail(const Parts&... parts) const {
        throw failure(path_, ": ", parts...);
    }

    template <class T>
    [[nodiscard]] T need(const std::string& key) const {
        const std::optional<T> value = file_.get<T>(key);
        if (!value) fail("no ", key, " of the right type");
        return *value;
    }

    [[nodiscard]] model_shape shape();
    [[nodiscard]] std::vector<float> frequencies(std::size_t head_dim);
    [[nodiscard]] float_model::layer layer(const model_shape& shape, std::size_t index);
    [[nodiscard]] float_matrix matrix(std::initializer_list<std::string> names, std::size_t cols,
                                      std::initializer_list<std::size_t> rows);
    [[nodiscard]] std::vector<float> vector(const std::string& name, std::size_t size);
    void decode(const std::string& name, std::size_t rows, std::size_t cols, std::span<float> to);
    void check_all_used() const;

    [[nodiscard]] std::vector<std::string> strings(const std::string& key) const;
    [[nodiscard]] std::optional<token> token_at(const std::string& key) const;
    [[nodiscard]] std::unique_ptr<const tokenizer> byte_level(const special_tokens& special) const;
    [[nodiscard]] std::unique_ptr<const tokenizer> scored(const special_tokens& special) const;

    std::string path_;
    quant::gguf::file file_;
    std::set<std::string, std::less<>> used_; ///< names of the tensors that were read
};

const quant::gguf::tensor& need_tensor(const quant::gguf::file& file, const std::string& path,
                                       const std::string& name, std::size_t rows,
                                       std::size_t cols) {
    const quant::gguf::tensor* const found = file.find(name);
    if (found == nullptr) throw failure(path, ": no tensor ", name);
    if (found->rows() != rows || found->cols() != cols) {
        throw failure(path, ": tensor ", name, " has ", found->rows(), " x ", found->cols(),
                      " elements, not ", rows, " x ", cols);
    }
    return *found;
}

void gguf_model::decode(const std::string& name, std::size_t rows, std::size_t cols,
                        std::span<float> to) {
    const quant::gguf::tensor& tensor = need_tensor(file_, path_, name, rows, cols);
    const auto done = quant::gguf::try_dequantize(tensor.type(), tensor.data(), to);
    if (!done) fail("tensor ", name, ": ", done.failure().what());
    used_.insert(name);
}

/// The rows of several tensors below each other. Checked before memory is taken for them.
float_matrix gguf_model::matrix(std::initializer_list<std::string> names, std::size_t cols,
                                std::initializer_list<std::size_t> rows) {
    std::size_t total = 0;
    const std::size_t* count = rows.begin();
    for (const std::string& name : names) {
        (void)need_tensor(file_, path_, name, *count, cols);
        total += *count++;
    }
    float_matrix made(total, cols);
    std::size_t first = 0;
    count = rows.begin();
    for (const std::string& name : names) {
        decode(name, *count, cols, made.row_values(first, *count));
        made.stored.push_back(*file_.find(name));
        first += *count++;
    }
    return made;
}

std::vector<float> gguf_model::vector(const std::string& name, std::size_t size) {
    (void)need_tensor(file_, path_, name, 1, size);
    std::vector<float> made(size);
    decode(name, 1, size, made);
    return made;
}

std::vector<float> gguf_model::frequencies(std::size_t head_dim) {
    const auto scaling = file_.get<std::string_view>("llama.rope.scaling.type").value_or("none");
    if (scaling != "none") fail("scaled rotations (", scaling, ") are not supported");
    const auto dims = file_.get<std::size_t>("llama.rope.dimension_count").value_or(head_dim);
    if (dims > head_dim) fail("llama.rope.dimension_count exceeds a head");
    const auto base = file_.get<double>("llama.rope.freq_base").value_or(10000.0);
    std::vector<float> made = rope_frequencies(dims / 2, base);
    if (file_.find("rope_freqs.weight") != nullptr) { // Llama 3's stretching, as divisors
        const std::vector<float> divisors = vector("rope_freqs.weight", made.size());
        for (std::size_t i = 0; i < made.size(); ++i) made[i] /= divisors[i];
    }
    return made;
}

model_shape gguf_model::shape() {
    const auto architecture = need<std::string_view>("general.architecture");
    if (architecture != "llama") {
        fail("its architecture is ", architecture, ", not llama");
    }
    model_shape made;
    made.dim = need<std::size_t>("llama.embedding_length");
    made.hidden = need<std::size_t>("llama.feed_forward_length");
    made.layers = need<std::size_t>("llama.block_count");
    made.heads = need<std::size_t>("llama.attention.head_count");
    made.kv_heads = file_.get<std::size_t>("llama.attention.head_count_kv").value_or(made.heads);
    made.context = need<std::size_t>("llama.context_length");
    if (made.heads == 0) fail("llama.attention.head_count is 0");
    made.head_dim =
        file_.get<std::size_t>("llama.attention.key_length").value_or(made.dim / made.heads);
    const quant::gguf::tensor* const embedding = file_.find("token_embd.weight");
    if (embedding == nullptr) fail("no tensor token_embd.weight");
    made.vocabulary = embedding->rows();
    made.norm_epsilon = need<float>("llama.attention.layer_norm_rms_epsilon");
    check_shape(made);
    made.rope_frequencies = frequencies(made.head_dim);
    return made;
}

float_model::layer gguf_model::layer(const model_shape& s, std::size_t index) {
    std::string prefix = "blk.";
    prefix.append(std::to_string(index)).push_back('.');
    float_model::layer made;
    made.attention_norm = vector(prefix + "attn_norm.weight", s.dim);
    made.qkv =
        matrix({prefix + "attn_q.weight", prefix + "attn_k.weight", prefix + "attn_v.weight"},
               s.dim, {s.query_dim(), s.kv_dim(), s.kv_dim()});
    made.attention_out = matrix({prefix + "attn_output.weight"}, s.query_dim(), {s.dim});
    made.ffn_norm = vector(prefix + "ffn_norm.weight", s.dim);
    made.gate_up =
        matrix({prefix + "ffn_gate.weight", prefix + "ffn_up.weight"}, s.dim, {s.hidden, s.hidden});
    made.down = matrix({prefix + "ffn_down.weight"}, s.hidden, {s.dim});
    return made;
}

float_model gguf_model::weights() {
    float_model made;
    made.shape = shape();
    made.embedding = matrix({"token_embd.weight"}, made.shape.dim, {made.shape.vocabulary});
    for (std::size_t i = 0; i < made.shape.layers; ++i) {
        made.layers.push_back(layer(made.shape, i));
    }
    made.final_norm = vector("output_norm.weight", made.shape.dim);
    if (file_.find("output.weight") != nullptr) {
        made.classifier = matrix({"output.weight"}, made.shape.dim, {made.shape.vocabulary});
    }
    check_all_used();
    return made;
}

/// The types of all matrices, each once.
std::string gguf_model::types() const {
    std::set<std::string_view> seen;
    std::string list;
    for (const quant::gguf::tensor& tensor : file_.tensors()) {
        if (tensor.rows() == 1 || !seen.insert(to_string(tensor.type())).second) continue;
        list += list.empty() ? "" : ", ";
        list += to_string(tensor.type());
    }
    return list;
}

/// A tensor that nothing reads (a bias, an expert) means a model that would run wrongly.
void gguf_model::check_all_used() const {
    for (const quant::gguf::tensor& tensor : file_.tensors()) {
        if (!used_.contains(tensor.name())) {
            fail("tensor ", tensor.name(), " is no part of a plain Llama model");
        }
    }
}

std::vector<std::string> gguf_model::strings(const std::string& key) const {
    const auto array = file_.array(key);
    if (!array) fail("no ", key);
    std::vector<std::string> made;
    made.reserve(array->size());
    for (std::size_t i = 0; i < array->size(); ++i) {
        const auto one = array->at<std::string_view>(i);
        if (!one) fail(key, " is no array of strings");
        made.emplace_back(*one);
    }
    return made;
}

std::optional<token> gguf_model::token_at(const std::string& key) const {
    return file_.get<token>(key);
}

std::unique_ptr<const tokenizer> gguf_model::byte_level(const special_tokens& special) const {
    const auto name = file_.get<std::string_view>("tokenizer.ggml.pre").value_or("gpt-2");
    split_style style = split_style::gpt2;
    if (name == "smollm") {
        style = split_style::smollm;
    } else if (name != "gpt-2" && name != "gpt2") {
        fail("pre-tokenizer ", name, " is not supported (gpt-2 and smollm are)");
    }
    return std::make_unique<byte_bpe>(strings("tokenizer.ggml.tokens"),
                                      strings("tokenizer.ggml.merges"), style, special);
}

std::unique_ptr<const tokenizer> gguf_model::scored(const special_tokens& special) const {
    std::vector<std::string> tokens = strings("tokenizer.ggml.tokens");
    constexpr std::string_view visible_space = "\xE2\x96\x81"; // U+2581
    for (std::string& one : tokens) {
        for (std::size_t at = 0; (at = one.find(visible_space, at)) != std::string::npos; ++at) {
            one.replace(at, visible_space.size(), 1, ' ');
        }
    }
    const auto array = file_.array("tokenizer.ggml.scores");
    std::vector<float> scores;
    for (std::size_t i = 0; array && i < array->size(); ++i) {
        scores.push_back(array->at<float>(i).value_or(0.0f));
    }
    const bool space_first = file_.get<bool>("tokenizer.ggml.add_space_prefix").value_or(true);
    return std::make_unique<score_bpe>(std::move(tokens), std::move(scores), space_first, special);
}

std::unique_ptr<const tokenizer> gguf_model::text() const {
    const auto kind = need<std::string_view>("tokenizer.ggml.model");
    if (kind != "gpt2" && kind != "llama") {
        fail("tokenizer ", kind, " is not supported (gpt2 and llama are)");
    }
    const special_tokens special{
        .begin = token_at("tokenizer.ggml.bos_token_id"),
        .end = token_at("tokenizer.ggml.eos_token_id"),
        .add_begin = file_.get<bool>("tokenizer.ggml.add_bos_token").value_or(kind == "llama"),
    };
    return kind == "gpt2" ? byte_level(special) : scored(special);
}

} // namespace

loaded_model load_gguf(const std::filesystem::path& model_file) {
    gguf_model file(model_file);
    loaded_model loaded;
    loaded.name = file.name();
    loaded.file_types = file.types();
    loaded.text = file.text();
    loaded.weights = file.weights();
    loaded.file = file.release();
    return loaded;
}

} // namespace lm
