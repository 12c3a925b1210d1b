#include "failure.hpp"
#include "packed_model.hpp"
#include "packed_names.hpp"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lm {
namespace {

/// What load_packed reads, of a model that did not come as GGUF.
void describe(quant::packed_file_writer& out, const loaded_model& loaded) {
    const model_shape& s = loaded.weights.shape;
    const tokenizer& text = *loaded.text;
    if (text.scores().empty()) throw failure("pack: only a tokenizer with scores can be described");
    out.add("general.architecture", "llama");
    out.add("general.name", loaded.name);
    const auto add = [&](const char* key, std::size_t value) {
        out.add(key, static_cast<std::uint32_t>(value));
    };
    add("llama.embedding_length", s.dim);
    add("llama.feed_forward_length", s.hidden);
    add("llama.block_count", s.layers);
    add("llama.attention.head_count", s.heads);
    add("llama.attention.head_count_kv", s.kv_heads);
    add("llama.attention.key_length", s.head_dim);
    add("llama.context_length", s.context);
    out.add("llama.attention.layer_norm_rms_epsilon", s.norm_epsilon);

    out.add("tokenizer.ggml.model", "llama");
    const std::vector<std::string_view> tokens(text.tokens().begin(), text.tokens().end());
    out.add_array("tokenizer.ggml.tokens", tokens);
    out.add_array("tokenizer.ggml.scores", text.scores());
    const special_tokens& special = text.special();
    if (special.begin) out.add("tokenizer.ggml.bos_token_id", *special.begin);
    if (special.end) out.add("tokenizer.ggml.eos_token_id", *special.end);
    out.add("tokenizer.ggml.add_bos_token", special.add_begin);
}

std::span<const std::byte> bytes_of(const std::vector<float>& values) {
    return std::as_bytes(std::span(values));
}

} // namespace

void save_packed(const std::filesystem::path& path, const loaded_model& loaded,
                 const scheme_entry& scheme, quant::thread_pool& pool,
                 const std::function<void(double)>& progress) {
    using quant::gguf::type;
    const float_model& weights = loaded.weights;
    const model prepared = prepare(weights, scheme, pool, progress);
    // What the scheme leaves in float is written from the float model.
    std::vector<std::span<const std::byte>> floats;
    for_each_matrix(weights,
                    [&](const float_matrix& one) { floats.push_back(bytes_of(one.values)); });

    auto out = quant::packed_file_writer::create(path);
    if (loaded.file) {
        out.copy_metadata(*loaded.file);
    } else {
        describe(out, loaded);
    }
    out.add(scheme_key, scheme.name);

    // The order of the declarations is that of the data.
    std::vector<std::span<const std::byte>> data;
    for_each_named_matrix(prepared, [&](const std::string& name, const weight_pointer& one,
                                        std::size_t rows, std::size_t cols) {
        const auto packed = one->packed_bytes();
        if (packed.empty()) {
            out.add_tensor(name, type::f32, {cols, rows});
            data.push_back(floats[data.size()]);
        } else {
            out.add_matrix(name, packed);
            data.push_back(packed);
        }
    });
    const auto add_vector = [&](const std::string& name, const std::vector<float>& one,
                                std::size_t) {
        out.add_tensor(name, type::f32, {one.size()});
        data.push_back(bytes_of(one));
    };
    for_each_named_vector(prepared, add_vector);
    add_vector(frequencies_name, weights.shape.rope_frequencies, 0);
    for (const auto& bytes : data) out.write(bytes);
    out.finish();
    quant::packed_file::open(path).verify(pool);
}

} // namespace lm
