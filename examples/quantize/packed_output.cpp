#include "output.hpp"

#include <quant/io/gguf/blocks.hpp>
#include <quant/io/gguf/encode.hpp>
#include <quant/io/packed_file.hpp>

#include <string>

namespace quantizer {
namespace {

namespace gguf = quant::gguf;

class packed_output final : public output {
public:
    packed_output(const std::filesystem::path& path, const source& from,
                  std::span<const planned_tensor> tensors)
        : writer_(quant::packed_file_writer::create(path)) {
        if (from.gguf != nullptr) {
            writer_.copy_metadata(*from.gguf);
        } else {
            writer_.add("general.architecture", "unknown");
            writer_.add("general.name", from.paths.back().stem().string());
        }
        for (const planned_tensor& each : tensors) {
            if (each.packed) {
                writer_.add_matrix_of(each.from->name, header_of(each));
            } else {
                writer_.add_tensor(each.from->name, each.type(), each.from->shape);
            }
        }
    }

    void quantize(const planned_tensor& tensor, quant::matrix_view<const float> rows,
                  const quant::quantize_options& options, quant::thread_pool& pool,
                  std::span<float> stored) override {
        if (tensor.packed) {
            if (current_ != &tensor) writer_.write(header_of(tensor));
            current_ = &tensor;
            tensor.to->pack->quantize(rows, bytes_, stored, options, pool);
        } else {
            bytes_.resize(gguf::encoded_bytes(tensor.type(), rows.rows(), rows.cols()));
            tensor.to->quantize(rows, bytes_, options, pool);
            gguf::dequantize(tensor.type(), bytes_, stored);
        }
        writer_.write(bytes_);
    }

    void copy(std::span<const std::byte> data) override { writer_.write(data); }

    void finish() override { writer_.finish(); }

private:
    static std::array<std::byte, 64> header_of(const planned_tensor& tensor) {
        return tensor.to->pack->header(tensor.from->rows(), tensor.from->cols());
    }

    quant::packed_file_writer writer_;
    const planned_tensor* current_ = nullptr; // whose panels come next
    std::vector<std::byte> bytes_;
};

} // namespace

std::unique_ptr<output> create_packed(const std::filesystem::path& path, const source& from,
                                      std::span<const planned_tensor> tensors) {
    return std::make_unique<packed_output>(path, from, tensors);
}

} // namespace quantizer
