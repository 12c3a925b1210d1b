// Hostile GGUF files: each is refused with an error that names the field and its place.
#include "gguf_image.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

using namespace gguf_test;
using quant::gguf::file;

namespace {

constexpr std::uint64_t near_limits[] = {std::uint64_t{1} << 31,
                                         std::uint64_t{1} << 32,
                                         (std::uint64_t{1} << 60) + 1,
                                         INT64_MAX,
                                         std::uint64_t{1} << 63,
                                         UINT64_MAX - 7,
                                         UINT64_MAX};

/// A file of one tensor, whose bytes after its infos are `room` zeros.
image one_tensor(std::initializer_list<std::uint64_t> dims, std::uint32_t id, std::uint64_t offset,
                 std::size_t room) {
    image made;
    made.header(1, 0).tensor("t", dims, id, offset).align().fill(room);
    return made;
}
constexpr bool wide = sizeof(std::size_t) == 8;
constexpr std::uint32_t f32 = 0;
constexpr std::uint32_t q8_0 = 8;

// In one_tensor: header 24 bytes, name 9, then n_dims, dims, type, offset.
constexpr std::size_t n_dims_at = 24 + 9;
constexpr std::size_t dims_at = n_dims_at + 4;

} // namespace

TEST_CASE("gguf hostile: truncated at every byte", "[gguf]") {
    const image whole = small_model();
    REQUIRE(file::try_parse(whole.bytes()).has_value());
    for (std::size_t size = 0; size < whole.size(); ++size) {
        // A buffer of its own, so that a sanitizer sees a read past the end.
        const std::vector<std::byte> part(
            whole.bytes().begin(), whole.bytes().begin() + static_cast<std::ptrdiff_t>(size));
        const auto refused = file::try_parse(part);
        CAPTURE(size);
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.failure().code() == errc::truncated);
        CHECK(refused.failure().where().substr(0, 6) == "gguf: ");
    }
}

TEST_CASE("gguf hostile: every byte replaced, nothing but an answer comes back", "[gguf]") {
    const image whole = small_model();
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (const unsigned value : {0u, 1u, 127u, 128u, 255u}) {
            std::vector<std::byte> changed(whole.bytes().begin(), whole.bytes().end());
            changed[at] = static_cast<std::byte>(value);
            const auto answer = file::try_parse(changed);
            if (!answer) continue;
            for (const auto& tensor : answer->tensors()) {
                CHECK(tensor.data().data() >= changed.data());
                CHECK(tensor.data().data() + tensor.data().size() <=
                      changed.data() + changed.size());
            }
        }
    }
}

TEST_CASE("gguf hostile: magic and version", "[gguf]") {
    check_refused(image().raw("GGML").u32(3).fill(64), errc::bad_format, "gguf: magic", 0);
    check_refused(image().raw("FUGG").u32(3).fill(64), errc::bad_format, "gguf: magic", 0);
    check_refused(image().raw("GGUF").u32(0).fill(64), errc::bad_format, "gguf: version", 4);
    for (const std::uint32_t version : {1u, 4u, 0xFFFFu, 0x00010003u, UINT32_MAX}) {
        check_refused(image().raw("GGUF").u32(version).fill(64), errc::unsupported, "gguf: version",
                      4);
    }
    const auto message = [](std::uint32_t version) {
        const image bytes = image().raw("GGUF").u32(version).fill(64);
        return std::string(file::try_parse(bytes.bytes()).failure().message());
    };
    CHECK(message(1).find("version 1") != std::string::npos);
    CHECK(message(0x03000000u).find("big-endian") != std::string::npos);
    CHECK(message(0x02000000u).find("big-endian") != std::string::npos);
}

TEST_CASE("gguf hostile: counts beyond the file", "[gguf]") {
    for (const std::uint64_t count : near_limits) {
        check_refused(image().header(count, 0).fill(64), errc::truncated, "gguf: n_tensors", 8);
        check_refused(image().header(0, count).fill(64), errc::truncated, "gguf: n_kv", 16);
        check_refused(image().header(0, 1).u64(count).fill(64), errc::truncated,
                      "gguf: metadata[0].key", 24);
        check_refused(image().header(0, 1).str("k").of(value_type::string).u64(count).fill(64),
                      errc::truncated, "gguf: metadata[0].value", 37);
        check_refused(image().header(1, 0).u64(count).fill(64), errc::truncated,
                      "gguf: tensors[0].name", 24);
        for (std::uint32_t id = 0; id <= 12; ++id) {
            if (id == static_cast<std::uint32_t>(value_type::array)) continue;
            const auto element = static_cast<value_type>(id);
            check_refused(image().header(0, 1).array("k", element, count).fill(64), errc::truncated,
                          "gguf: metadata[0].length", 41);
        }
    }
    check_refused(image().header(0, 2).entry("a", value_type::u8, std::uint8_t{0}).fill(13),
                  errc::truncated, "gguf: n_kv", 16);
}

TEST_CASE("gguf hostile: a string of an array beyond the file is named by its number", "[gguf]") {
    image bytes;
    bytes.header(0, 1).array("k", value_type::string, 3).str("a").str("b");
    const std::size_t at = bytes.size();
    check_refused(image(bytes).u64(UINT64_MAX), errc::truncated, "gguf: metadata[0].value[2]", at);
    check_refused(image(bytes).u64(2).raw("\xC3\x28"), errc::bad_format,
                  "gguf: metadata[0].value[2]", at + 8);
}

TEST_CASE("gguf hostile: value types", "[gguf]") {
    for (const std::uint32_t id : {13u, 127u, 0x80000000u, UINT32_MAX}) {
        check_refused(image().header(0, 1).str("k").u32(id).fill(64), errc::bad_format,
                      "gguf: metadata[0].value_type", 33);
        check_refused(image().header(0, 1).str("k").of(value_type::array).u32(id).u64(1).fill(64),
                      errc::bad_format, "gguf: metadata[0].element_type", 37);
    }
    check_refused(image().header(0, 1).array("k", value_type::array, 1).fill(64), errc::unsupported,
                  "gguf: metadata[0].element_type", 37);
    check_refused(image().header(0, 1).entry("k", value_type::boolean, std::uint8_t{2}),
                  errc::bad_format, "gguf: metadata[0].value", 37);
    check_refused(image().header(0, 1).array("k", value_type::boolean, 3).u8(0).u8(1).u8(255),
                  errc::bad_format, "gguf: metadata[0].value", 51);
}

TEST_CASE("gguf hostile: arrays nested ten thousand deep need no stack", "[gguf]") {
    image bytes;
    bytes.header(0, 1).str("k").of(value_type::array);
    for (int depth = 0; depth < 10000; ++depth) bytes.of(value_type::array).u64(1);
    check_refused(bytes, errc::unsupported, "gguf: metadata[0].element_type", 37);
}

TEST_CASE("gguf hostile: keys", "[gguf]") {
    const std::uint8_t one = 1;
    check_refused(image().header(0, 1).entry("", value_type::u8, one).fill(8), errc::bad_format,
                  "gguf: metadata[0].key", 24);
    check_refused(image().header(0, 1).entry(std::string(65536, 'k'), value_type::u8, one),
                  errc::bad_format, "gguf: metadata[0].key", 24);
    CHECK(file::try_parse(
              image().header(0, 1).entry(std::string(65535, 'k'), value_type::u8, one).bytes())
              .has_value());

    image twice;
    twice.header(0, 4).entry("b", value_type::u8, one).entry("a", value_type::u8, one);
    const std::size_t at = twice.size() + 8;
    twice.entry("a", value_type::u32, std::uint32_t{1}).entry("b", value_type::u8, one);
    check_refused(twice, errc::bad_format, "gguf: metadata[2].key", at);
}

TEST_CASE("gguf hostile: invalid UTF-8 in keys, values and names", "[gguf]") {
    const std::string_view invalid[] = {"\x80",
                                        "\xBF",
                                        "\xC0\x80",
                                        "\xC1\xBF",
                                        "\xC3",
                                        "\xC3(",
                                        "\xE0\x9F\xBF",
                                        "\xE2\x82",
                                        "\xED\xA0\x80",
                                        "\xED\xBF\xBF",
                                        "\xF0\x8F\xBF\xBF",
                                        "\xF0\x9F\x98",
                                        "\xF4\x90\x80\x80",
                                        "\xF5\x80\x80\x80",
                                        "\xFE",
                                        "\xFF"};
    for (const std::string_view text : invalid) {
        const std::string padded = "ab" + std::string(text);
        CAPTURE(padded);
        check_refused(image().header(0, 1).entry(padded, value_type::u8, std::uint8_t{0}).fill(4),
                      errc::bad_format, "gguf: metadata[0].key", 24 + 8 + 2);
        check_refused(image().header(0, 1).entry("k", padded), errc::bad_format,
                      "gguf: metadata[0].value", 37 + 8 + 2);
        check_refused(image().header(1, 0).tensor(padded, {1}, f32, 0).align().fill(4),
                      errc::bad_format, "gguf: tensors[0].name", 24 + 8 + 2);
    }
    const std::string_view valid[] = {"\x7F",         "\xC2\x80",         "\xDF\xBF",
                                      "\xE0\xA0\x80", "\xED\x9F\xBF",     "\xEE\x80\x80",
                                      "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"};
    for (const std::string_view text : valid) {
        CAPTURE(text);
        CHECK(file::try_parse(image().header(0, 1).entry("k", text).fill(2).bytes()).has_value());
    }
}

TEST_CASE("gguf hostile: an error's text obeys no control character of the file", "[gguf]") {
    const std::string_view key = "\x1B[31mred\n";
    image bytes;
    bytes.header(0, 1).str(key).u32(99).fill(8);
    const auto refused = file::try_parse(bytes.bytes());
    REQUIRE_FALSE(refused.has_value());
    const std::string_view text = refused.failure().what();
    CHECK(text.find("?[31mred?") != std::string_view::npos);
    for (const char c : text) CHECK((c >= ' ' && c <= '~'));
}

TEST_CASE("gguf hostile: alignment", "[gguf]") {
    const std::string_view key = "general.alignment";
    const std::size_t at = 24 + 8 + key.size() + 4;
    for (const std::uint32_t value : {0u, 3u, 33u, 0x80000000u, UINT32_MAX}) {
        check_refused(image().header(0, 1).entry(key, value_type::u32, value), errc::bad_format,
                      "gguf: metadata[0].value", at);
    }
    check_refused(image().header(0, 1).entry(key, value_type::u64, std::uint64_t{1} << 63),
                  errc::bad_format, "gguf: metadata[0].value", at);
    check_refused(image().header(0, 1).entry(key, value_type::i32, -32), errc::bad_format,
                  "gguf: metadata[0].value", at);
    check_refused(image().header(0, 1).entry(key, value_type::f32, 32.0f), errc::bad_format,
                  "gguf: metadata[0].value", at);
    check_refused(image().header(0, 1).entry(key, "32"), errc::bad_format,
                  "gguf: metadata[0].value", at);
    // A valid one that puts the data section beyond the file.
    image far;
    far.header(1, 1).entry(key, value_type::u32, std::uint32_t{1} << 30).tensor("t", {1}, f32, 0);
    check_refused(image(far).fill(64), errc::truncated, "gguf: data section", far.size());
}

TEST_CASE("gguf hostile: numbers of dimensions", "[gguf]") {
    for (const std::uint32_t n_dims : {0u, 5u, 8u, 9u, 0x80000000u, UINT32_MAX}) {
        check_refused(image().header(1, 0).str("t").u32(n_dims).fill(256), errc::bad_format,
                      "gguf: tensors[0].n_dims", n_dims_at);
    }
}

TEST_CASE("gguf hostile: dimensions", "[gguf]") {
    check_refused(one_tensor({0}, f32, 0, 64), errc::bad_format, "gguf: tensors[0].dims[0]",
                  dims_at);
    check_refused(one_tensor({4, 0, 2}, f32, 0, 64), errc::bad_format, "gguf: tensors[0].dims[1]",
                  dims_at + 8);
    check_refused(one_tensor({1ull << 63}, f32, 0, 64), errc::bad_format,
                  "gguf: tensors[0].dims[0]", dims_at);
    check_refused(one_tensor({UINT64_MAX, UINT64_MAX}, f32, 0, 64), errc::bad_format,
                  "gguf: tensors[0].dims[0]", dims_at);
    check_refused(one_tensor({1ull << 16, 1ull << 14, 1ull << 16, 1ull << 18}, f32, 0, 64),
                  errc::bad_format, "gguf: tensors[0].dims[" + std::string(wide ? "3" : "2") + "]",
                  dims_at + (wide ? 24 : 16));
    for (const std::uint64_t cols : {1u, 31u, 33u}) {
        check_refused(one_tensor({cols, 32}, q8_0, 0, 4096), errc::bad_format,
                      "gguf: tensors[0].dims[0]", dims_at);
    }
    if constexpr (wide) {
        // Products that wrap to a negative number, and to zero.
        constexpr std::uint64_t largest = INT64_MAX;
        check_refused(one_tensor({largest, 2, 1, 1}, f32, 0, 64), errc::bad_format,
                      "gguf: tensors[0].dims[1]", dims_at + 8);
        check_refused(one_tensor({1ull << 32, 1ull << 32}, f32, 0, 64), errc::bad_format,
                      "gguf: tensors[0].dims[1]", dims_at + 8);
        // Elements that fit, bytes that do not; then an exabyte on 64 bytes.
        check_refused(one_tensor({largest}, f32, 0, 64), errc::bad_format, "gguf: tensors[0].type",
                      dims_at + 8);
        check_refused(one_tensor({1ull << 60}, f32, 0, 64), errc::truncated,
                      "gguf: tensors[0].offset", dims_at + 12);
    }
}

TEST_CASE("gguf hostile: tensor types that are none", "[gguf]") {
    for (const std::uint32_t id :
         {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u, 43u, 97u, 150u, 399u, 0x80000000u, UINT32_MAX}) {
        const image bytes = one_tensor({256}, id, 0, 4096);
        check_refused(bytes, errc::unsupported, "gguf: tensors[0].type", dims_at + 8);
        const std::string text = file::try_parse(bytes.bytes()).failure().message();
        CHECK(text.find("type id " + std::to_string(id)) != std::string::npos);
    }
}

TEST_CASE("gguf hostile: offsets and sizes past the end", "[gguf]") {
    const auto check = [](std::uint64_t elements, std::uint64_t offset, std::size_t room,
                          errc code) {
        check_refused(one_tensor({elements}, f32, offset, room), code, "gguf: tensors[0].offset",
                      dims_at + 12);
    };
    check(16, 0, 63, errc::truncated);
    check(16, 32, 64, errc::truncated);
    check(1, 64, 64, errc::truncated);
    check(1, 96, 64, errc::truncated);
    // Sums that wrap: offset + size, offset + data section.
    check(16, UINT64_MAX - 31, 64, errc::truncated);
    check(16, UINT64_MAX - 63, 64, errc::truncated);
    check(16, std::uint64_t{1} << 63, 64, errc::truncated);
    for (const std::uint64_t offset : {1u, 4u, 31u, 33u}) check(1, offset, 256, errc::bad_format);
}

TEST_CASE("gguf hostile: sizes whose sum wraps", "[gguf]") {
    if constexpr (!wide) return;
    image bytes;
    bytes.header(3, 0);
    const std::uint64_t huge = std::uint64_t{1} << 60; // 2^62 bytes each
    bytes.tensor("a", {huge}, f32, 0);
    bytes.tensor("b", {huge}, f32, std::uint64_t{1} << 62);
    bytes.tensor("c", {huge}, f32, std::uint64_t{1} << 63);
    check_refused(bytes.align().fill(64), errc::truncated, "gguf: tensors[0].offset", 24 + 25);
}

TEST_CASE("gguf hostile: overlapping tensors", "[gguf]") {
    image same;
    same.header(2, 0).tensor("a", {8}, f32, 0);
    const std::size_t second = same.size() + 9 + 4 + 8 + 4;
    check_refused(image(same).tensor("b", {8}, f32, 0).align().fill(64), errc::bad_format,
                  "gguf: tensors[1].offset", second);

    image inside;
    inside.header(3, 0).tensor("a", {8}, f32, 64).tensor("b", {64}, f32, 0);
    inside.tensor("c", {1}, f32, 256);
    check_refused(image(inside).align().fill(512), errc::bad_format, "gguf: tensors[0].offset",
                  24 + 9 + 4 + 8 + 4);
}

TEST_CASE("gguf hostile: tensor names", "[gguf]") {
    const auto named = [](std::string_view name) {
        return image().header(1, 0).tensor(name, {1}, f32, 0).align().fill(4);
    };
    CHECK(file::try_parse(named(std::string(64, 'n')).bytes()).has_value());
    check_refused(named(std::string(65, 'n')), errc::bad_format, "gguf: tensors[0].name", 24);
    check_refused(named(""), errc::bad_format, "gguf: tensors[0].name", 24);

    image twice;
    twice.header(3, 0).tensor("x", {1}, f32, 0).tensor("y", {1}, f32, 32);
    const std::size_t at = twice.size() + 8;
    twice.tensor("x", {1}, f32, 64).align().fill(68);
    check_refused(twice, errc::bad_format, "gguf: tensors[2].name", at);
}
