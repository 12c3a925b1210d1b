// What gguf::writer writes, gguf::file reads back.
#include "gguf_writing.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

using namespace gguf_test;
using namespace std::string_view_literals;

static_assert(quant::gguf::metadata_values<std::vector<float>> &&
              quant::gguf::metadata_values<std::string_view[2]> &&
              !quant::gguf::metadata_values<std::vector<bool>> &&
              !quant::gguf::metadata_values<std::string>);
static_assert(!std::is_copy_constructible_v<writer> && !std::is_default_constructible_v<writer>);
static_assert(std::is_nothrow_move_constructible_v<writer> &&
              std::is_nothrow_move_assignable_v<writer>);

TEST_CASE("gguf writer: byte for byte what the specification says", "[gguf]") {
    const temporary_folder folder;
    writer out = make(folder / "a");
    require_done(out.try_add_tensor("w", type::q8_0, {32, 2}));
    require_done(out.try_add("name", "llama"));
    require_done(out.try_add("n", std::uint16_t{7}));
    require_done(out.try_add_tensor("b", type::f32, {1}));
    const auto data = random_bytes(72, 1);
    require_done(out.try_write(std::span(data).first(68)));
    require_done(out.try_write(std::span(data).last(4)));
    require_done(out.try_finish());

    image expected;
    expected.header(2, 2).entry("name", "llama").entry("n", value_type::u16, std::uint16_t{7});
    expected.tensor("w", {32, 2}, type::q8_0, 0).tensor("b", {1}, type::f32, 96).align();
    for (std::size_t i = 0; i < 68; ++i) expected.u8(std::to_integer<std::uint8_t>(data[i]));
    expected.fill(28);
    for (std::size_t i = 68; i < 72; ++i) expected.u8(std::to_integer<std::uint8_t>(data[i]));
    expected.fill(28);
    const auto written = bytes_of(folder / "a");
    CHECK(std::equal(written.begin(), written.end(), expected.bytes().begin(),
                     expected.bytes().end()));
    CHECK(folder.size() == 1);
}

TEST_CASE("gguf writer: values of every type come back", "[gguf]") {
    const temporary_folder folder;
    writer out = make(folder / "a");
    const auto check = [&]<class T>(std::string_view key, value_type stored,
                                    const std::vector<T>& values) {
        require_done(out.try_add(key, values[0]));
        require_done(out.try_add_array(std::string(key) + "s", values));
        require_done(out.try_add_array(std::string(key) + "0", std::span<const T>()));
        return [=](const file& in) {
            CAPTURE(key);
            REQUIRE(in.find_metadata(key) != nullptr);
            CHECK(in.find_metadata(key)->type() == stored);
            CHECK(in.get<T>(key) == values[0]);
            const auto array = in.array(std::string(key) + "s");
            REQUIRE(array.has_value());
            CHECK(array->element_type() == stored);
            REQUIRE(array->size() == values.size());
            for (std::size_t i = 0; i < values.size(); ++i) CHECK(array->at<T>(i) == values[i]);
            CHECK(in.array(std::string(key) + "0")->element_type() == stored);
            CHECK(in.array(std::string(key) + "0")->size() == 0);
        };
    };
    using std::vector;
    const auto u8 = check("u8", value_type::u8, vector<std::uint8_t>{200, 0});
    const auto i8 = check("i8", value_type::i8, vector<std::int8_t>{-128, 127});
    const auto u16 = check("u16", value_type::u16, vector<std::uint16_t>{65535, 1});
    const auto i16 = check("i16", value_type::i16, vector<std::int16_t>{-32768});
    const auto u32 = check("u32", value_type::u32, vector{UINT32_MAX, 5u});
    const auto i32 = check("i32", value_type::i32, vector{INT32_MIN, 5});
    const auto u64 = check("u64", value_type::u64, vector<unsigned long long>{UINT64_MAX, 3});
    const auto i64 = check("i64", value_type::i64, vector<long long>{INT64_MIN, 3});
    const auto f32 = check("f32", value_type::f32, vector{0.1f, -HUGE_VALF});
    const auto f64 = check("f64", value_type::f64, vector{0.1, 1e300});
    const auto text = check("text", value_type::string, vector{"\xC3\xA9t\xC3\xA9"sv, ""sv, "x"sv});
    constexpr bool flags[] = {true, false, true};
    require_done(out.try_add("bool", true));
    require_done(out.try_add_array("bools", flags));
    require_done(out.try_add("nan", std::numeric_limits<float>::quiet_NaN()));
    require_done(out.try_add("", "empty").has_value()
                     ? quant::result<void>(quant::error(errc::empty, "test", "was accepted"))
                     : quant::result<void>());
    require_done(out.try_finish());

    const file in = open(folder / "a");
    u8(in), i8(in), u16(in), i16(in), u32(in), i32(in), u64(in), i64(in), f32(in), f64(in),
        text(in);
    CHECK(in.get<bool>("bool") == true);
    CHECK(in.array("bools")->element_type() == value_type::boolean);
    CHECK(in.array("bools")->at<bool>(1) == false);
    CHECK(std::isnan(*in.get<float>("nan")));
    CHECK(in.metadata().size() == 11 * 3 + 3);
    CHECK(in.tensors().empty());
}

TEST_CASE("gguf writer: tensors of every type, in pieces of any size, at every alignment",
          "[gguf]") {
    const temporary_folder folder;
    std::mt19937 random(3);
    for (const std::uint32_t alignment : {8u, 32u, 64u, 4096u}) {
        const fs::path path = folder / "a";
        writer out = make(path);
        require_done(out.try_add("general.alignment", alignment));
        std::vector<std::vector<std::byte>> data;
        for (std::uint32_t id = 0; id < 43; ++id) {
            const auto which = static_cast<type>(id);
            if (!quant::gguf::try_block_size(which)) continue;
            const std::size_t cols = 3 * *quant::gguf::try_block_size(which);
            require_done(out.try_add_tensor("t" + std::to_string(id), which, {cols, 1, 5}));
            data.push_back(random_bytes(15 * *quant::gguf::try_block_bytes(which), id));
        }
        for (const auto& each : data) {
            for (std::size_t at = 0; at < each.size();) {
                const std::size_t size = std::min<std::size_t>(each.size() - at, random() % 300u);
                require_done(out.try_write(std::span(each).subspan(at, size)));
                at += size;
            }
        }
        require_done(out.try_finish());

        const file in = open(path);
        CHECK(in.version() == 3);
        CHECK(in.alignment() == alignment);
        CHECK(in.find_metadata("general.alignment")->type() == value_type::u32);
        REQUIRE(in.tensors().size() == data.size());
        std::size_t different = 0;
        for (std::size_t i = 0; i < data.size(); ++i) {
            const auto& read = in.tensors()[i];
            CAPTURE(read.name(), alignment);
            CHECK(read.shape().size() == 3);
            CHECK(read.rows() == 5);
            const auto offset = read.data().data() - in.tensors()[0].data().data();
            CHECK(offset % static_cast<std::ptrdiff_t>(alignment) == 0);
            different +=
                !std::equal(read.data().begin(), read.data().end(), data[i].begin(), data[i].end());
        }
        CHECK(different == 0);
        CHECK(fs::file_size(path) % alignment == 0);
    }
    CHECK(folder.size() == 1);
}

TEST_CASE("gguf writer: a file can be copied entry by entry", "[gguf]") {
    image source = small_model();
    image other;
    other.header(0, 3)
        .entry("general.alignment", value_type::u64, std::uint64_t{64})
        .entry("yes", value_type::boolean, std::uint8_t{1});
    other.array("flags", value_type::boolean, 2).u8(0).u8(1);
    const temporary_folder folder;
    for (const image* each : {&source, &other}) {
        const auto from = file::try_parse(each->bytes());
        REQUIRE(from.has_value());
        writer out = make(folder / "copy");
        for (const auto& entry : from->metadata()) require_done(out.try_add(entry));
        for (const auto& tensor : from->tensors()) {
            require_done(out.try_add_tensor(tensor.name(), tensor.type(), tensor.shape()));
        }
        for (const auto& tensor : from->tensors()) require_done(out.try_write(tensor.data()));
        require_done(out.try_finish());
        if (each == &source) {
            const auto written = bytes_of(folder / "copy");
            const auto whole = source.align().bytes(); // the last tensor's padding
            CHECK(std::equal(written.begin(), written.end(), whole.begin(), whole.end()));
        } else {
            const file in = open(folder / "copy");
            CHECK(in.alignment() == 64);
            CHECK(in.find_metadata("general.alignment")->type() == value_type::u32);
            CHECK(in.get<bool>("yes") == true);
            CHECK(in.array("flags")->at<bool>(1) == true);
        }
    }
}

TEST_CASE("gguf writer: limits that are just met", "[gguf]") {
    const temporary_folder folder;
    writer out = make(folder / "a");
    const std::string key(65535, 'k'), name(63, 'n');
    require_done(out.try_add(key, 1));
    require_done(out.try_add_tensor(name, type::i8, {1, 1, 1, 1}));
    require_done(out.try_write(random_bytes(1, 1)));
    require_done(out.try_finish());
    const file in = open(folder / "a");
    CHECK(in.get<int>(key) == 1);
    CHECK(in.find(name) != nullptr);
}

TEST_CASE("gguf writer: many names take no quadratic time, and each is remembered", "[gguf]") {
    const temporary_folder folder;
    writer out = make(folder / "a");
    constexpr unsigned count = 100000;
    for (unsigned i = 0; i < count; ++i) {
        require_done(out.try_add(std::to_string(i * 7919u % count), i));
    }
    unsigned accepted = 0;
    for (unsigned i = 0; i < count; i += 97)
        accepted += out.try_add(std::to_string(i), i).has_value();
    CHECK(accepted == 0);
    require_done(out.try_finish());
    CHECK(open(folder / "a").metadata().size() == count);
}

#if QUANT_HAS_EXCEPTIONS
TEST_CASE("gguf writer: the plain names throw the same errors", "[gguf]") {
    const temporary_folder folder;
    writer out = writer::create(folder / "a");
    out.add("general.architecture", "llama");
    const float scores[] = {0.5f, 1.5f};
    out.add_array("scores", scores);
    const image bytes = small_model();
    const file other = file::parse(bytes.bytes());
    out.add(other.metadata()[2]);
    out.add_tensor("t", type::f32, {1});
    out.add_tensor("c", other.find("c")->type(), other.find("c")->shape());
    CHECK_THROWS_AS(out.add("scores", 1), quant::error);
    CHECK_THROWS_AS(out.add(other.metadata()[0]), quant::error);
    CHECK_THROWS_AS(out.add_array("scores", scores), quant::error);
    CHECK_THROWS_AS(out.add_tensor("t", type::f32, {1}), quant::error);
    CHECK_THROWS_AS(out.finish(), quant::error);
    CHECK_THROWS_AS(out.write(random_bytes(5, 1)), quant::error);
    out.write(random_bytes(4, 1));
    out.write(other.find("c")->data());
    out.finish();
    CHECK(file::open(folder / "a").array("tokens")->size() == 3);
    CHECK_THROWS_AS(writer::create(folder / "absent" / "a"), quant::error);
}
#endif
