// libFuzzer target: whatever the bytes are, the GGUF reader answers, and all that it hands out can
// be walked and decoded.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
//       -Iinclude tests/fuzz/gguf_fuzz.cpp -o gguf_fuzz
//   tests/fuzz/seeds.py corpus
//   ./gguf_fuzz -max_len=4096 corpus/gguf_fuzz
#include "meter.hpp"

#include <quant/io/gguf.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace gguf = quant::gguf;
using fuzzing::meter;
using fuzzing::require;

namespace {

std::uint64_t sink = 0; // what is read must be used, or the compiler would not read it

void walk(std::string_view text) {
    for (const char c : text) sink += static_cast<unsigned char>(c);
}

template <class Source>
void ask_everything(const Source& ask) {
    sink += ask.template operator()<bool>().value_or(false) ? 1u : 0u;
    sink += ask.template operator()<std::uint8_t>().value_or(0);
    sink += ask.template operator()<std::uint64_t>().value_or(0);
    sink += ask.template operator()<std::int32_t>().value_or(0) < 0 ? 1u : 0u;
    sink += ask.template operator()<float>().value_or(0) < 0 ? 1u : 0u;
    sink += ask.template operator()<double>().value_or(0) < 0 ? 1u : 0u;
    walk(ask.template operator()<std::string_view>().value_or(std::string_view{}));
}

void walk_metadata(const gguf::file& model) {
    for (const gguf::entry& each : model.metadata()) {
        require(model.find_metadata(each.key()) == &each);
        walk(each.key());
        ask_everything([&]<class T>() { return each.get<T>(); });
        const auto array = each.array();
        require(array.has_value() == (each.type() == gguf::value_type::array));
        if (!array) continue;
        for (std::size_t i = 0; i < array->size(); ++i) {
            ask_everything([&]<class T>() { return array->at<T>(i); });
        }
        require(!array->at<double>(array->size()).has_value());
    }
}

void walk_tensors(const gguf::file& model, std::span<const std::byte> bytes) {
    std::vector<float> out;
    for (const gguf::tensor& each : model.tensors()) {
        require(model.find(each.name()) == &each);
        const auto data = each.data();
        require(data.data() >= bytes.data() &&
                data.data() + data.size() <= bytes.data() + bytes.size());
        require(each.rows() * each.cols() == each.elements());
        const std::size_t weights = *gguf::try_block_size(each.type());
        require(each.cols() % weights == 0);
        require(each.elements() / weights * *gguf::try_block_bytes(each.type()) == data.size());

        out.assign(each.elements(), 0.0f);
        const auto done = gguf::try_dequantize(each.type(), data, out);
        require(done.has_value());
        for (const float value : out) sink += value < 0 ? 1u : 0u;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    meter::start();
    const auto model = gguf::file::try_parse(bytes);
    require(meter::peak() <= 10 * size + 4096); // as gguf::file says
    if (!model) {
        const quant::error& failure = model.failure();
        require(failure.where().substr(0, 6) == "gguf: ");
        walk(failure.what());
        return 0;
    }
    require(model->version() == 2 || model->version() == 3);
    walk_metadata(*model);
    walk_tensors(*model, bytes);
    return 0;
}
