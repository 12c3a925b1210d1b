#include "clock.hpp"
#include "dense_weights.hpp"
#include "failure.hpp"
#include "gguf_metadata.hpp"
#include "packed_model.hpp"
#include "packed_names.hpp"

#include <quant/core/little_endian.hpp>

#include <bit>
#include <cstdint>
#include <fstream>
#include <string_view>
#include <utility>

namespace lm {
namespace {

static_assert(std::endian::native == std::endian::little, "floats in the file are used in place");

bool begins_like_gguf(const std::filesystem::path& path) {
    char magic[4] = {};
    std::ifstream file(path, std::ios::binary);
    file.read(magic, sizeof magic);
    return file && std::string_view(magic, sizeof magic) == "GGUF";
}

/// Finds tensors of a packed file, and refuses those of other shapes.
class packed_reader {
public:
    packed_reader(const quant::packed_file& file, std::string path)
        : file_(&file), path_(std::move(path)) {}

    template <class... Parts>
    [[noreturn]] void fail(const Parts&... parts) const {
        throw failure(path_, ": ", parts...);
    }

    [[nodiscard]] std::size_t tensors() const { return file_->container().tensors().size(); }
    [[nodiscard]] bool has(std::string_view name) const {
        return file_->container().find(name) != nullptr;
    }

    /// The rows of a matrix, whatever it is stored as.
    [[nodiscard]] std::size_t rows_of(std::string_view name) const {
        if (const quant::packed_tensor* const packed = file_->find(name)) {
            return static_cast<std::size_t>(packed->header().rows);
        }
        return plain(name).rows();
    }

    [[nodiscard]] weight_pointer matrix(std::string_view name, std::size_t rows,
                                        std::size_t cols) const {
        if (const quant::packed_tensor* const packed = file_->find(name)) {
            check_shape(name, packed->header().rows, packed->header().cols, rows, cols);
            return open_matrix(*packed);
        }
        const std::span<const float> values = floats(name, rows, cols);
        return std::make_unique<dense_weights>(quant::matrix_view(values.data(), rows, cols));
    }

    [[nodiscard]] std::vector<float> vector(std::string_view name, std::size_t size) const {
        const std::span<const float> values = floats(name, 1, size);
        return {values.begin(), values.end()};
    }
    [[nodiscard]] std::vector<float> vector(std::string_view name) const {
        return vector(name, plain(name).elements());
    }

private:
    [[nodiscard]] const quant::gguf::tensor& plain(std::string_view name) const {
        const quant::gguf::tensor* const found = file_->container().find(name);
        if (found == nullptr) fail("no tensor ", name);
        if (found->type() != quant::gguf::type::f32) fail("tensor ", name, " is not in float");
        return *found;
    }
    /// They lie on a boundary of 64 bytes as all tensors of a packed file.
    [[nodiscard]] std::span<const float> floats(std::string_view name, std::size_t rows,
                                                std::size_t cols) const {
        const quant::gguf::tensor& found = plain(name);
        check_shape(name, found.rows(), found.cols(), rows, cols);
        return {reinterpret_cast<const float*>(found.data().data()), found.elements()};
    }
    void check_shape(std::string_view name, std::uint64_t rows, std::uint64_t cols,
                     std::size_t wanted_rows, std::size_t wanted_cols) const {
        if (rows == wanted_rows && cols == wanted_cols) return;
        fail("tensor ", name, " has ", rows, " x ", cols, " elements, not ", wanted_rows, " x ",
             wanted_cols);
    }

    const quant::packed_file* file_;
    std::string path_;
};

model read_weights(const packed_reader& from, const gguf_metadata& said) {
    model made;
    made.shape = said.shape(from.rows_of(embedding_name));
    made.shape.rope_frequencies = from.vector(frequencies_name);
    check_shape(made.shape);
    if (made.shape.layers > from.tensors()) from.fail("fewer tensors than layers");
    made.layers.resize(made.shape.layers);
    if (from.has(classifier_name)) made.classifier.emplace();
    for_each_named_matrix(made, [&](const std::string& name, weight_pointer& to, std::size_t rows,
                                    std::size_t cols) { to = from.matrix(name, rows, cols); });
    for_each_named_vector(made, [&](const std::string& name, std::vector<float>& to,
                                    std::size_t size) { to = from.vector(name, size); });
    return made;
}

} // namespace

std::optional<packed_model> load_packed(const std::filesystem::path& path) {
    const stopwatch watch;
    if (!begins_like_gguf(path)) return std::nullopt;
    auto container = quant::gguf::file::try_open(path);
    if (!container) throw failure(path.string(), ": ", container.failure().what());
    if (!quant::is_packed_file(*container)) return std::nullopt;
    auto opened = quant::packed_file::try_from(*std::move(container));
    if (!opened) throw failure(path.string(), ": ", opened.failure().what());
    packed_model made{
        .name = {}, .scheme = {}, .file = *std::move(opened), .weights = {}, .text = {}};
    const quant::gguf::file& file = made.file.container();
    const gguf_metadata said(file, path.string());
    made.name = said.name();
    made.scheme = file.get<std::string_view>(scheme_key).value_or("packed");
    made.weights = read_weights(packed_reader(made.file, path.string()), said);
    made.text = said.text();
    if (made.text->size() != made.weights.shape.vocabulary) {
        throw failure(path.string(), ": the tokenizer has ", made.text->size(),
                      " tokens, the model ", made.weights.shape.vocabulary);
    }
    made.load_seconds = watch.seconds();
    return made;
}

} // namespace lm
