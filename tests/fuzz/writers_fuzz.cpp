// libFuzzer target: whatever is declared to the writers of GGUF and safetensors files, they refuse
// it or write a file that the readers take and that says the same.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
//       -Iinclude tests/fuzz/writers_fuzz.cpp -o writers_fuzz
//   tests/fuzz/seeds.py corpus
//   TMPDIR=/dev/shm ./writers_fuzz -max_len=1024 corpus/writers_fuzz
//
// The bytes are a row of calls; the files are in the folder for temporary files.
#include "../unit/equal_ranges.hpp"
#include "choices.hpp"
#include "meter.hpp"

#include <quant/io/gguf.hpp>
#include <quant/io/safetensors.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace gguf = quant::gguf;
namespace st = quant::safetensors;
using fuzzing::choices;
using fuzzing::require;

namespace {

/// What a writer has taken: a tensor and its bytes, or a key and its value's bytes.
struct taken {
    std::string name;
    std::vector<std::byte> bytes;
};

constexpr std::size_t most_calls = 24;
constexpr std::size_t most_bytes = 4096; // of a tensor; larger ones are declared, then given up

const std::filesystem::path& path() {
    static const std::filesystem::path made =
        std::filesystem::temp_directory_path() /
        ("quant_writers_fuzz_" + std::to_string(std::random_device()()));
    return made;
}

std::vector<std::size_t> shape_of(choices& from) {
    std::vector<std::size_t> shape(from.number() % 6);
    // Mostly small; sometimes whatever 64 bits can be.
    for (std::size_t& dim : shape) {
        const auto small = from.number();
        dim = small == 255 ? from.number<std::size_t>() : small < 16 ? small : 32u * (small - 15u);
    }
    return shape;
}

template <class T>
void add_number(choices& from, gguf::writer& to, const std::string& key, std::vector<taken>& kept) {
    // 16 bits: larger alignments are possible, and make files of a gigabyte of zeros.
    const auto value = static_cast<T>(from.number<std::uint16_t>());
    if (!to.try_add(key, value)) return;
    std::vector<std::byte> bytes(sizeof(T));
    quant::detail::store_le(bytes.data(), value);
    kept.push_back({key, bytes});
}

void add_text(choices& from, gguf::writer& to, const std::string& key, std::vector<taken>& kept) {
    const std::string text = from.text();
    if (!to.try_add(key, text)) return;
    const auto bytes = std::as_bytes(std::span(text));
    kept.push_back({key, {bytes.begin(), bytes.end()}});
}

void add_texts(choices& from, gguf::writer& to, const std::string& key) {
    const std::string texts[] = {from.text(), from.text()};
    const std::string_view views[] = {texts[0], texts[1]};
    static_cast<void>(to.try_add_array(key, views));
}

/// Another writer takes whatever entries a file has.
void copy_entries(const gguf::file& model) {
    auto to = gguf::writer::try_create(path());
    require(to.has_value());
    for (const gguf::entry& each : model.metadata()) require(to->try_add(each).has_value());
}

void check(const gguf::file& model, const std::vector<taken>& entries,
           const std::vector<taken>& tensors) {
    for (const taken& each : entries) {
        const gguf::entry* const found = model.find_metadata(each.name);
        require(found != nullptr);
        const std::string_view expected(reinterpret_cast<const char*>(each.bytes.data()),
                                        each.bytes.size());
        if (found->type() == gguf::value_type::string) {
            require(found->get<std::string_view>() == expected);
        } else if (each.name != "general.alignment") {
            require(found->get<std::uint64_t>().has_value() ||
                    found->get<std::int64_t>().has_value());
        }
    }
    require(model.tensors().size() == tensors.size());
    for (const taken& each : tensors) {
        const gguf::tensor* const found = model.find(each.name);
        require(found != nullptr && equal_ranges(found->data(), each.bytes));
    }
}

/// False if a tensor was declared that is too large to be written here.
template <class Writer>
bool write_all(choices& from, Writer& to, std::vector<taken>& tensors) {
    for (taken& each : tensors) {
        if (each.bytes.size() > most_bytes) return false;
        each.bytes = from.bytes(each.bytes.size());
        // In two pieces; more than is lacking is refused and changes nothing.
        const std::span<const std::byte> all = each.bytes;
        const std::size_t first = std::min<std::size_t>(from.number(), all.size());
        require(to.try_write(all.first(first)).has_value());
        require(to.try_write(all.subspan(first)).has_value());
    }
    return true;
}

void write_gguf(choices& from) {
    auto to = gguf::writer::try_create(path());
    require(to.has_value());
    std::vector<taken> entries, tensors;
    for (std::size_t i = 0; i < most_calls && !from.done(); ++i) {
        const auto call = from.number();
        const std::string name = call % 16 == 15 ? "general.alignment" : from.text();
        switch (call % 8) {
        case 0: add_number<std::int8_t>(from, *to, name, entries); break;
        case 1: add_number<std::uint16_t>(from, *to, name, entries); break;
        case 2: add_number<std::int64_t>(from, *to, name, entries); break;
        case 3: add_text(from, *to, name, entries); break;
        case 4: add_texts(from, *to, name); break;
        case 7: add_number<std::uint32_t>(from, *to, name, entries); break;
        default: {
            const auto which = static_cast<gguf::type>(from.number() % 48);
            const auto shape = shape_of(from);
            if (!to->try_add_tensor(name, which, shape)) break;
            std::size_t weights = 1;
            for (const std::size_t dim : shape) {
                weights = dim > most_bytes / weights ? most_bytes + 1 : weights * dim;
            }
            const std::size_t block = *gguf::try_block_size(which);
            tensors.push_back({name, {}});
            tensors.back().bytes.resize(weights > most_bytes
                                            ? most_bytes + 1
                                            : weights / block * *gguf::try_block_bytes(which));
        }
        }
    }
    if (!write_all(from, *to, tensors)) {
        require(!to->try_finish());
        return;
    }
    require(!to->try_write(std::vector<std::byte>(1)));
    require(to->try_finish().has_value());
    const auto model = gguf::file::try_open(path());
    require(model.has_value());
    check(*model, entries, tensors);
    copy_entries(*model);
}

void write_safetensors(choices& from) {
    auto to = st::writer::try_create(path());
    require(to.has_value());
    std::vector<taken> entries, tensors;
    for (std::size_t i = 0; i < most_calls && !from.done(); ++i) {
        const auto call = from.number();
        const std::string name = from.text();
        if (call % 2 == 0) {
            const std::string text = from.text();
            if (!to->try_add(name, text)) continue;
            const auto bytes = std::as_bytes(std::span(text));
            entries.push_back({name, {bytes.begin(), bytes.end()}});
            continue;
        }
        const auto which = static_cast<st::dtype>(from.number() % 24);
        const auto shape = shape_of(from);
        if (!to->try_add_tensor(name, which, shape)) continue;
        const bool empty = std::find(shape.begin(), shape.end(), 0u) != shape.end();
        std::size_t elements = empty ? 0 : 1;
        constexpr std::size_t most = 16 * most_bytes; // elements of half a byte or more
        for (const std::size_t dim : shape) {
            if (elements == 0) break;
            elements = dim > most / elements ? most : elements * dim;
        }
        const std::size_t size = elements * st::bits_of(which) / 8;
        tensors.push_back({name, std::vector<std::byte>(std::min(size, most_bytes + 1))});
    }
    if (!write_all(from, *to, tensors)) return;
    require(!to->try_write(std::vector<std::byte>(1)));
    require(to->try_finish().has_value());
    const auto model = st::file::try_open(path());
    require(model.has_value());
    require(model->metadata().size() == entries.size() &&
            model->tensors().size() == tensors.size());
    for (const taken& each : entries) {
        const std::string_view expected(reinterpret_cast<const char*>(each.bytes.data()),
                                        each.bytes.size());
        require(model->find_metadata(each.name) == expected);
    }
    for (const taken& each : tensors) {
        const st::tensor* const found = model->find(each.name);
        require(found != nullptr && equal_ranges(found->data(), each.bytes));
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    choices from(std::span(data, size));
    if (from.number() % 2 == 0) {
        write_gguf(from);
    } else {
        write_safetensors(from);
    }
    std::error_code ignored;
    std::filesystem::remove(path(), ignored);
    return 0;
}
