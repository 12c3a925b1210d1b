#include "source.hpp"

#include "../lm/failure.hpp"

#include <quant/io/gguf/types.hpp>
#include <quant/io/packed_file.hpp>
#include <quant/io/safetensors/index.hpp>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

namespace quantizer {
namespace {

namespace fs = std::filesystem;
namespace gguf = quant::gguf;
namespace safetensors = quant::safetensors;
using lm::failure;

/// The value, or a failure that names the file.
template <class T>
T need(quant::result<T> made, const fs::path& path) {
    if (!made) throw failure(path.string(), ": ", made.failure().what());
    return *std::move(made);
}

enum class file_kind { gguf, safetensors, index };

file_kind kind_of(const fs::path& path) {
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) {
        throw failure(path.string(), ": is a folder; name the file in it");
    }
    // Opening a pipe would wait for somebody to write into it.
    const fs::file_status status = fs::status(path, ignored);
    if (fs::exists(status) && !fs::is_regular_file(status)) {
        throw failure(path.string(), ": is no regular file, which can be mapped");
    }
    std::ifstream in(path, std::ios::binary);
    if (!in) throw failure(path.string(), ": cannot be opened");
    char magic[4] = {};
    in.read(magic, sizeof magic);
    if (std::string_view(magic, sizeof magic) == "GGUF") return file_kind::gguf;
    return path.extension() == ".json" ? file_kind::index : file_kind::safetensors;
}

/// The GGUF type whose bytes are those of a dtype.
std::optional<gguf::type> type_of(safetensors::dtype which) {
    switch (which) {
    case safetensors::dtype::f32: return gguf::type::f32;
    case safetensors::dtype::f16: return gguf::type::f16;
    case safetensors::dtype::bf16: return gguf::type::bf16;
    case safetensors::dtype::f64: return gguf::type::f64;
    case safetensors::dtype::i8: return gguf::type::i8;
    case safetensors::dtype::i16: return gguf::type::i16;
    case safetensors::dtype::i32: return gguf::type::i32;
    case safetensors::dtype::i64: return gguf::type::i64;
    default: return std::nullopt;
    }
}

std::string shown(std::string_view name) {
    std::string text(name);
    std::ranges::replace_if(text, [](char c) { return c < ' ' || c > '~'; }, '?');
    return text;
}

/// Longer ones no GGUF file may have; and regular expressions need stack for every byte of a name.
constexpr std::size_t longest_name = 63;

source_tensor tensor_of(const safetensors::tensor& from, const fs::path& path) {
    const auto fail = [&](const auto&... why) {
        throw failure(path.string(), ": tensor ", shown(from.name()), " ", why...);
    };
    const auto type = type_of(from.dtype());
    if (!type) {
        fail("is of ", to_string(from.dtype()),
             ", for which GGUF has no type (a layer that another program has quantized?)");
    }
    if (from.elements() == 0) fail("has no elements, which GGUF cannot express");
    if (from.shape().size() > gguf::max_dims) {
        fail("has ", from.shape().size(), " dimensions; GGUF has at most ", gguf::max_dims);
    }
    source_tensor made{
        from.name(), *type, {from.shape().rbegin(), from.shape().rend()}, from.data()};
    if (made.shape.empty()) made.shape.push_back(1); // a single number
    return made;
}

source open_gguf(const fs::path& path) {
    source made;
    made.paths.push_back(path);
    made.gguf = std::make_unique<const gguf::file>(need(gguf::file::try_open(path), path));
    if (quant::is_packed_file(*made.gguf)) {
        throw lm::failure(path.string(),
                          ": is a packed file, whose matrices are quantized already");
    }
    for (const gguf::tensor& each : made.gguf->tensors()) {
        made.tensors.push_back(
            {each.name(), each.type(), {each.shape().begin(), each.shape().end()}, each.data()});
    }
    return made;
}

source open_safetensors(const fs::path& path) {
    source made;
    made.paths.push_back(path);
    made.shards.push_back(need(safetensors::file::try_open(path), path));
    for (const safetensors::tensor& each : made.shards.front().tensors()) {
        made.tensors.push_back(tensor_of(each, path));
    }
    return made;
}

source open_shards(const fs::path& path) {
    const auto index = need(safetensors::shard_index::try_open(path), path);
    source made;
    std::map<std::string_view, std::size_t> opened;
    for (const safetensors::shard_entry& each : index.entries()) {
        const fs::path file = path.parent_path() / each.file();
        const auto [at, is_new] = opened.try_emplace(each.file(), made.shards.size());
        if (is_new) {
            made.shards.push_back(need(safetensors::file::try_open(file), file));
            made.paths.push_back(file);
        }
        const safetensors::tensor* const found = made.shards[at->second].find(each.name());
        if (found == nullptr) {
            throw failure(file.string(), ": no tensor ", shown(each.name()), ", which ",
                          path.string(), " says is there");
        }
        made.tensors.push_back(tensor_of(*found, file));
    }
    made.paths.push_back(path);
    return made;
}

} // namespace

std::size_t source_tensor::rows() const {
    return std::accumulate(shape.begin() + 1, shape.end(), std::size_t{1}, std::multiplies<>());
}

bool source_tensor::is_quantized() const { return gguf::block_size(type) > 1; }

bool source_tensor::is_integer() const {
    return type == gguf::type::i8 || type == gguf::type::i16 || type == gguf::type::i32 ||
           type == gguf::type::i64;
}

std::string source_tensor::shown_name() const { return shown(name); }

source open_source(const fs::path& path) {
    source made = [&] {
        switch (kind_of(path)) {
        case file_kind::gguf: return open_gguf(path);
        case file_kind::index: return open_shards(path);
        case file_kind::safetensors: break;
        }
        return open_safetensors(path);
    }();
    if (made.tensors.empty()) throw failure(path.string(), ": holds no tensors");
    for (const source_tensor& each : made.tensors) {
        if (each.name.size() <= longest_name) continue;
        throw failure(path.string(), ": tensor ", shown(each.name.substr(0, longest_name)),
                      "... has a name of ", each.name.size(), " bytes; GGUF names have at most ",
                      longest_name);
    }
    return made;
}

} // namespace quantizer
