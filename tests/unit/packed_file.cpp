// Packed files: what is written comes back in place, whatever the pieces; checksums notice every
// byte; the writer refuses what the reader would.
#include "packed_file.hpp"
#include "temporary_file.hpp"

#include <quant/io/xxh64.hpp>

#include <catch2/catch_test_macros.hpp>

#include <bit>
#include <cstdint>
#include <numeric>
#include <string>

using namespace packed_file_test;
using gguf_test::code_of;
using gguf_test::temporary_folder;
using quant::errc;
using quant::packed_file;
using quant::packed_file_writer;
using quant::detail::xxh64;
namespace gguf = quant::gguf;

namespace {

std::span<const std::byte> bytes_in(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

/// The bytes that xxHash's own tests hash.
std::vector<std::byte> published_bytes(std::size_t size) {
    std::vector<std::byte> made(size);
    std::uint64_t state = 2654435761u;
    for (std::byte& each : made) {
        each = static_cast<std::byte>(state >> 56);
        state *= 11400714785074694797u;
    }
    return made;
}

template <class R>
void check_error(const R& answer, errc code, std::string_view where, std::string_view message) {
    REQUIRE_FALSE(answer.has_value());
    INFO(answer.failure().what());
    CHECK(answer.failure().code() == code);
    CHECK(answer.failure().where() == where);
    CHECK(std::string_view(answer.failure().message()).find(message) != std::string_view::npos);
}

} // namespace

TEST_CASE("xxh64: published values", "[packed_file]") {
    struct published {
        std::size_t size;
        std::uint64_t without_seed, with_seed;
    };
    constexpr std::uint64_t seed = 2654435761u;
    for (const published each : {published{0, 0xEF46DB3751D8E999u, 0xAC75FDA2929B17EFu},
                                 published{1, 0xE934A84ADB052768u, 0x5014607643A9B4C3u},
                                 published{4, 0x9136A0DCA57457EEu, 0xCAAB286BD8E9FDB5u},
                                 published{14, 0x8282DCC4994E35C8u, 0xC3BD6BF63DEB6DF0u},
                                 published{222, 0xB641AE8CB691C174u, 0x20CB8AB7AE10C14Au}}) {
        CAPTURE(each.size);
        CHECK(xxh64::of(published_bytes(each.size)) == each.without_seed);
        CHECK(xxh64::of(published_bytes(each.size), seed) == each.with_seed);
    }
    CHECK(xxh64::of(bytes_in("abc")) == 0x44BC2CF5AD770999u);
    CHECK(xxh64::of(bytes_in("Nobody inspects the spammish repetition")) == 0xFBCEA83C8A378BF1u);
    CHECK(xxh64::of(bytes_in("xxhash"), 20141025) == 0xB559B98D844E0635u);
}

TEST_CASE("xxh64: pieces of any size hash as the whole", "[packed_file]") {
    const auto bytes = published_bytes(301);
    const std::uint64_t whole = xxh64::of(bytes);
    for (std::size_t piece = 1; piece < 100; ++piece) {
        xxh64 hash;
        for (std::size_t at = 0; at < bytes.size(); at += piece) {
            hash.update(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
            hash.update({});
        }
        CAPTURE(piece);
        CHECK(hash.digest() == whole);
    }
}

TEST_CASE("packed file: what was written lies there", "[packed_file]") {
    const aligned_bytes bytes(small_file());
    const auto file = packed_file::parse(bytes.span());
    CHECK(quant::is_packed_file(file.container()));
    CHECK(file.container().alignment() == 64);
    CHECK(file.container().get<std::string_view>("general.architecture") == "llama");
    CHECK(file.container().get<std::uint32_t>("quant.packed.layout_version") == 1);

    REQUIRE(file.matrices().size() == 2);
    const quant::packed_tensor& four = file.matrices()[0];
    CHECK(four.name() == "four");
    CHECK(four.header().scheme == quant::describe<w4>());
    CHECK(four.header().rows == 33);
    CHECK(four.header().cols == 70);
    CHECK(four.bytes().size() == 2752); // the example of docs/layout.md
    CHECK(file.find("four") == &four);
    CHECK(file.find("eight") == &file.matrices()[1]);
    CHECK(file.find("norm") == nullptr);
    CHECK(file.find("quant.packed.checksums") == nullptr);
    CHECK(file.find("none") == nullptr);

    // The same bytes as in memory, and no copy of them.
    const auto expected = sample<w4>(33, 70, 1);
    CHECK(std::equal(four.bytes().begin(), four.bytes().end(), expected.bytes().begin(),
                     expected.bytes().end()));
    const auto view = file.view<w4>("four");
    CHECK(view.panels() == four.bytes().data() + 64);
    CHECK(view.panels() > bytes.span().data());
    CHECK(view.panels() < bytes.span().data() + bytes.span().size());
    CHECK(file.view<w8>("eight").rows() == 16);
    const gguf::tensor* const norm = file.container().find("norm");
    REQUIRE(norm != nullptr);
    CHECK(norm->type() == gguf::type::f32);
    CHECK(norm->elements() == 3);
}

TEST_CASE("packed file: mapped, read and moved", "[packed_file]") {
    const temporary_folder folder;
    const auto bytes = small_file();
    const temporary_file on_disk("packed", bytes);
    for (const auto how : {gguf::file_access::map, gguf::file_access::read}) {
        auto opened = packed_file::open(on_disk.path(), how);
        const std::byte* const panels = opened.view<w4>("four").panels();
        const packed_file moved = std::move(opened);
        CHECK(moved.view<w4>("four").panels() == panels);
        CHECK(moved.find("eight") != nullptr);
        moved.verify();
    }
    CHECK(code_of(packed_file::try_open(folder / "none")) == errc::not_found);
}

TEST_CASE("packed file: views of other schemes and names are refused", "[packed_file]") {
    const aligned_bytes bytes(small_file());
    const auto file = packed_file::parse(bytes.span());
    check_error(file.try_view<w8>("four"), errc::bad_layout, "packed_file: four",
                "hold 4-bit codes of another scheme");
    check_error(file.try_view<w4>("none"), errc::not_found, "packed_file: none", "no such tensor");
    check_error(file.try_view<w4>("norm"), errc::not_found, "packed_file: norm",
                "is no packed matrix, but a tensor of numbers");
    using listed = quant::any_packed_view<w2, w8>;
    CHECK(file.view_any<listed>("eight").descriptor() == quant::describe<w8>());
    check_error(file.try_view_any<listed>("four"), errc::unsupported, "packed_file: four",
                "hold int4 symmetric group_wise<32> fp16, which is not one of the schemes listed");
    CHECK_THROWS_AS(file.view<w4>("none"), quant::error);
    CHECK_THROWS_AS(file.view_any<listed>("four"), quant::error);
    CHECK_THROWS_AS(packed_file::parse({}), quant::error);
}

TEST_CASE("packed file: checksums notice every byte of every tensor", "[packed_file]") {
    const auto good = small_file();
    const aligned_bytes bytes(good);
    const auto file = packed_file::parse(bytes.span());
    CHECK(file.try_verify().has_value());
    CHECK(file.try_verify("norm").has_value());
    check_error(file.try_verify("none"), errc::not_found, "packed_file: none", "no such tensor");
    check_error(file.try_verify("quant.packed.checksums"), errc::not_found,
                "packed_file: quant.packed.checksums", "no such tensor");
    for (const char* const name : {"four", "norm", "eight"}) {
        const gguf::tensor& tensor = *file.container().find(name);
        const auto begin = static_cast<std::size_t>(tensor.data().data() - bytes.span().data());
        for (std::size_t at = 0; at < tensor.data().size(); ++at) {
            bytes.span()[begin + at] ^= std::byte{0x10};
            const auto all = file.try_verify();
            REQUIRE_FALSE(all.has_value());
            REQUIRE(all.failure().code() == errc::checksum_mismatch);
            REQUIRE(all.failure().where() == std::string("packed_file: ") + name);
            REQUIRE(code_of(file.try_verify(name)) == errc::checksum_mismatch);
            bytes.span()[begin + at] ^= std::byte{0x10};
        }
    }
    CHECK_NOTHROW(file.verify());
    // Of several, the first is named, in whatever order they are compared.
    const auto spoil = [&](const char* name) {
        const auto data = file.container().find(name)->data();
        bytes.span()[static_cast<std::size_t>(data.data() - bytes.span().data()) + 1] ^=
            std::byte{1};
    };
    spoil("eight");
    spoil("norm");
    std::size_t tasks = 0;
    const auto backwards = [&](std::size_t count, quant::task work) {
        tasks += count;
        while (count > 0) work(--count);
    };
    check_error(file.try_verify(backwards), errc::checksum_mismatch, "packed_file: norm",
                "its 12 bytes have the XXH64 ");
    CHECK(tasks == 3);
    CHECK(file.try_verify("four").has_value());
    CHECK_THROWS_AS(file.verify(), quant::error);
    CHECK_THROWS_AS(file.verify("eight"), quant::error);
    const auto lazy = [](std::size_t, quant::task) {};
    CHECK(code_of(file.try_verify(lazy)) == errc::executor_failed);
}

TEST_CASE("packed file writer: metadata of a model come along", "[packed_file]") {
    const temporary_folder folder;
    gguf_test::image model;
    model.header(0, 4)
        .entry("general.architecture", "llama")
        .entry("general.alignment", gguf::value_type::u32, std::uint32_t{128})
        .entry("quant.packed.layout_version", gguf::value_type::u32, std::uint32_t{7})
        .array("scores", gguf::value_type::f32, 2)
        .put(0.5f)
        .put(-1.0f);
    auto out = packed_file_writer::create(folder / "f");
    out.copy_metadata(gguf::file::parse(model.bytes()));
    out.add("flag", true);
    out.add_array("numbers", std::vector<int>{1, 2, 3});
    out.add_tensor("t", gguf::type::q8_0, {32, 2});
    for (int i = 0; i < 68; ++i) out.write(std::vector<std::byte>(1, std::byte{7}));
    out.finish();
    const auto file = packed_file::open(folder / "f");
    const gguf::file& in = file.container();
    CHECK(in.alignment() == 64);
    CHECK(in.get<bool>("flag") == true);
    CHECK(in.array("numbers")->at<int>(2) == 3);
    CHECK(in.array("scores")->at<float>(1) == -1.0f);
    CHECK(file.matrices().empty());
    file.verify();
}

TEST_CASE("packed file writer: pieces of any size", "[packed_file]") {
    const temporary_folder folder;
    const auto four = sample<w4>(33, 70, 1);
    const auto write = [&](std::size_t piece) {
        auto out = packed_file_writer::create(folder / "f");
        out.add_matrix<w4>("a", 33, 70);
        out.add_matrix<w4>("b", 33, 70);
        for (int twice = 0; twice < 2; ++twice) {
            for (std::size_t at = 0; at < four.bytes().size(); at += piece) {
                out.write(four.bytes().subspan(at, std::min(piece, four.bytes().size() - at)));
            }
        }
        out.finish();
        return gguf_test::bytes_of(folder / "f");
    };
    const auto whole = write(four.bytes().size());
    for (const std::size_t piece : {64u, 65u, 100u, 4096u}) CHECK(write(piece) == whole);
}

TEST_CASE("packed file writer: refuses what the reader would, and goes on", "[packed_file]") {
    const temporary_folder folder;
    const auto four = sample<w4>(33, 70, 1);
    const auto eight = sample<w8>(33, 70, 1);
    auto out = packed_file_writer::create(folder / "f");
    const auto key = "packed_file_writer::add: key";
    check_error(out.try_add("general.alignment", 32u), errc::invalid_argument, key,
                "\"general.alignment\" is written by the writer itself");
    check_error(out.try_add("quant.packed.layout_version", 1u), errc::invalid_argument, key, "");
    check_error(out.try_add_array("quant.packed.x", std::vector<int>{1}), errc::invalid_argument,
                key, "");
    CHECK(code_of(out.try_finish()) == errc::empty);
    const auto shape = "packed_file_writer::add_matrix: shape";
    check_error(out.try_add_matrix<w4>("m", 0, 5), errc::empty, shape, "0 x 5 has no elements");
    check_error(out.try_add_matrix<w4>("m", SIZE_MAX / 2, 70), errc::size_overflow, shape, "");
    CHECK(code_of(out.try_add_matrix("m", four.bytes().first(63))) == errc::truncated);
    CHECK(code_of(out.try_add_matrix("m", four.bytes().first(100))) == errc::truncated);
    CHECK(code_of(out.try_add_matrix("m", std::vector<std::byte>(64))) == errc::bad_layout);
    check_error(out.try_add_matrix("quant.packed.checksums", four.bytes()), errc::invalid_argument,
                "packed_file_writer::add: name", "is a name that the writer keeps for itself");
    check_error(out.try_add_tensor("t", gguf::type::i8, {64}), errc::invalid_argument,
                "packed_file_writer::add_tensor: shape", "one dimension of i8");
    CHECK(code_of(out.try_add_tensor("t", gguf::type::q8_0, {31})) == errc::shape_mismatch);

    gguf_test::require_done(out.try_add_matrix<w4>("m", 33, 70));
    gguf_test::require_done(out.try_add_tensor("t", gguf::type::i8, {2, 1}));
    CHECK(code_of(out.try_add_matrix("m", four.bytes())) == errc::invalid_argument);
    const auto data = "packed_file_writer::write: data";
    check_error(out.try_finish(), errc::shape_mismatch, "packed_file_writer::finish",
                "\"m\" lacks ");
    check_error(out.try_write(four.bytes().first(63)), errc::truncated, data, "its header, 64");
    check_error(out.try_write(eight.bytes().first(64)), errc::bad_layout, data,
                "\"m\" begins with the header of another scheme or shape");
    check_error(out.try_write({static_cast<const std::byte*>(nullptr), 64}), errc::null_data, data,
                "");
    const std::vector<std::byte> many(four.bytes().size() + 1);
    check_error(out.try_write(many), errc::shape_mismatch, data, "\"m\" lacks ");
    // Nothing of this closed the declarations.
    gguf_test::require_done(out.try_add("late", 1));
    gguf_test::require_done(out.try_write(four.bytes()));
    CHECK(code_of(out.try_add("later", 1)) == errc::invalid_argument);
    gguf_test::require_done(out.try_write(std::vector<std::byte>(2)));
    check_error(out.try_write(std::vector<std::byte>(8)), errc::shape_mismatch, data,
                "all 2 tensors are complete");
    gguf_test::require_done(out.try_finish());
    CHECK(code_of(out.try_write(std::vector<std::byte>(1))) == errc::invalid_argument);
    CHECK(code_of(out.try_finish()) == errc::invalid_argument);
    packed_file::open(folder / "f").verify();
    CHECK(folder.size() == 1);
}

TEST_CASE("packed file writer: nothing is left of an unfinished file", "[packed_file]") {
    const temporary_folder folder;
    {
        auto out = packed_file_writer::create(folder / "f");
        out.add_matrix<w4>("m", 33, 70);
        out.write(sample<w4>(33, 70, 1).bytes());
    }
    CHECK(folder.size() == 0);
    CHECK(code_of(packed_file_writer::try_create(folder / "none" / "f")) == errc::not_found);
    CHECK_THROWS_AS(packed_file_writer::create(folder / "none" / "f"), quant::error);
}
