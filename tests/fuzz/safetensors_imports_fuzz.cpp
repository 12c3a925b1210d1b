// libFuzzer target: whatever tensors a layer of a quantized checkpoint has, the imports make a
// valid matrix of them or refuse them by name.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
//       -Iinclude tests/fuzz/safetensors_imports_fuzz.cpp -o safetensors_imports_fuzz
//   tests/fuzz/seeds.py corpus
//   ./safetensors_imports_fuzz -max_len=8192 corpus/safetensors_imports_fuzz
//
// The bytes say, for each tensor, name, dtype and shape; then, for all of them, the elements. A
// file is made of them that the reader takes, so that no input is spent on JSON.
#include "choices.hpp"
#include "meter.hpp"

#include <quant/io/safetensors.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace st = quant::safetensors;
using fuzzing::choices;
using fuzzing::meter;
using fuzzing::require;

namespace {

using quant::asymmetric;
using quant::group_wise;
using quant::int_code;
using quant::per_channel;
using quant::scheme;
using quant::symmetric;

constexpr std::size_t most_bytes = 1 << 16; // of all elements

std::vector<std::byte> make_file(choices& from) {
    std::string header = "{";
    std::size_t end = 0;
    std::vector<std::string> names;
    for (std::size_t n = from.number() % 10; n > 0; --n) {
        const std::string name = from.text();
        const auto which = static_cast<st::dtype>(from.number() % 20);
        std::size_t bits = st::bits_of(which);
        std::string shape;
        for (std::size_t d = from.number() % 4; d > 0; --d) {
            const auto dim = from.number<std::uint16_t>();
            shape += (shape.empty() ? "" : ",") + std::to_string(dim);
            bits = std::min(bits * dim, 16 * most_bytes);
        }
        const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
            return c >= ' ' && c <= '~' && c != '"' && c != '\\';
        });
        const bool used = std::find(names.begin(), names.end(), name) != names.end();
        if (!plain || used || bits % 8 != 0 || bits / 8 > most_bytes - end) continue;
        header += names.empty() ? "" : ",";
        header += '"' + name + "\":{\"dtype\":\"" + st::to_string(which) + "\",\"shape\":[" +
                  shape + "],\"data_offsets\":[" + std::to_string(end) + ',';
        end += bits / 8;
        header += std::to_string(end) + "]}";
        names.push_back(name);
    }
    header += '}';
    std::vector<std::byte> file(8);
    quant::detail::store_le(file.data(), std::uint64_t{header.size()});
    const auto text = std::as_bytes(std::span(header));
    file.insert(file.end(), text.begin(), text.end());
    const auto data = from.bytes(end);
    file.insert(file.end(), data.begin(), data.end());
    return file;
}

template <class S, class Import>
void check(std::size_t file_size, const Import& import) {
    meter::start();
    const auto made = import();
    // A byte for a code of two bits, and scales of float for groups of 16 of them.
    require(meter::peak() <= 16 * file_size + 65536);
    if (!made) {
        require(made.failure().where().starts_with("safetensors::import_"));
        return;
    }
    const auto& weights = made->weights;
    require(weights.rows() > 0 && weights.cols() > 0);
    require(weights.validate().has_value());
    if (made->permutation().empty()) return;
    std::vector<bool> seen(weights.cols());
    require(made->permutation().size() == seen.size());
    for (const std::uint32_t k : made->permutation()) {
        require(k < seen.size() && !seen[k]);
        seen[k] = true;
    }
}

template <class S>
void import_compressed(const st::file& file, std::size_t size) {
    check<S>(size, [&] { return st::try_import_compressed_tensors<S>(file, ""); });
}

template <class S>
void import_gptq(const st::file& file, std::size_t size, st::gptq_zeros zeros) {
    check<S>(size, [&] { return st::try_import_gptq<S>(file, "", zeros); });
}

template <int B, class Mapping, class Granularity, class Scale>
using w = scheme<int_code<B>, Mapping, Granularity, Scale>;

void import_all(const st::file& file, std::size_t size) {
    using fp16_groups = w<4, asymmetric, group_wise<16>, quant::fp16>;
    import_gptq<fp16_groups>(file, size, st::gptq_zeros::minus_one);
    import_gptq<w<3, asymmetric, group_wise<16>, float>>(file, size, st::gptq_zeros::direct);
    import_gptq<w<8, symmetric, per_channel, float>>(file, size, st::gptq_zeros::detect);
    check<fp16_groups>(size, [&] { return st::try_import_awq<fp16_groups>(file, ""); });
    import_compressed<w<2, symmetric, group_wise<16>, float>>(file, size);
    import_compressed<w<4, asymmetric, group_wise<16>, quant::bf16>>(file, size);
    import_compressed<w<5, asymmetric, group_wise<16>, float>>(file, size);
    import_compressed<w<8, asymmetric, per_channel, float>>(file, size);
    import_compressed<scheme<quant::fp8_e4m3, symmetric, per_channel, float>>(file, size);
    using blocks = scheme<quant::fp8_e4m3, symmetric, quant::block_wise<16, 24>, float>;
    import_compressed<blocks>(file, size);
    check<blocks>(size, [&] { return st::try_import_fp8<blocks>(file, ""); });
    using rows_e5m2 = scheme<quant::fp8_e5m2, symmetric, per_channel, quant::bf16>;
    check<rows_e5m2>(size, [&] { return st::try_import_fp8<rows_e5m2>(file, ""); });
    using minimums = scheme<quant::int4, quant::asymmetric_min, group_wise<16>, float>;
    check<minimums>(size, [&] { return st::try_import_torchao<minimums>(file, ""); });
    using nf4 = scheme<quant::nf4, symmetric, group_wise<64>, float>;
    check<nf4>(size, [&] { return st::try_import_bitsandbytes<nf4>(file, ""); });
    using rows8 = scheme<quant::int8, symmetric, per_channel, float>;
    check<rows8>(size, [&] { return st::try_import_bitsandbytes<rows8>(file, ""); });
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    choices from(std::span(data, size));
    const auto bytes = make_file(from);
    const auto file = st::file::try_parse(bytes);
    if (file) import_all(*file, bytes.size());
    return 0;
}
