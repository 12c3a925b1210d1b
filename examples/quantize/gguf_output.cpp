#include "output.hpp"

#include <quant/io/gguf/blocks.hpp>
#include <quant/io/gguf/encode.hpp>
#include <quant/io/gguf/writer.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace quantizer {
namespace {

namespace gguf = quant::gguf;

constexpr std::string_view file_type_key = "general.file_type";
constexpr std::string_view version_key = "general.quantization_version";
constexpr std::uint32_t quantization_version = 2; // of all types that there are

/// What general.file_type says of these tensors: the number of the type that most weights of
/// matrices have, or nothing if that is none of ours.
std::optional<std::uint32_t> file_type_of(std::span<const planned_tensor> tensors) {
    std::map<gguf::type, std::size_t> weights;
    for (const planned_tensor& each : tensors) {
        if (each.from->is_matrix()) weights[each.type()] += each.from->elements();
    }
    const scheme_entry* most = nullptr;
    std::size_t greatest = 0;
    for (const auto& [type, count] : weights) {
        if (count <= greatest) continue;
        greatest = count;
        most = find_scheme(type);
    }
    return most != nullptr ? std::optional(most->file_type) : std::nullopt;
}

class gguf_output final : public output {
public:
    gguf_output(const std::filesystem::path& path, const source& from,
                std::span<const planned_tensor> tensors)
        : writer_(gguf::writer::create(path)) {
        add_metadata(from, tensors);
        for (const planned_tensor& each : tensors) {
            writer_.add_tensor(each.from->name, each.type(), each.from->shape);
        }
    }

    void quantize(const planned_tensor& tensor, quant::matrix_view<const float> rows,
                  const quant::quantize_options& options, quant::thread_pool& pool,
                  std::span<float> stored) override {
        blocks_.resize(gguf::encoded_bytes(tensor.type(), rows.rows(), rows.cols()));
        tensor.to->quantize(rows, blocks_, options, pool);
        gguf::dequantize(tensor.type(), blocks_, stored);
        writer_.write(blocks_);
    }

    void copy(std::span<const std::byte> data) override { writer_.write(data); }

    void finish() override { writer_.finish(); }

private:
    void add_metadata(const source& from, std::span<const planned_tensor> tensors) {
        const auto file_type = file_type_of(tensors);
        if (from.gguf != nullptr) {
            for (const gguf::entry& each : from.gguf->metadata()) {
                const bool replaced = (each.key() == file_type_key && file_type.has_value()) ||
                                      each.key() == version_key;
                if (!replaced) writer_.add(each);
            }
        } else {
            // Which architecture the tensors are of, and what it needs, safetensors do not say.
            writer_.add("general.architecture", "unknown");
            writer_.add("general.name", from.paths.back().stem().string());
        }
        if (file_type) writer_.add(file_type_key, *file_type);
        writer_.add(version_key, quantization_version);
    }

    gguf::writer writer_;
    std::vector<std::byte> blocks_;
};

} // namespace

std::unique_ptr<output> create_gguf(const std::filesystem::path& path, const source& from,
                                    std::span<const planned_tensor> tensors) {
    return std::make_unique<gguf_output>(path, from, tensors);
}

} // namespace quantizer
