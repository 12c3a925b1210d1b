// Packed files: a model as it runs, on disk; loading one maps it.
#pragma once

#include "load.hpp"
#include "model.hpp"
#include "schemes.hpp"
#include "tokenizer.hpp"

#include <quant/io/packed_file.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace lm {

/// A model that runs in the memory of its file; nothing of its matrices is copied.
struct packed_model {
    std::string name;
    std::string scheme; ///< its name, as lm pack was told
    quant::packed_file file;
    model weights; ///< refer to the file
    std::unique_ptr<const tokenizer> text;
    double load_seconds = 0; ///< from the file's name to a model and a tokenizer that are ready
};

/// Opens a packed file, or nothing if it is no such file, but some other model.
/// @throws failure or quant::error, naming the file and what is wrong with it.
[[nodiscard]] std::optional<packed_model> load_packed(const std::filesystem::path& path);

/// Writes a model in a scheme as a packed file, and verifies what was written.
///
/// The file holds the metadata of the model, if it came as GGUF, otherwise what load_packed asks
/// for; the matrices, quantized and packed, or in float as the scheme has them; norms, and the
/// rotations' frequencies, in float.
/// @throws failure or quant::error.
void save_packed(const std::filesystem::path& path, const loaded_model& loaded,
                 const scheme_entry& scheme, quant::thread_pool& pool,
                 const std::function<void(double)>& progress = {});

} // namespace lm
