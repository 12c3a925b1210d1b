// Hostile packed files: each is refused with an error that names what is wrong, and none does harm.
#include "packed_file.hpp"
#include "sizes.hpp"

#include <quant/core/little_endian.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>

using namespace packed_file_test;
using gguf_test::image;
using quant::errc;
using quant::packed_file;
using quant::gguf::type;
using quant::gguf::value_type;

namespace {

/// A packed file as it should be but for what a test changes.
struct plan {
    std::uint64_t version = 1;
    bool has_version = true;
    bool has_kind = true;
    std::string_view kind = "xxh64";
    std::uint32_t alignment = 64;
    std::string_view last = "quant.packed.checksums";
    type last_type = type::i64;
    std::uint64_t checksums = 2;
    bool two_dimensions = false;
};

image build(const plan& p, std::span<const std::byte> matrix) {
    const std::uint64_t entries = 1u + (p.has_version ? 1u : 0u) + (p.has_kind ? 1u : 0u);
    image made;
    made.header(3, entries).entry("general.alignment", value_type::u32, p.alignment);
    if (p.has_version) made.entry("quant.packed.layout_version", value_type::u64, p.version);
    if (p.has_kind) made.entry("quant.packed.checksum", p.kind);
    const auto rounded = [&](std::uint64_t size) {
        return (size + p.alignment - 1) / p.alignment * p.alignment;
    };
    const std::uint64_t norm_at = rounded(matrix.size());
    const std::uint64_t last_at = norm_at + rounded(12);
    made.tensor("m", {matrix.size()}, type::i8, 0).tensor("norm", {3}, type::f32, norm_at);
    if (p.two_dimensions) {
        made.tensor(p.last, {p.checksums, 1}, p.last_type, last_at);
    } else {
        made.tensor(p.last, {p.checksums}, p.last_type, last_at);
    }
    made.align(p.alignment);
    for (const std::byte each : matrix) made.put(each);
    made.align(p.alignment)
        .fill(12)
        .align(p.alignment)
        .fill(static_cast<std::size_t>(p.checksums) * 8);
    return made;
}

void check_refused(const image& file, errc code, std::string_view where, std::string_view message) {
    const aligned_bytes bytes(file.bytes());
    const auto opened = packed_file::try_parse(bytes.span());
    REQUIRE_FALSE(opened.has_value());
    INFO(opened.failure().what());
    CHECK(opened.failure().code() == code);
    CHECK(opened.failure().where() == where);
    CHECK(std::string_view(opened.failure().message()).find(message) != std::string_view::npos);
}

/// The sample matrix with other bytes from `at` on.
template <class T>
std::vector<std::byte> with(std::size_t at, T value) {
    const auto packed = sample<w4>(33, 70, 1);
    std::vector<std::byte> made(packed.bytes().begin(), packed.bytes().end());
    quant::detail::store_le(made.data() + at, value);
    return made;
}

} // namespace

TEST_CASE("packed file hostile: keys and tables against the rules", "[packed_file]") {
    const auto packed = sample<w4>(33, 70, 1);
    const auto matrix = packed.bytes();
    {
        const aligned_bytes good(build({}, matrix).bytes());
        REQUIRE(packed_file::try_parse(good.span()).has_value());
    }
    const auto version = "packed_file: quant.packed.layout_version";
    check_refused(build({.has_version = false}, matrix), errc::bad_format, version,
                  "not a packed one");
    check_refused(build({.version = 2}, matrix), errc::unsupported, version, "version 2");
    check_refused(build({.version = UINT64_MAX}, matrix), errc::unsupported, version,
                  "version 184");
    const auto kind = "packed_file: quant.packed.checksum";
    check_refused(build({.has_kind = false}, matrix), errc::bad_format, kind, "no such key");
    check_refused(build({.kind = "crc"}, matrix), errc::unsupported, kind, "\"crc\"");
    for (const std::uint32_t alignment : {8u, 32u}) {
        check_refused(build({.alignment = alignment}, matrix), errc::bad_format,
                      "packed_file: general.alignment", "need a multiple of 64");
    }
    const aligned_bytes wider(build({.alignment = 4096}, matrix).bytes());
    CHECK(packed_file::try_parse(wider.span()).has_value());

    const auto table = "packed_file: quant.packed.checksums";
    check_refused(build({.last = "other"}, matrix), errc::bad_format, table, "not the last tensor");
    check_refused(build({.last_type = type::f64}, matrix), errc::bad_format, table,
                  "1 dimensions of f64");
    check_refused(build({.two_dimensions = true}, matrix), errc::bad_format, table,
                  "2 dimensions of i64");
    for (const std::uint64_t count : {1u, 3u, 100u}) {
        check_refused(build({.checksums = count}, matrix), errc::bad_format, table,
                      std::to_string(count) + " numbers for 2 tensors");
    }
    // A number instead of the string, a string instead of the number, no tensors at all.
    image types;
    types.header(0, 2)
        .entry("quant.packed.layout_version", "1")
        .entry("quant.packed.checksum", value_type::u8, std::uint8_t{1});
    check_refused(types, errc::bad_format, version, "no positive integer");
    image none;
    none.header(0, 3)
        .entry("general.alignment", value_type::u32, std::uint32_t{64})
        .entry("quant.packed.layout_version", value_type::u8, std::uint8_t{1})
        .entry("quant.packed.checksum", "xxh64");
    check_refused(none, errc::bad_format, table, "not the last tensor");
}

TEST_CASE("packed file hostile: matrices that are not what they say", "[packed_file]") {
    const auto refuse = [](std::span<const std::byte> matrix, errc code, std::string_view message) {
        check_refused(build({}, matrix), code, "packed_file: m", message);
    };
    refuse(with(0, 'Q'), errc::bad_layout, "does not begin with");
    refuse(with(8, std::uint32_t{2}), errc::unsupported, "layout version 2");
    refuse(with(12, std::uint32_t{128}), errc::bad_layout, "a header of 128 bytes");
    for (const std::size_t at : {32u, 40u, 48u}) { // rows, columns, bytes of a panel
        for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1} << 63, UINT64_MAX}) {
            refuse(with(at, value), errc::bad_layout, "in panels of");
        }
    }
    for (const std::uint64_t rows : {std::uint64_t{49}, std::uint64_t{1} << 32,
                                     std::uint64_t{INT64_MAX}, std::uint64_t{INT64_MAX} - 16}) {
        if (rows > PTRDIFF_MAX) {
            refuse(with(32, rows), errc::bad_layout, "in panels of");
        } else {
            refuse(with(32, rows), errc::truncated, "more than the");
        }
    }
    refuse(with(32, std::uint64_t{32}), errc::bad_layout, "asks for");
    refuse(with(48, std::uint64_t{PTRDIFF_MAX}), errc::truncated, "more than the");
    refuse(with(48, std::uint64_t{64}), errc::bad_layout, "asks for");
    const std::vector<std::byte> tiny(63);
    refuse(tiny, errc::truncated, "63 bytes");
    // Sizes that fit, of a shape or scheme that has others: the view says so.
    for (const auto& lie :
         {with(40, std::uint64_t{700}), with(40, std::uint64_t{two_to(size_bits - 24)})}) {
        const aligned_bytes bytes(build({}, lie).bytes());
        const auto file = packed_file::parse(bytes.span());
        CHECK(gguf_test::code_of(file.try_view<w4>("m")) == errc::bad_layout);
        CHECK(gguf_test::code_of(file.try_view_any<quant::any_packed_view<w8, w4>>("m")) ==
              errc::bad_layout);
    }
    const auto other_bits = with(17, std::uint8_t{5});
    const aligned_bytes bytes(build({}, other_bits).bytes());
    const auto file = packed_file::parse(bytes.span());
    CHECK(gguf_test::code_of(file.try_view<w4>("m")) == errc::bad_layout);
    CHECK(gguf_test::code_of(file.try_view_any<quant::any_packed_view<w8, w4>>("m")) ==
          errc::unsupported);
}

TEST_CASE("packed file hostile: bytes off their boundary", "[packed_file]") {
    const auto good = small_file();
    for (const std::size_t shift : {1u, 8u, 32u, 63u}) {
        std::vector<std::byte> moved(good.size() + shift);
        const aligned_bytes memory(moved);
        std::memcpy(memory.span().data() + shift, good.data(), good.size());
        const auto opened = packed_file::try_parse(memory.span().subspan(shift));
        REQUIRE_FALSE(opened.has_value());
        CHECK(opened.failure().code() == errc::misaligned);
        CHECK(opened.failure().where() == "packed_file: four");
    }
}

TEST_CASE("packed file hostile: truncated at every byte", "[packed_file]") {
    const auto whole = small_file();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const aligned_bytes part{std::span(whole).first(size)};
        const auto refused = packed_file::try_parse(part.span());
        CAPTURE(size);
        // What ends within the padding behind the last tensor lacks nothing.
        if (refused) {
            CHECK(size + 64 > whole.size());
            CHECK(refused->try_verify().has_value());
        } else {
            CHECK(refused.failure().code() == errc::truncated);
        }
    }
}

TEST_CASE("packed file hostile: every byte replaced, nothing but an answer comes back",
          "[packed_file]") {
    const auto whole = small_file();
    const aligned_bytes bytes(whole);
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (const unsigned value : {0u, 1u, 127u, 128u, 255u}) {
            bytes.span()[at] = static_cast<std::byte>(value);
            const auto file = packed_file::try_parse(bytes.span());
            if (!file) continue;
            for (const quant::packed_tensor& each : file->matrices()) {
                REQUIRE(file->find(each.name()) == &each);
                static_cast<void>(file->try_view<w4>(each.name()));
            }
            static_cast<void>(file->try_verify());
        }
        bytes.span()[at] = whole[at];
    }
}
