// GGUF files of the architecture "llama". The query and key projections of these files are stored
// with the rows of each head permuted, so that the pairs to rotate are neighbours, as in llama2.c.
#include "load.hpp"

#include "failure.hpp"
#include "gguf_metadata.hpp"

#include <quant/io/gguf.hpp>
#include <quant/io/packed_file/reader.hpp>

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

    [[nodiscard]] gguf_metadata said() const { return {file_, path_}; }
    [[nodiscard]] std::string types() const;
    [[nodiscard]] float_model weights();
    /// The file, which tensors of the weights refer to; this object is done then.
    [[nodiscard]] std::unique_ptr<const quant::gguf::file> release() {
        return std::make_unique<const quant::gguf::file>(std::move(file_));
    }

private:
    static quant::gguf::file open(const std::filesystem::path& path) {
        auto opened = quant::gguf::file::try_open(path);
        if (!opened) throw failure(path.string(), ": ", opened.failure().what());
        if (quant::is_packed_file(*opened)) {
            throw failure(path.string(), ": a packed file, which has no weights to quantize");
        }
        return *std::move(opened);
    }
    template <class... Parts>
    [[noreturn]] void fail(const Parts&... parts) const {
        throw failure(path_, ": ", parts...);
    }

    [[nodiscard]] model_shape shape();
    [[nodiscard]] std::vector<float> frequencies(std::size_t head_dim);
    [[nodiscard]] float_model::layer layer(const model_shape& shape, std::size_t index);
    [[nodiscard]] float_matrix matrix(std::initializer_list<std::string> names, std::size_t cols,
                                      std::initializer_list<std::size_t> rows);
    [[nodiscard]] std::vector<float> vector(const std::string& name, std::size_t size);
    void decode(const std::string& name, std::size_t rows, std::size_t cols, std::span<float> to);
    void check_all_used() const;

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
    const quant::gguf::tensor* const embedding = file_.find("token_embd.weight");
    if (embedding == nullptr) fail("no tensor token_embd.weight");
    model_shape made = said().shape(embedding->rows());
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

} // namespace

loaded_model load_gguf(const std::filesystem::path& model_file) {
    gguf_model file(model_file);
    loaded_model loaded;
    loaded.name = file.said().name();
    loaded.file_types = file.types();
    loaded.text = file.said().text();
    loaded.weights = file.weights();
    loaded.file = file.release();
    return loaded;
}

} // namespace lm
