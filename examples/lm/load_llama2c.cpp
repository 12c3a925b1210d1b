// The files of llama2.c: seven integers, then every array as float; the tokenizer apart.
#include "load.hpp"

#include "failure.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace lm {
namespace {

static_assert(std::endian::native == std::endian::little, "the files are little-endian");

/// Reads a file front to back; every read that it cannot serve is an error that names the file.
class binary_reader {
public:
    explicit binary_reader(const std::filesystem::path& path)
        : path_(path.string()), file_(path, std::ios::binary) {
        std::error_code ignored;
        left_ = std::filesystem::file_size(path, ignored);
        if (!file_ || ignored) fail("cannot open it");
    }

    template <class... Parts>
    [[noreturn]] void fail(const Parts&... parts) const {
        throw failure(path_, ": ", parts...);
    }

    [[nodiscard]] std::uintmax_t left() const noexcept { return left_; }

    template <class T>
    void read(std::span<T> values) {
        if (left_ < values.size_bytes()) fail("ends before its contents do");
        file_.read(reinterpret_cast<char*>(values.data()),
                   static_cast<std::streamsize>(values.size_bytes()));
        if (!file_) fail("cannot be read");
        left_ -= values.size_bytes();
    }

    template <class T>
    [[nodiscard]] T read() {
        T value{};
        read(std::span<T>(&value, 1));
        return value;
    }

private:
    std::string path_;
    std::ifstream file_;
    std::uintmax_t left_ = 0;
};

struct header {
    model_shape shape;
    bool shares_embedding = true;
};

header read_header(binary_reader& file) {
    std::array<std::int32_t, 7> sizes{};
    file.read(std::span<std::int32_t>(sizes));
    // A negative vocabulary says that the classifier is a matrix of its own.
    header made{.shape = {}, .shares_embedding = sizes[5] > 0};
    sizes[5] = made.shares_embedding ? sizes[5] : 0 - sizes[5];
    for (const std::int32_t size : sizes) {
        if (size <= 0 || size > 1 << 24) file.fail("neither a GGUF file nor one of llama2.c");
    }
    const auto size_of = [&](std::size_t i) { return static_cast<std::size_t>(sizes[i]); };
    model_shape& shape = made.shape;
    shape.dim = size_of(0);
    shape.hidden = size_of(1);
    shape.layers = size_of(2);
    shape.heads = size_of(3);
    shape.kv_heads = size_of(4);
    shape.vocabulary = size_of(5);
    shape.context = size_of(6);
    if (shape.dim % shape.heads != 0) file.fail("its width is no multiple of its heads");
    shape.head_dim = shape.dim / shape.heads;
    shape.rope_frequencies = rope_frequencies(shape.head_dim / 2, 10000.0);
    check_shape(shape);
    return made;
}

/// Whether the file is as long as its header says; the sizes are at most 2^24 each, and a product
/// of three of them may wrap, hence the comparison in double before anything is allocated.
void check_length(const binary_reader& file, const header& head) {
    const model_shape& s = head.shape;
    const auto real = [](std::size_t size) { return static_cast<double>(size); };
    const double layer = 2.0 * real(s.dim) + 2.0 * real(s.dim) * real(s.query_dim()) +
                         2.0 * real(s.dim) * real(s.kv_dim()) + 3.0 * real(s.dim) * real(s.hidden);
    const double vocabularies = head.shares_embedding ? 1.0 : 2.0;
    const double floats = vocabularies * real(s.vocabulary) * real(s.dim) + real(s.layers) * layer +
                          real(s.dim) + real(s.context) * real(2 * (s.head_dim / 2));
    if (static_cast<double>(file.left()) != 4.0 * floats) {
        file.fail("neither a GGUF file nor one of llama2.c, whose length would be another");
    }
}

void allocate(float_model& weights) {
    const model_shape& s = weights.shape;
    weights.embedding = {s.vocabulary, s.dim};
    weights.layers.resize(s.layers);
    for (auto& layer : weights.layers) {
        layer.attention_norm.resize(s.dim);
        layer.qkv = {s.query_dim() + 2 * s.kv_dim(), s.dim};
        layer.attention_out = {s.dim, s.query_dim()};
        layer.ffn_norm.resize(s.dim);
        layer.gate_up = {2 * s.hidden, s.dim};
        layer.down = {s.dim, s.hidden};
    }
    weights.final_norm.resize(s.dim);
}

/// Each array of the file holds one matrix of all layers.
void read_layers(binary_reader& file, float_model& weights) {
    const model_shape& s = weights.shape;
    const auto each = [&](auto part) {
        for (auto& layer : weights.layers) file.read(std::span<float>(part(layer)));
    };
    using layer = float_model::layer;
    each([](layer& l) -> auto& { return l.attention_norm; });
    each([&](layer& l) { return l.qkv.row_values(0, s.query_dim()); });
    each([&](layer& l) { return l.qkv.row_values(s.query_dim(), s.kv_dim()); });
    each([&](layer& l) { return l.qkv.row_values(s.query_dim() + s.kv_dim(), s.kv_dim()); });
    each([](layer& l) -> auto& { return l.attention_out.values; });
    each([](layer& l) -> auto& { return l.ffn_norm; });
    each([&](layer& l) { return l.gate_up.row_values(0, s.hidden); });
    each([](layer& l) -> auto& { return l.down.values; });
    each([&](layer& l) { return l.gate_up.row_values(s.hidden, s.hidden); });
}

float_model read_weights(const std::filesystem::path& path) {
    binary_reader file(path);
    const header head = read_header(file);
    check_length(file, head);
    float_model weights;
    weights.shape = head.shape;
    allocate(weights);
    file.read(std::span<float>(weights.embedding.values));
    read_layers(file, weights);
    file.read(std::span<float>(weights.final_norm));
    if (!head.shares_embedding) {
        // Two tables of rotations come first; ours are computed.
        std::vector<float> tables(head.shape.context * 2 * (head.shape.head_dim / 2));
        file.read(std::span<float>(tables));
        weights.classifier.emplace(head.shape.vocabulary, head.shape.dim);
        file.read(std::span<float>(weights.classifier->values));
    }
    return weights;
}

std::unique_ptr<const tokenizer> read_tokenizer(const std::filesystem::path& path) {
    binary_reader file(path);
    (void)file.read<std::int32_t>(); // length of the longest token
    std::vector<std::string> tokens;
    std::vector<float> scores;
    while (file.left() > 0) {
        scores.push_back(file.read<float>());
        const auto length = file.read<std::int32_t>();
        if (length < 0 || static_cast<std::uintmax_t>(length) > file.left()) {
            file.fail("token ", tokens.size(), " ends beyond the file");
        }
        std::string bytes(static_cast<std::size_t>(length), '\0');
        file.read(std::span<char>(bytes));
        tokens.push_back(std::move(bytes));
    }
    if (tokens.size() < 3) file.fail("not a tokenizer of llama2.c");
    const special_tokens special{.begin = 1, .end = 2, .add_begin = true};
    return std::make_unique<score_bpe>(std::move(tokens), std::move(scores), true, special);
}

std::filesystem::path find_tokenizer(const std::filesystem::path& model_file,
                                     std::size_t vocabulary) {
    const std::filesystem::path folder = model_file.parent_path();
    const std::string own_name = "tok" + std::to_string(vocabulary) + ".bin";
    for (const std::string& name : {own_name, std::string("tokenizer.bin")}) {
        if (std::filesystem::exists(folder / name)) return folder / name;
    }
    throw failure(model_file.string(), ": no ", own_name,
                  " beside it; name the tokenizer's file with --tokenizer");
}

} // namespace

loaded_model load_llama2c(const std::filesystem::path& model_file,
                          std::filesystem::path tokenizer_file) {
    loaded_model loaded;
    loaded.name = model_file.stem().string();
    loaded.file_types = "f32";
    loaded.weights = read_weights(model_file);
    if (tokenizer_file.empty()) {
        tokenizer_file = find_tokenizer(model_file, loaded.weights.shape.vocabulary);
    }
    loaded.text = read_tokenizer(tokenizer_file);
    return loaded;
}

} // namespace lm
