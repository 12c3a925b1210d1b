// Well-formed GGUF files are read completely: entries, arrays, tensors, from memory and from disk.
#include "gguf_image.hpp"
#include "temporary_file.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#if defined(__unix__)
#include <sys/stat.h>
#include <unistd.h>
#endif

using namespace gguf_test;
using quant::gguf::file;
using quant::gguf::file_access;
using namespace std::string_view_literals;

static_assert(!std::is_copy_constructible_v<file> && std::is_nothrow_move_constructible_v<file>);
static_assert(!std::is_default_constructible_v<file>);
static_assert(quant::gguf::metadata_value<bool> && quant::gguf::metadata_value<long long>);
static_assert(!quant::gguf::metadata_value<char> && !quant::gguf::metadata_value<std::string>);

namespace {

void check_small_model(const file& model) {
    CHECK(model.alignment() == 32);
    REQUIRE(model.metadata().size() == 4);
    CHECK(model.metadata()[0].key() == "general.architecture");
    CHECK(model.metadata()[2].type() == value_type::array);
    CHECK(model.get<std::string_view>("general.architecture") == "llama"sv);
    CHECK(model.get<int>("llama.block_count") == 5);

    const auto tokens = model.array("tokens");
    REQUIRE(tokens.has_value());
    CHECK(tokens->element_type() == value_type::string);
    REQUIRE(tokens->size() == 3);
    CHECK(tokens->at<std::string_view>(0) == "<s>"sv);
    CHECK(tokens->at<std::string_view>(1) == ""sv);
    CHECK(tokens->at<std::string_view>(2) == "\xC3\xA9t\xC3\xA9"sv);
    CHECK_FALSE(tokens->at<std::string_view>(3).has_value());
    CHECK_FALSE(tokens->at<int>(0).has_value());
    CHECK(model.array("scores")->at<float>(1) == -1.0f);

    REQUIRE(model.tensors().size() == 3);
    CHECK(model.tensors()[0].name() == "b");
    const auto* a = model.find("a");
    REQUIRE(a != nullptr);
    CHECK(a->type() == type::f32);
    CHECK(a->shape().size() == 1);
    CHECK(a->rows() == 1);
    CHECK(a->cols() == 3);
    REQUIRE(a->data().size() == 12);
    std::array<float, 3> values{};
    REQUIRE(quant::gguf::try_dequantize(a->type(), a->data(), values).has_value());
    CHECK(values == std::array{1.0f, 2.0f, 3.0f});

    const auto* c = model.find("c");
    REQUIRE(c != nullptr);
    REQUIRE(c->shape().size() == 3);
    CHECK(c->shape()[0] == 64);
    CHECK(c->shape()[2] == 2);
    CHECK(c->rows() == 2);
    CHECK(c->cols() == 64);
    CHECK(c->elements() == 128);
    CHECK(c->data().size() == 72);
    CHECK(model.find("d") == nullptr);
    CHECK(model.find("") == nullptr);
}

} // namespace

TEST_CASE("gguf: versions 2 and 3 are read from memory", "[gguf]") {
    for (const std::uint32_t version : {2u, 3u}) {
        const image bytes = small_model(version);
        const auto model = file::try_parse(bytes.bytes());
        REQUIRE(model.has_value());
        CHECK(model->version() == version);
        check_small_model(*model);
    }
}

TEST_CASE("gguf: a file in memory may lie at any address", "[gguf]") {
    const image bytes = small_model();
    for (std::size_t shift = 1; shift < 8; ++shift) {
        std::vector<std::byte> moved(shift);
        moved.insert(moved.end(), bytes.bytes().begin(), bytes.bytes().end());
        const auto model = file::try_parse(std::span<const std::byte>(moved).subspan(shift));
        REQUIRE(model.has_value());
        check_small_model(*model);
    }
}

TEST_CASE("gguf: mapped and read files say the same", "[gguf]") {
    const temporary_file disk("model", small_model().bytes());
    for (const file_access how : {file_access::map, file_access::read}) {
        const auto model = file::try_open(disk.path(), how);
        REQUIRE(model.has_value());
        check_small_model(*model);
    }
}

TEST_CASE("gguf: views survive a move of the file", "[gguf]") {
    const temporary_file disk("moved", small_model().bytes());
    for (const file_access how : {file_access::map, file_access::read}) {
        auto opened = file::try_open(disk.path(), how);
        REQUIRE(opened.has_value());
        const auto token = opened->array("tokens")->at<std::string_view>(0);
        file first = *std::move(opened);
        auto other = file::try_open(disk.path(), how);
        REQUIRE(other.has_value());
        file second = *std::move(other);
        second = std::move(first);
        check_small_model(second);
        CHECK(first.tensors().empty());
        CHECK(first.metadata().empty());
        CHECK(first.find("a") == nullptr);
        CHECK(token == "<s>"sv);
        CHECK(token->data() == second.array("tokens")->at<std::string_view>(0)->data());
    }
}

TEST_CASE("gguf: what cannot be opened says why", "[gguf]") {
    const auto folder = std::filesystem::temp_directory_path();
    for (const file_access how : {file_access::map, file_access::read}) {
        const auto absent = file::try_open(folder / "quant_gguf_no_such_file", how);
        REQUIRE_FALSE(absent.has_value());
        CHECK(absent.failure().code() == errc::not_found);
        CHECK(absent.failure().where() == "gguf::open: path");
        // However long a path is, the reason is not what an error's capacity cuts.
        const std::string part(250, 'n');
        const auto far = file::try_open(folder / part / part, how);
        REQUIRE_FALSE(far.has_value());
        CHECK(far.failure().code() == errc::not_found);
        CHECK(std::string_view(far.failure().message()).starts_with("cannot open"));
#if __has_include(<sys/mman.h>) && defined(__linux__)
        CHECK(std::string_view(far.failure().message()).find(" (errno 2): \"") < 80);
#endif
        const auto directory = file::try_open(folder, how);
        REQUIRE_FALSE(directory.has_value());
        CHECK(directory.failure().code() == errc::io_failed);
        const temporary_file empty("empty", {});
        const auto nothing = file::try_open(empty.path(), how);
        REQUIRE_FALSE(nothing.has_value());
        CHECK(nothing.failure().code() == errc::truncated);
    }
}

#if defined(__unix__)
TEST_CASE("gguf: a FIFO and a device are refused without waiting", "[gguf]") {
#if defined(__EMSCRIPTEN__)
    SKIP("emscripten's file system has other errors");
#endif
    const temporary_file place("fifo", {});
    std::filesystem::remove(place.path());
    REQUIRE(::mkfifo(place.path().c_str(), 0600) == 0);
    for (const char* path : {place.path().c_str(), "/dev/zero"}) {
        const auto refused = file::try_open(path);
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.failure().code() == errc::io_failed);
    }
}
#endif

#if QUANT_HAS_EXCEPTIONS
TEST_CASE("gguf: the plain names throw the same errors", "[gguf]") {
    const image bytes = small_model();
    check_small_model(file::parse(bytes.bytes()));
    CHECK_THROWS_AS(file::parse(bytes.bytes().first(10)), quant::error);
    CHECK_THROWS_AS(file::open("/no/such/file"), quant::error);
    CHECK_THROWS_AS(quant::gguf::block_size(static_cast<type>(4)), quant::error);
    CHECK_THROWS_AS(quant::gguf::dequantize(static_cast<type>(4), {}, {}), quant::error);
}
#endif

TEST_CASE("gguf: numbers convert where their value survives", "[gguf]") {
    image bytes;
    bytes.header(0, 13)
        .entry("u8", value_type::u8, std::uint8_t{200})
        .entry("i8", value_type::i8, std::int8_t{-5})
        .entry("u16", value_type::u16, std::uint16_t{65535})
        .entry("i16", value_type::i16, std::int16_t{-300})
        .entry("u32", value_type::u32, UINT32_MAX)
        .entry("i32", value_type::i32, INT32_MIN)
        .entry("u64", value_type::u64, UINT64_MAX)
        .entry("i64", value_type::i64, INT64_MIN)
        .entry("f32", value_type::f32, 0.1f)
        .entry("f64", value_type::f64, 0.1)
        .entry("half", value_type::f64, 0.5)
        .entry("huge", value_type::f64, 1e300)
        .entry("yes", value_type::boolean, std::uint8_t{1});
    const auto model = file::try_parse(bytes.bytes());
    REQUIRE(model.has_value());
    const auto& m = *model;

    CHECK(m.get<std::uint8_t>("u8") == std::uint8_t{200});
    CHECK(m.get<std::int16_t>("u8") == std::int16_t{200});
    CHECK_FALSE(m.get<std::int8_t>("u8").has_value());
    CHECK(m.get<std::int64_t>("i8") == -5);
    CHECK_FALSE(m.get<std::uint64_t>("i8").has_value());
    CHECK(m.get<std::uint16_t>("u16") == std::uint16_t{65535});
    CHECK_FALSE(m.get<std::int16_t>("u16").has_value());
    CHECK(m.get<int>("i16") == -300);
    CHECK(m.get<std::size_t>("u32") == std::size_t{UINT32_MAX});
    CHECK_FALSE(m.get<int>("u32").has_value());
    CHECK(m.get<std::int32_t>("i32") == INT32_MIN);
    CHECK(m.get<std::uint64_t>("u64") == UINT64_MAX);
    CHECK_FALSE(m.get<std::int64_t>("u64").has_value());
    CHECK(m.get<std::int64_t>("i64") == INT64_MIN);
    CHECK_FALSE(m.get<std::int32_t>("i64").has_value());

    CHECK(m.get<float>("f32") == 0.1f);
    CHECK(m.get<double>("f32") == static_cast<double>(0.1f));
    CHECK(m.get<double>("f64") == 0.1);
    CHECK_FALSE(m.get<float>("f64").has_value());
    CHECK(m.get<float>("half") == 0.5f);
    CHECK_FALSE(m.get<float>("huge").has_value());

    CHECK(m.get<bool>("yes") == true);
    CHECK_FALSE(m.get<int>("yes").has_value());
    CHECK_FALSE(m.get<bool>("u8").has_value());
    CHECK_FALSE(m.get<float>("u8").has_value());
    CHECK_FALSE(m.get<int>("f32").has_value());
    CHECK_FALSE(m.get<std::string_view>("u8").has_value());
    CHECK_FALSE(m.get<int>("absent").has_value());
    CHECK_FALSE(m.array("u8").has_value());
    CHECK_FALSE(m.array("absent").has_value());
}

TEST_CASE("gguf: NaN and infinity in metadata stay what they are", "[gguf]") {
    image bytes;
    bytes.header(0, 2)
        .entry("nan", value_type::f64, std::numeric_limits<double>::quiet_NaN())
        .entry("inf", value_type::f64, -std::numeric_limits<double>::infinity());
    const auto model = file::try_parse(bytes.bytes());
    REQUIRE(model.has_value());
    const auto nan = model->get<float>("nan");
    REQUIRE(nan.has_value());
    CHECK(std::isnan(*nan));
    CHECK(model->get<float>("inf") == -std::numeric_limits<float>::infinity());
}

TEST_CASE("gguf: arrays of every element type", "[gguf]") {
    image bytes;
    bytes.header(0, 7);
    bytes.array("u8", value_type::u8, 2).u8(1).u8(255);
    bytes.array("i16", value_type::i16, 2).put(std::int16_t{-1}).put(std::int16_t{7});
    bytes.array("i64", value_type::i64, 1).put(INT64_MIN);
    bytes.array("f64", value_type::f64, 1).put(2.5);
    bytes.array("bool", value_type::boolean, 3).u8(0).u8(1).u8(0);
    bytes.array("none", value_type::string, 0);
    bytes.array("more", value_type::string, 2).str("x").str("yz");
    const auto model = file::try_parse(bytes.bytes());
    REQUIRE(model.has_value());
    CHECK(model->array("u8")->at<int>(1) == 255);
    CHECK_FALSE(model->array("u8")->at<std::int8_t>(1).has_value());
    CHECK(model->array("i16")->at<int>(0) == -1);
    CHECK(model->array("i64")->at<std::int64_t>(0) == INT64_MIN);
    CHECK(model->array("f64")->at<float>(0) == 2.5f);
    CHECK(model->array("bool")->at<bool>(1) == true);
    CHECK(model->array("none")->size() == 0);
    CHECK_FALSE(model->array("none")->at<std::string_view>(0).has_value());
    CHECK(model->array("more")->at<std::string_view>(1) == "yz"sv);
    CHECK_FALSE(model->array("more")->at<std::string_view>(SIZE_MAX).has_value());
}

TEST_CASE("gguf: a file may have no tensors, gaps between them, any order, and an own alignment",
          "[gguf]") {
    image nothing;
    nothing.header(0, 0);
    const auto empty = file::try_parse(nothing.bytes());
    REQUIRE(empty.has_value());
    CHECK(empty->tensors().empty());
    CHECK(empty->metadata().empty());
    CHECK(empty->find("a") == nullptr);

    image sparse;
    sparse.header(2, 1)
        .entry("general.alignment", value_type::u32, std::uint32_t{8})
        .tensor("late", {1}, type::i8, 24)
        .tensor("early", {1}, type::i8, 8)
        .align(8)
        .fill(24)
        .u8(7)
        .fill(5);
    const auto model = file::try_parse(sparse.bytes());
    REQUIRE(model.has_value());
    CHECK(model->alignment() == 8);
    CHECK(model->find("late")->data()[0] == std::byte{7});
}
