// Well-formed safetensors files, and hostile ones: each is refused with an error that names the
// field and its place.
#include "equal_ranges.hpp"
#include "safetensors_image.hpp"
#include "temporary_file.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

using namespace safetensors_test;

namespace {

const std::string small =
    "{\"__metadata__\":{\"format\":\"pt\",\"b\":\"\"},  " + tensor("w", "F32", "2,3", "2,26") +
    ',' + tensor("a\\u0301\\\"", "I8", "2", "0,2") + ',' + tensor("none", "F64", "0,4", "26,26") +
    ',' + tensor("one", "BOOL", "", "26,27") + "}  ";
constexpr std::size_t small_data = 27;

} // namespace

TEST_CASE("safetensors: names, shapes and bytes are those of the file", "[safetensors]") {
    const auto bytes = image(small, small_data);
    auto parsed = file::try_parse(bytes);
    if (!parsed) FAIL(parsed.failure().what());
    const file model = *std::move(parsed);

    REQUIRE(model.tensors().size() == 4);
    const auto* const w = model.find("w");
    REQUIRE(w == &model.tensors()[0]);
    CHECK(w->name() == "w");
    CHECK(w->dtype() == dtype::f32);
    CHECK(equal_ranges(w->shape(), std::array<std::size_t, 2>{2, 3}));
    CHECK((w->rows() == 2 && w->cols() == 3 && w->elements() == 6));
    CHECK(w->data().data() == bytes.data() + 8 + small.size() + 2);
    CHECK(w->data().size() == 24);
    const auto* const a = model.find("a\xCC\x81\"");
    REQUIRE(a != nullptr);
    CHECK(a->data().data() == bytes.data() + 8 + small.size());
    const auto* const none = model.find("none");
    REQUIRE(none != nullptr);
    CHECK((none->rows() == 0 && none->cols() == 4 && none->data().empty()));
    const auto* const one = model.find("one");
    REQUIRE(one != nullptr);
    CHECK((one->shape().empty() && one->elements() == 1 && one->rows() == 1));
    CHECK(model.find("W") == nullptr);

    REQUIRE(model.metadata().size() == 2);
    CHECK(model.metadata()[0].key() == "format");
    CHECK(model.metadata()[0].value() == "pt");
    CHECK(model.find_metadata("b") == "");
    CHECK_FALSE(model.find_metadata("c").has_value());

    const auto empty_bytes = image("{}");
    const auto empty = file::try_parse(empty_bytes);
    REQUIRE(empty.has_value());
    CHECK(empty->tensors().empty());
    CHECK(empty->find("") == nullptr);
}

TEST_CASE("safetensors: a file on disk is as one in memory", "[safetensors]") {
    const temporary_file saved("model.safetensors", image(small, small_data));
    const file model = file::open(saved.path());
    CHECK(model.find("w") != nullptr);
    CHECK(file::try_open(saved.path().string() + ".not").failure().code() == errc::not_found);
    CHECK(file::try_open(saved.path().parent_path()).failure().code() == errc::io_failed);
}

TEST_CASE("safetensors: elements of every dtype", "[safetensors]") {
    const auto floats_of = [](std::string_view type, std::size_t n,
                              const std::vector<unsigned>& data) {
        const std::string text =
            "{" + tensor("t", type, std::to_string(n), "0," + std::to_string(data.size())) + "}";
        auto bytes = image(text);
        for (const unsigned byte : data) bytes.push_back(static_cast<std::byte>(byte));
        const file model = file::parse(bytes);
        std::vector<float> out(n);
        quant::safetensors::to_floats(model.tensors()[0], out);
        return out;
    };
    using v = std::vector<float>;
    CHECK(floats_of("BOOL", 2, {0, 1}) == v{0, 1});
    CHECK(floats_of("U8", 2, {0, 255}) == v{0, 255});
    CHECK(floats_of("I8", 2, {127, 128}) == v{127, -128});
    CHECK(floats_of("F8_E4M3", 3, {0x38, 0xC0, 0x7E}) == v{1, -2, 448});
    CHECK(floats_of("F8_E5M2", 2, {0x3C, 0x7B}) == v{1, 57344});
    CHECK(std::isnan(floats_of("F8_E4M3", 1, {0x7F})[0]));
    CHECK(floats_of("F8_E8M0", 2, {127, 130}) == v{1, 8});
    CHECK(floats_of("I16", 1, {0xFE, 0xFF}) == v{-2});
    CHECK(floats_of("U16", 1, {0xFE, 0xFF}) == v{65534});
    CHECK(floats_of("F16", 2, {0x00, 0x3C, 0x00, 0xC0}) == v{1, -2});
    CHECK(floats_of("BF16", 2, {0x80, 0x3F, 0x00, 0xC0}) == v{1, -2});
    CHECK(floats_of("I32", 1, {0xFE, 0xFF, 0xFF, 0xFF}) == v{-2});
    CHECK(floats_of("U32", 1, {0, 0, 0, 0x80}) == v{0x1p31f});
    CHECK(floats_of("F32", 1, {0, 0, 0x80, 0x3F}) == v{1});
    CHECK(floats_of("F64", 1, {0, 0, 0, 0, 0, 0, 0xF0, 0x3F}) == v{1});
    CHECK(floats_of("I64", 1, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}) == v{-1});
    CHECK(floats_of("U64", 1, {0, 0, 0, 0, 0, 0, 0, 0x80}) == v{0x1p63f});
    CHECK(floats_of("F4", 4, {0x21, 0xF7}) == v{0.5f, 1, 6, -6});
    // Four codes of six bits, 1, 8, 63 and 32, in three bytes.
    CHECK(floats_of("F6_E2M3", 4, {0x01, 0xF2, 0x83}) == v{0.125f, 1, -7.5f, -0.0f});
    CHECK(floats_of("F6_E3M2", 4, {0x01, 0xF2, 0x83}) == v{0.0625f, 0.5f, -28, -0.0f});
    CHECK(floats_of("F64", 0, {}).empty());

    const std::string text = "{" + tensor("c", "C64", "1", "0,8") + "}";
    const auto bytes = image(text, 8);
    const file model = file::parse(bytes);
    float out[2] = {};
    const auto& c = model.tensors()[0];
    CHECK(quant::safetensors::try_to_floats(c, {out, 1}).failure().code() == errc::unsupported);
    CHECK(quant::safetensors::try_to_floats(c, out).failure().code() == errc::shape_mismatch);
}

TEST_CASE("safetensors: typed access", "[safetensors]") {
    const std::string text = "{" + tensor("h", "F16", "2", "0,4") + ',' +
                             tensor("b", "BOOL", "1", "4,5") + ',' +
                             tensor("i", "I32", "1", "5,9") + "}";
    auto bytes = image(text, 9);
    const file model = file::parse(bytes);
    quant::fp16 halves[2];
    model.find("h")->copy<quant::fp16>(halves);
    CHECK((halves[0].bits == 0x0201 && halves[1].bits == 0x0403));
    bool flag[1] = {};
    model.find("b")->copy<bool>(flag);
    CHECK(flag[0]);
    std::int32_t number[1] = {};
    model.find("i")->copy<std::int32_t>(number);
    CHECK(number[0] == 0x09080706);

    float wrong[2];
    CHECK(model.find("h")->try_copy<float>(wrong).failure().code() == errc::unsupported);
    CHECK(model.find("h")->try_view<float>().failure().code() == errc::unsupported);
    CHECK(model.find("i")->try_copy<std::int32_t>({}).failure().code() == errc::shape_mismatch);

    // One byte after the other is where an element of four may start. Big-endian hosts have no views.
    constexpr bool views = std::endian::native == std::endian::little;
    int aligned = 0;
    for (std::size_t shift = 0; shift < 4; ++shift) {
        std::vector<std::byte> shifted(shift);
        shifted.insert(shifted.end(), bytes.begin(), bytes.end());
        const file moved = file::parse(std::span(shifted).subspan(shift));
        const auto view = moved.find("i")->try_view<std::int32_t>();
        if (view) {
            ++aligned;
            CHECK(view->front() == 0x09080706);
        } else {
            CHECK(view.failure().code() == (views ? errc::misaligned : errc::unsupported));
        }
    }
    CHECK(aligned == (views ? 1 : 0));
}

TEST_CASE("safetensors hostile: truncated at every byte", "[safetensors]") {
    const auto whole = image(small, small_data);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        // A buffer of its own, so that a sanitizer sees a read past the end.
        const std::vector<std::byte> part(whole.begin(),
                                          whole.begin() + static_cast<std::ptrdiff_t>(size));
        const auto refused = file::try_parse(part);
        CAPTURE(size);
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.failure().code() == errc::truncated);
        CHECK(refused.failure().where().starts_with("safetensors: "));
    }
}

TEST_CASE("safetensors hostile: every byte replaced, nothing but an answer comes back",
          "[safetensors]") {
    const auto whole = image(small, small_data);
    for (std::size_t at = 0; at < 8 + small.size(); ++at) {
        for (const char value : {'\0', '"', '\\', '0', '9', '[', '{', '}', '\x80', '\xFF'}) {
            auto changed = whole;
            changed[at] = static_cast<std::byte>(value);
            const auto answer = file::try_parse(changed);
            if (!answer) continue;
            for (const auto& each : answer->tensors()) {
                CHECK(each.data().data() >= changed.data());
                CHECK(each.data().data() + each.data().size() <= changed.data() + changed.size());
            }
        }
    }
}

TEST_CASE("safetensors hostile: the header's size", "[safetensors]") {
    constexpr auto where = "safetensors: header_size";
    for (const std::uint64_t size : {std::uint64_t{100'000'001}, std::uint64_t{INT64_MAX},
                                     std::uint64_t{1} << 63, UINT64_MAX - 7, UINT64_MAX - 8}) {
        check_refused(image("{}", 0, size), errc::bad_format, where, 0, "at most 100000000");
    }
    check_refused(image("{}", 0, 100'000'000), errc::truncated, where, 0, "2 left in the file");
    check_refused(image("{}", 0, 3), errc::truncated, where, 0, "3 bytes, 2 left");
    check_refused(image("", 4), errc::bad_format, "safetensors: header", 8, "no JSON object");
    check_refused(image(" {}"), errc::bad_format, "safetensors: header", 8, "no JSON object");
    check_refused(image("[]"), errc::bad_format, "safetensors: header", 8, "no JSON object");
}

TEST_CASE("safetensors hostile: what is no JSON", "[safetensors]") {
    constexpr auto where = "safetensors: header";
    using namespace std::string_view_literals;
    const std::pair<std::string_view, std::size_t> texts[] = {
        {"{"sv, 0},
        {"{}x"sv, 2},
        {"{}{}"sv, 2},
        {"{\"a\"}"sv, 4},
        {"{\"a\":}"sv, 5},
        {"{a:1}"sv, 1},
        {"{\"\x01\":1}"sv, 2},
        {"{\"\xC0\x80\":1}"sv, 2},
        {"{\"\\ud800\":1}"sv, 8},
        {"{}\0"sv, 2},
        {"{}\0}"sv, 2},
        {"{/**/}"sv, 1},
    };
    for (const auto& [text, at] : texts) {
        CAPTURE(text);
        check_refused(image(text), errc::bad_format, where, 8 + at, "no valid JSON");
    }
}

TEST_CASE("safetensors hostile: JSON of another shape", "[safetensors]") {
    const auto good = tensor("a", "U8", "1", "0,1");
    const auto refused = [](std::string_view header, std::string_view where,
                            std::string_view part) {
        CAPTURE(header);
        const auto bytes = image(header, 1);
        const auto answer = file::try_parse(bytes);
        REQUIRE_FALSE(answer.has_value());
        INFO(answer.failure().what());
        CHECK(answer.failure().code() == errc::bad_format);
        CHECK(answer.failure().where() == where);
        CHECK(std::string_view(answer.failure().message()).find(part) != std::string_view::npos);
    };
    refused("{\"a\":1}", "safetensors: tensors[0].name", "a number where an object");
    refused("{" + good + ",\"b\":null}", "safetensors: tensors[1].name", "null where an object");
    refused("{\"a\":[]}", "safetensors: tensors[0].name", "an array where an object");
    refused("{\"__metadata__\":[]}", "safetensors: __metadata__", "an array where an object");
    refused("{\"__metadata__\":{\"k\":1}}", "safetensors: metadata[0].value",
            "a number where a string");
    refused("{\"__metadata__\":{\"k\":{}}}", "safetensors: metadata[0].value", "an object where");
    refused("{\"a\":{\"dtype\":1}}", "safetensors: tensors[0].dtype", "a number where a string");
    refused("{\"a\":{\"dtype\":[]}}", "safetensors: tensors[0].dtype", "an array where a string");
    refused("{\"a\":{\"shape\":{}}}", "safetensors: tensors[0].shape", "an object where an array");
    refused("{\"a\":{\"shape\":\"1\"}}", "safetensors: tensors[0].shape", "a string where");
    for (const std::string number :
         {"-1", "1.0", "1e3", "18446744073709551616", "true", "null", "\"1\"", "[1]", "{}"}) {
        refused("{\"a\":{\"shape\":[" + number + "]}}", "safetensors: tensors[0].shape",
                "where a number below 2^64");
        refused("{\"a\":{\"data_offsets\":[" + number + ",1]}}",
                "safetensors: tensors[0].data_offsets", "where a number below 2^64");
    }
    for (const std::string numbers : {"", "0", "0,1,2"}) {
        refused("{\"a\":{\"data_offsets\":[" + numbers + "]}}",
                "safetensors: tensors[0].data_offsets", "numbers, not 2");
    }
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", "safetensors: tensors[0].data_offsets",
            "missing");
    refused("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", "safetensors: tensors[0].shape",
            "missing");
    refused("{\"a\":{}}", "safetensors: tensors[0].dtype", "missing");
}

TEST_CASE("safetensors hostile: depth needs no stack", "[safetensors]") {
    for (const std::string_view open : {"[", "{\"a\":"}) {
        std::string text = "{\"a\":";
        for (int i = 0; i < 100000; ++i) text += open;
        const auto answer = file::try_parse(image(text));
        CHECK(answer.failure().where().starts_with("safetensors: tensors[0]."));
    }
}

TEST_CASE("safetensors hostile: keys and names", "[safetensors]") {
    const auto a = tensor("a", "U8", "1", "0,1");
    const auto twice = "{" + tensor("b", "U8", "1", "0,1") + "," + tensor("a", "U8", "1", "1,2") +
                       ", \"\\u0061" + tensor("", "U8", "1", "2,3").substr(1) + "}";
    check_refused(twice, 3, errc::bad_format, "safetensors: tensors[2].name", "\"\\u0061",
                  "\"a\" was there before");
    check_refused("{\"__metadata__\":{\"k\":\"\",\"l\":\"\", \"k\":\"\"}}", 0, errc::bad_format,
                  "safetensors: metadata[2].key", "\"k\":\"\"}", "\"k\" was there before");
    check_refused("{\"__metadata__\":{}, \"__metadata__\":{}}", 0, errc::bad_format,
                  "safetensors: __metadata__", "\"__metadata__\":{}}", "was there before");
    check_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[], \"dtype\" :\"U8\"}}", 0, errc::bad_format,
                  "safetensors: tensors[0].dtype", "\"dtype\" ", "was there before");
    check_refused("{\"a\":{\"stride\":[1]}}", 0, errc::unsupported, "safetensors: tensors[0].?",
                  "\"stride\"", "unknown key \"stride\"");
    check_refused("{\"a\":{\"dtype\":\"f32\"}}", 0, errc::unsupported,
                  "safetensors: tensors[0].dtype", "\"f32\"", "unknown dtype \"f32\"");
    const auto answer = file::try_parse(image("{\"a\":{\"dtype\":\"\\u001b[31m\"}}"));
    CHECK(std::string_view(answer.failure().what()).find("\"?[31m\"") != std::string_view::npos);
}

TEST_CASE("safetensors hostile: shapes and offsets", "[safetensors]") {
    const auto one = [](std::string_view type, std::string_view shape, std::string_view offsets,
                        errc code, std::string_view field, std::string_view part,
                        std::size_t data = 8) {
        const std::string header = "{" + tensor("t", type, shape, offsets) + "}";
        check_refused(header, data, code, "safetensors: tensors[0]." + std::string(field), "\"t\"",
                      part);
    };
    constexpr auto overflow = errc::size_overflow;
    if constexpr (sizeof(std::size_t) == 8) {
        one("U8", "9223372036854775807,2,1,1", "0,8", overflow, "shape", "more elements than fit");
        one("U8", "18446744073709551615", "0,8", overflow, "shape", "more elements than fit");
        one("U8", "4294967296,4294967296", "0,8", overflow, "shape", "more elements than fit");
        one("F64", "2305843009213693952", "0,8", overflow, "shape", "more elements than fit");
        one("F64", "144115188075855871", "0,8", errc::bad_format, "data_offsets",
            "needs 1152921504606846968 bytes");
        one("F64", "144115188075855871", "0,1152921504606846968", errc::truncated, "data_offsets",
            "ends at 1152921504606846968 of the data section's 8 bytes");
    }
    one("F4", "3", "0,2", errc::bad_format, "shape", "does not end on a byte");
    one("F6_E2M3", "2", "0,2", errc::bad_format, "shape", "does not end on a byte");
    one("F32", "2", "0,4", errc::bad_format, "data_offsets",
        "needs 8 bytes, not those from 0 to 4");
    one("F32", "2", "8,0", errc::bad_format, "data_offsets", "not those from 8 to 0");
    one("F32", "2", "18446744073709551615,7", errc::bad_format, "data_offsets", "needs 8 bytes");
    one("U8", "0", "9,9", errc::truncated, "data_offsets", "ends at 9");
    one("F32", "2", "0,8", errc::truncated, "data_offsets", "ends at 8", 7);
    one("F32", "1", "4,8", errc::bad_format, "data_offsets",
        "begins at 4, the tensors before it end at 0");
    const auto bytes = image("{" + tensor("t", "F32", "1", "0,4") + "}", 5);
    check_refused(bytes, errc::bad_format, "safetensors: data", bytes.size() - 1,
                  "1 bytes behind the last tensor");
    CHECK(file::try_parse(image("{}", 1)).failure().where() == "safetensors: data");

    const auto two = [](std::string_view first, std::string_view second, std::string_view part) {
        const std::string header =
            "{" + tensor("s", "U8", "4", first) + "," + tensor("t", "U8", "4", second) + "}";
        check_refused(header, 8, errc::bad_format, "safetensors: tensors[1].data_offsets", "\"t\"",
                      part);
    };
    two("0,4", "3,7", "begins at 3, the tensors before it end at 4");
    two("0,4", "0,4", "begins at 0, the tensors before it end at 4");
    const std::string gap =
        "{" + tensor("s", "U8", "3", "0,3") + "," + tensor("t", "U8", "4", "4,8") + "}";
    check_refused(gap, 8, errc::bad_format, "safetensors: tensors[1].data_offsets", "\"t\"",
                  "begins at 4, the tensors before it end at 3");
}

TEST_CASE("safetensors hostile: many names take no quadratic time", "[safetensors]") {
    std::string text = "{";
    for (int i = 0; i < 50000; ++i) {
        if (i > 0) text += ',';
        text += tensor("tensor." + std::to_string(i / 2 * 2 + (i == 49999 ? 0 : i % 2)), "U8", "0",
                       "0,0");
    }
    const auto answer = file::try_parse(image(text + "}"));
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.failure().where() == "safetensors: tensors[49999].name");
}
