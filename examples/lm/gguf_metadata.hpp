// What a GGUF file of the architecture "llama" says beside its tensors: shape and tokenizer.
#pragma once

#include "failure.hpp"
#include "model.hpp"
#include "tokenizer.hpp"

#include <quant/io/gguf/file.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lm {

/// Reads the metadata of a file, which must outlive it. Everything throws failure, naming the file.
class gguf_metadata {
public:
    gguf_metadata(const quant::gguf::file& file, std::string path)
        : file_(&file), path_(std::move(path)) {}

    [[nodiscard]] std::string name() const {
        return std::string(file_->get<std::string_view>("general.name").value_or(path_));
    }
    /// All of the shape but the rotations. @param vocabulary rows of the embedding.
    [[nodiscard]] model_shape shape(std::size_t vocabulary) const;
    [[nodiscard]] std::unique_ptr<const tokenizer> text() const;

private:
    template <class... Parts>
    [[noreturn]] void fail(const Parts&... parts) const {
        throw failure(path_, ": ", parts...);
    }
    template <class T>
    [[nodiscard]] T need(const std::string& key) const {
        const std::optional<T> value = file_->get<T>(key);
        if (!value) fail("no ", key, " of the right type");
        return *value;
    }
    [[nodiscard]] std::vector<std::string> strings(const std::string& key) const;
    [[nodiscard]] std::optional<token> token_at(const std::string& key) const;
    [[nodiscard]] std::unique_ptr<const tokenizer> byte_level(const special_tokens& special) const;
    [[nodiscard]] std::unique_ptr<const tokenizer> scored(const special_tokens& special) const;

    const quant::gguf::file* file_;
    std::string path_;
};

} // namespace lm
