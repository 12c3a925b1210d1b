// safetensors::writer: what it writes the reader reads, what it cannot write it refuses, and it
// leaves nothing behind.
#include "safetensors_image.hpp"

#include <catch2/catch_test_macros.hpp>

#include <bit>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

using namespace safetensors_test;
using quant::safetensors::writer;
namespace fs = std::filesystem;

namespace {

/// An empty folder that goes away with all that is in it.
class folder {
public:
    folder()
        : path_(fs::temp_directory_path() /
                ("quant_test_" + std::to_string(std::random_device{}()) + "_safetensors")) {
        fs::create_directory(path_);
    }
    ~folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    [[nodiscard]] fs::path operator/(std::string_view name) const { return path_ / name; }
    [[nodiscard]] std::ptrdiff_t size() const {
        return std::distance(fs::directory_iterator(path_), fs::directory_iterator());
    }

private:
    fs::path path_;
};

std::string text_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::byte> counting(std::size_t size) {
    std::vector<std::byte> made(size);
    for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<std::byte>(i * 7 + 1);
    return made;
}

void require_done(const quant::result<void>& done) {
    if (!done) FAIL(done.failure().what());
}

} // namespace

TEST_CASE("safetensors writer: the file is what the format's description says", "[safetensors]") {
    const folder at;
    auto out = writer::create(at / "a.safetensors");
    out.add("format", "pt");
    out.add_tensor("x", dtype::bf16, {2, 1});
    out.add_tensor("y", dtype::u8, {});
    const auto data = counting(5);
    out.write(data);
    out.finish();
    std::string header = R"({"__metadata__":{"format":"pt"},)"
                         R"("x":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]},)"
                         R"("y":{"dtype":"U8","shape":[],"data_offsets":[4,5]}})";
    header.resize((8 + header.size() + 63) / 64 * 64 - 8, ' ');
    std::string expected;
    for (const std::byte each : image(header)) expected += static_cast<char>(each);
    for (const std::byte each : data) expected += static_cast<char>(each);
    CHECK(text_of(at / "a.safetensors") == expected);
    CHECK(at.size() == 1);
}

TEST_CASE("safetensors writer: what is written is read", "[safetensors]") {
    const folder at;
    const std::string odd = "quote \" back \\ line \n \x01 \xC3\xA9 \xF0\x9F\x98\x80";
    {
        auto out = writer::create(at / "a");
        out.add_tensor("w", dtype::f64, {3});
        out.add_tensor(odd, dtype::f4, {2, 2});
        out.add_tensor("empty", dtype::f32, {0, 7});
        out.add("", odd);
        out.add(odd, "");
        const auto data = counting(26);
        const std::span<const std::byte> all(data);
        out.write(all.first(5));
        CHECK(at.size() == 1); // under another name
        CHECK_FALSE(fs::exists(at / "a"));
        out.write(all.subspan(5, 20));
        out.write({});
        out.write(all.subspan(25));
        out.finish();
    }
    const file model = file::open(at / "a");
    REQUIRE(model.tensors().size() == 3);
    CHECK(model.find("w")->data().data()[25 - 1] == counting(26)[24]);
    CHECK(model.find(odd)->dtype() == dtype::f4);
    CHECK(model.find(odd)->data().size() == 2);
    CHECK(model.find("empty")->cols() == 7);
    CHECK(model.find_metadata("") == odd);
    CHECK(model.find_metadata(odd) == "");
    if constexpr (std::endian::native == std::endian::little) {
        CHECK(model.find("w")->try_view<double>().has_value()); // at a multiple of 64 bytes
    }

    auto nothing = writer::create(at / "b");
    nothing.finish();
    CHECK(file::open(at / "b").tensors().empty());
    {
        auto only = writer::create(at / "c");
        only.add("k", "v");
        only.finish();
        CHECK(file::open(at / "c").find_metadata("k") == "v");
    }
    {
        auto dropped = writer::create(at / "b");
        dropped.add_tensor("w", dtype::u8, {1});
        auto moved = std::move(dropped);
        moved.write(counting(1));
    }
    CHECK(at.size() == 3);
    CHECK(file::open(at / "b").tensors().empty());
}

TEST_CASE("safetensors writer: what is refused changes nothing", "[safetensors]") {
    const folder at;
    auto out = writer::create(at / "a");
    auto plain = writer::create(at / "b");
    for (writer* each : {&out, &plain}) {
        each->add("key", "value");
        each->add_tensor("t", dtype::i16, {2});
    }
    const auto refused = [](const quant::result<void>& answer, errc code, std::string_view where,
                            std::string_view part) {
        REQUIRE_FALSE(answer.has_value());
        INFO(answer.failure().what());
        CHECK(answer.failure().code() == code);
        CHECK(answer.failure().where() == "safetensors::writer::" + std::string(where));
        CHECK(std::string_view(answer.failure().message()).find(part) != std::string_view::npos);
    };
    constexpr auto invalid = errc::invalid_argument;
    refused(out.try_add("key", ""), invalid, "add: key", "\"key\" was there before");
    refused(out.try_add("\xFF", ""), invalid, "add: key", "no UTF-8 from byte 0");
    refused(out.try_add("k", "a\xC0\x80"), invalid, "add: value", "no UTF-8 from byte 1");
    refused(out.try_add_tensor("t", dtype::u8, {1}), invalid, "add_tensor: name", "there before");
    refused(out.try_add_tensor("\x80", dtype::u8, {1}), invalid, "add_tensor: name", "UTF-8");
    refused(out.try_add_tensor("__metadata__", dtype::u8, {1}), invalid, "add_tensor: name",
            "no tensor");
    refused(out.try_add_tensor("x", static_cast<dtype>(99), {1}), invalid, "add_tensor: dtype",
            "99 is no dtype");
    refused(out.try_add_tensor("x", dtype::f4, {3}), errc::shape_mismatch, "add_tensor: shape",
            "3 elements of F4, does not end on a byte");
    refused(out.try_add_tensor("x", dtype::u8, {SIZE_MAX, SIZE_MAX}), errc::size_overflow,
            "add_tensor: shape", "more bytes than fit");
    require_done(out.try_add_tensor("zero", dtype::u8, {SIZE_MAX, SIZE_MAX, 0}));
    require_done(plain.try_add_tensor("zero", dtype::u8, {SIZE_MAX, SIZE_MAX, 0}));
    const std::string long_text(100'000'001, 'x');
    refused(out.try_add("long", long_text), errc::size_overflow, "add: key", "exceeds 100000000");

    const auto data = counting(5);
    refused(out.try_write(data), errc::shape_mismatch, "write: data", "lack 4 of their 4");
    refused(out.try_write({static_cast<const std::byte*>(nullptr), 1}), errc::null_data,
            "write: data", "null");
    require_done(out.try_write(std::span(data).first(3)));
    refused(out.try_add("late", ""), invalid, "add: key", "data has been written");
    refused(out.try_add_tensor("late", dtype::u8, {1}), invalid, "add_tensor: name",
            "data has been written");
    refused(out.try_finish(), errc::shape_mismatch, "finish", "lack 1 of their 4");
    require_done(out.try_write(std::span(data).subspan(3, 1)));
    require_done(out.try_finish());
    require_done(plain.try_write(std::span(data).first(4)));
    require_done(plain.try_finish());
    CHECK(text_of(at / "a") == text_of(at / "b"));
    refused(out.try_add("k", ""), invalid, "add: key", "closed");
    refused(out.try_write(data), invalid, "write: data", "closed");
    refused(out.try_finish(), invalid, "finish", "closed");

    CHECK(writer::try_create(at / "no" / "folder").failure().code() == errc::not_found);
    CHECK(writer::try_create(at / "").failure().code() == errc::invalid_argument);
    fs::create_directory(at / "d");
    CHECK(writer::try_create(at / "d").failure().code() == errc::io_failed);
}
