// Indices of models in several files.
#include "safetensors_image.hpp"
#include "temporary_file.hpp"

#include <string>

using namespace safetensors_test;
using quant::safetensors::shard_index;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

void refused(std::string_view text, std::string_view part) {
    CAPTURE(text);
    // A buffer of its own, so that a sanitizer sees a read past the end.
    const std::vector<char> copy(text.begin(), text.end());
    const auto answer = shard_index::try_parse(std::as_bytes(std::span(copy)));
    REQUIRE_FALSE(answer.has_value());
    INFO(answer.failure().what());
    CHECK(answer.failure().code() == errc::bad_format);
    CHECK(answer.failure().where() == "safetensors index");
    CHECK(std::string_view(answer.failure().message()).find(part) != std::string_view::npos);
}

} // namespace

TEST_CASE("safetensors index: tensors and their files", "[safetensors]") {
    const std::string_view text =
        R"({"metadata":{"total_size":16,"more":[1.5,null,{"a":-1}]},
            "weight_map":{"b":"model-1.safetensors","a\u0301":"model-2.safetensors"}, "x":"y"})";
    const temporary_file saved("index.json", bytes_of(text));
    const shard_index model = shard_index::open(saved.path());
    REQUIRE(model.entries().size() == 2);
    CHECK(model.entries()[0].name() == "b");
    CHECK(model.entries()[1].file() == "model-2.safetensors");
    CHECK(model.find("b") == "model-1.safetensors");
    CHECK(model.find("a\xCC\x81") == "model-2.safetensors");
    CHECK_FALSE(model.find("a").has_value());
    CHECK(shard_index::parse(bytes_of(R"({"weight_map":{}})")).entries().empty());
    CHECK(shard_index::try_open(saved.path().string() + ".not").failure().code() ==
          errc::not_found);

    for (std::size_t size = 0; size < text.size(); ++size) {
        refused(text.substr(0, size), "no valid JSON");
    }
}

TEST_CASE("safetensors index: hostile ones", "[safetensors]") {
    refused("{}", "no weight_map");
    refused(R"({"weight_map":[]})", "at byte 15: an array where");
    refused(R"({"weight_map":"a"})", "a string where an object belongs");
    refused(R"({"weight_map":1})", "no string where");
    refused(R"({"weight_map":{"a":{}}})", "an object where a string");
    refused(R"({"weight_map":{"a":["b"]}})", "an array where");
    refused(R"({"weight_map":{"a":null}})", "no string where");
    refused(R"({"weight_map":{},"weight_map":{}})", "a second weight_map");
    refused(R"({"weight_map":{"b":"f","a":"f","b":"g"}})", "\"b\" was there before");
    for (const std::string name :
         {"", ".", "..", "../f", "/f", "a/b", "a\\\\b", "c:f", "f\\u0000"}) {
        refused("{\"weight_map\":{\"a\":\"" + name + "\"}}", "not the name of a file beside");
    }
    refused("{\"a\":" + std::string(100000, '['), "nested too deeply");
    refused("[]", "an array where");
    refused("1", "no JSON object");
    refused("\"a\"", "at byte 3: no JSON object");
}
