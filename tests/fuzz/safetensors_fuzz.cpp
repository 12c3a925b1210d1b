// libFuzzer target: whatever the bytes are, the safetensors reader answers, and all that it hands
// out can be walked and widened; nor does the reader of indices do anything but answer.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
//       -Iinclude tests/fuzz/safetensors_fuzz.cpp -o safetensors_fuzz
//   tests/fuzz/seeds.py corpus
//   ./safetensors_fuzz -max_len=4096 corpus/safetensors_fuzz
//
// The header's size is that of the input, less what its first byte says, so that no input is spent
// on finding it; behind that byte the input is also tried as a whole file, and as an index.
#include "meter.hpp"

#include <quant/io/safetensors.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace st = quant::safetensors;
using fuzzing::meter;
using fuzzing::require;

namespace {

std::uint64_t sink = 0; // what is read must be used, or the compiler would not read it

void walk(std::string_view text) {
    for (const char c : text) sink += static_cast<unsigned char>(c);
}

void walk_all(const st::file& model, std::span<const std::byte> bytes) {
    for (const st::metadata_entry& each : model.metadata()) {
        walk(each.key());
        require(model.find_metadata(each.key()) == each.value());
    }
    std::vector<float> out;
    std::size_t covered = 0;
    for (const st::tensor& each : model.tensors()) {
        walk(each.name());
        require(model.find(each.name()) == &each);
        const auto data = each.data();
        covered += data.size();
        require(data.data() >= bytes.data() &&
                data.data() + data.size() <= bytes.data() + bytes.size());
        require(each.rows() * each.cols() == each.elements());
        require(each.elements() * st::bits_of(each.dtype()) == data.size() * 8);
        out.assign(each.elements(), 0.0f);
        require(st::try_to_floats(each, out).has_value() == (each.dtype() != st::dtype::c64));
        for (const float value : out) sink += value < 0 ? 1u : 0u;
    }
    require(covered <= bytes.size());
}

void read_index(std::span<const std::byte> bytes) {
    meter::start();
    const auto index = st::shard_index::try_parse(bytes);
    require(meter::peak() <= 40 * bytes.size() + 4096);
    if (!index) {
        require(index.failure().where() == "safetensors index");
        walk(index.failure().what());
        return;
    }
    for (const st::shard_entry& each : index->entries()) {
        walk(each.name());
        require(index->find(each.name()) == each.file());
        require(each.file().find_first_of("/\\") == each.file().npos);
    }
}

void read_file(std::span<const std::byte> bytes) {
    meter::start();
    const auto model = st::file::try_parse(bytes);
    require(meter::peak() <= 40 * bytes.size() + 4096); // as safetensors::file says
    if (!model) {
        require(model.failure().where().substr(0, 13) == "safetensors: ");
        walk(model.failure().what());
        return;
    }
    walk_all(*model, bytes);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t behind = data[0] < size - 1 ? data[0] : 0;
    const auto rest = std::as_bytes(std::span(data + 1, size - 1));
    std::vector<std::byte> bytes(8);
    quant::detail::store_le(bytes.data(), std::uint64_t{rest.size() - behind});
    bytes.insert(bytes.end(), rest.begin(), rest.end());
    read_file(bytes);
    read_file(rest);
    read_index(rest);
    return 0;
}
