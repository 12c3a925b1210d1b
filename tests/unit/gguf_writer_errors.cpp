// What gguf::writer cannot write, it refuses, and leaves nothing behind.
#include "gguf_writing.hpp"
#include "sizes.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if defined(__unix__)
#include <csignal>
#include <sys/resource.h>
#endif

using namespace gguf_test;
using namespace std::string_view_literals;

TEST_CASE("gguf writer: what is refused changes nothing", "[gguf]") {
    const temporary_folder folder;
    writer out = make(folder / "a");
    writer plain = make(folder / "b");
    for (writer* each : {&out, &plain}) {
        require_done(each->try_add("key", 1));
        require_done(each->try_add_tensor("t", type::q8_0, {64, 2}));
    }
    const auto refused = [&](const quant::result<void>& answer, errc code, std::string_view where,
                             std::string_view part) {
        INFO(part);
        REQUIRE_FALSE(answer.has_value());
        CHECK(answer.failure().code() == code);
        CHECK(answer.failure().where() == where);
        CHECK(std::string_view(answer.failure().message()).find(part) != std::string_view::npos);
    };
    const auto key = [&](std::string_view name, std::string_view part) {
        refused(out.try_add(name, 1), errc::invalid_argument, "gguf::writer::add: key", part);
        refused(out.try_add_array(name, std::span<const float>()), errc::invalid_argument,
                "gguf::writer::add: key", part);
    };
    key("", "empty");
    key("key", "\"key\" was there before");
    key(std::string(65536, 'k'), "65536 bytes; at most 65535");
    key("\xC0\x80", "UTF-8 from byte 0");
    key("ab\xFF", "UTF-8 from byte 2");
    const std::string_view texts[] = {"fine", "\xED\xA0\x80"};
    refused(out.try_add("k", texts[1]), errc::invalid_argument, "gguf::writer::add: value",
            "UTF-8");
    refused(out.try_add_array("k", texts), errc::invalid_argument, "gguf::writer::add: value",
            "UTF-8");
    refused(out.try_add("k", std::string_view(static_cast<const char*>(nullptr), 3)),
            errc::null_data, "gguf::writer::add: value", "null");

    const auto alignment = [&](const quant::result<void>& answer, std::string_view part) {
        refused(answer, errc::invalid_argument, "gguf::writer::add: general.alignment", part);
    };
    for (const int value : {-64, 0, 1, 4, 33, 48}) {
        alignment(out.try_add("general.alignment", value), "no power of two");
    }
    alignment(out.try_add("general.alignment", std::uint64_t{1} << 31), "no power of two");
    alignment(out.try_add("general.alignment", UINT64_MAX), "no power of two");
    alignment(out.try_add("general.alignment", 64), "have been declared");
    alignment(out.try_add("general.alignment", "64"), "type string");
    alignment(out.try_add("general.alignment", 64.0f), "type f32");
    alignment(out.try_add("general.alignment", true), "type boolean");
    alignment(out.try_add_array("general.alignment", std::span<const int>()), "array");

    const auto name = [&](std::string_view text, std::string_view part) {
        refused(out.try_add_tensor(text, type::f32, {1}), errc::invalid_argument,
                "gguf::writer::add_tensor: name", part);
    };
    name("", "empty");
    name("t", "\"t\" was there before");
    name(std::string(64, 'n'), "64 bytes; at most 63");
    name("\xFF", "UTF-8");
    name("a\0b"sv, "zero byte");
    const auto shape = [&](type which, const std::vector<std::size_t>& dims, errc code,
                           std::string_view part) {
        refused(out.try_add_tensor("x", which, dims), code, "gguf::writer::add_tensor: shape",
                part);
    };
    shape(type::f32, {}, errc::shape_mismatch, "0 dimensions");
    shape(type::f32, {1, 1, 1, 1, 1}, errc::shape_mismatch, "5 dimensions");
    shape(type::f32, {0}, errc::shape_mismatch, "dimension 0 of \"x\" is 0");
    shape(type::f32, {4, 0}, errc::shape_mismatch, "dimension 1 of \"x\" is 0");
    shape(type::q8_0, {33, 32}, errc::shape_mismatch,
          "rows of 33 weights, which are no whole blocks of 32 (q8_0)");
    shape(type::q6_k, {128, 2}, errc::shape_mismatch, "no whole blocks of 256 (q6_k)");
    shape(type::f32, {PTRDIFF_MAX, 2}, errc::size_overflow, "more bytes than fit");
    shape(type::f32, {SIZE_MAX}, errc::size_overflow, "more bytes than fit");
    shape(type::f64, {PTRDIFF_MAX / 4}, errc::size_overflow, "more bytes than fit");
    shape(type::i8, {PTRDIFF_MAX}, errc::size_overflow, "the file has more bytes than fit");
    for (const std::uint32_t id : {4u, 36u, 43u, 99u, UINT32_MAX}) {
        refused(out.try_add_tensor("x", static_cast<type>(id), {256}), errc::unsupported,
                "gguf::writer::add_tensor: type", "type id " + std::to_string(id));
    }

    const auto data = random_bytes(137, 5);
    const std::span<const std::byte> all(data);
    constexpr auto where = "gguf::writer::write: data"sv;
    refused(out.try_write(all), errc::shape_mismatch, where, "\"t\" lacks 136 of its 136");
    require_done(out.try_write({}));
    require_done(out.try_add("late", 1)); // nothing has been written yet
    require_done(plain.try_add("late", 1));
    require_done(out.try_write(all.first(100)));
    refused(out.try_write(all.first(37)), errc::shape_mismatch, where, "\"t\" lacks 36 of its 136");
    refused(out.try_write({static_cast<const std::byte*>(nullptr), 1}), errc::null_data, where,
            "null");
    refused(out.try_finish(), errc::shape_mismatch, "gguf::writer::finish",
            "\"t\" lacks 36 of its 136");
    refused(out.try_add("too late", 1), errc::invalid_argument, "gguf::writer::add: key",
            "data has been written");
    refused(out.try_add_tensor("too late", type::f32, {1}), errc::invalid_argument,
            "gguf::writer::add_tensor: name", "data has been written");
    require_done(out.try_write(all.subspan(100, 36)));
    refused(out.try_write(all.first(1)), errc::shape_mismatch, where, "all 1 tensors are complete");
    require_done(out.try_finish());

    require_done(plain.try_write(all.first(136)));
    require_done(plain.try_finish());
    CHECK(bytes_of(folder / "a") == bytes_of(folder / "b"));

    refused(out.try_add("k", 1), errc::invalid_argument, "gguf::writer::add: key", "closed");
    refused(out.try_add_tensor("x", type::f32, {1}), errc::invalid_argument,
            "gguf::writer::add_tensor: name", "closed");
    refused(out.try_write(all), errc::invalid_argument, where, "closed");
    refused(out.try_finish(), errc::invalid_argument, "gguf::writer::finish", "closed");
}

TEST_CASE("gguf writer: sizes beyond memory", "[gguf]") {
    if (!has_endless_sizes) SKIP("needs 64-bit sizes");
    const temporary_folder folder;
    writer out = make(folder / "a");
    require_done(out.try_add_tensor("terabytes", type::f32, {two_to(42)}));
    require_done(out.try_add_tensor("more", type::f32, {two_to(58)}));
    CHECK(code_of(out.try_add_tensor("too many", type::i8, {PTRDIFF_MAX - two_to(60)})) ==
          errc::size_overflow);
    const double value = 1;
    // Never read: the memory for the copies is asked for first.
    const std::span<const double> claimed(&value, two_to(58));
    CHECK(code_of(out.try_add_array("k", claimed)) == errc::out_of_memory);
    const std::span<const double> larger(&value, two_to(60));
    CHECK(code_of(out.try_add_array("k", larger)) == errc::size_overflow);
    require_done(out.try_add_array("k", std::span(&value, 1)));
}

TEST_CASE("gguf writer: a file has its name when complete, and not before", "[gguf]") {
    const temporary_folder folder;
    const fs::path path = folder / "model.gguf";
    std::ofstream(path) << "what was there";
    const auto old = bytes_of(path);
    {
        writer dropped = make(path);
        require_done(dropped.try_add_tensor("t", type::f32, {4}));
        require_done(dropped.try_write(random_bytes(15, 1)));
        CHECK_FALSE(dropped.try_finish().has_value());
        CHECK(bytes_of(path) == old);
        CHECK(folder.size() == 2);
    }
    CHECK(folder.size() == 1);
    CHECK(bytes_of(path) == old);

    // Two at once do not disturb each other; the later finish() wins.
    writer first = make(path);
    writer second = make(path);
    require_done(first.try_add("n", 1));
    require_done(second.try_add("n", 2));
    require_done(second.try_finish());
    CHECK(open(path).get<int>("n") == 2);
    writer moved = std::move(first);
    CHECK(code_of(first.try_finish()) == errc::invalid_argument);
    require_done(moved.try_finish());
    CHECK(open(path).get<int>("n") == 1);
    CHECK(folder.size() == 1);

    moved = make(folder / "other");
    CHECK(folder.size() == 2);
    moved = make(folder / "another");
    CHECK(folder.size() == 2);
    moved = std::move(second);
    CHECK(folder.size() == 1);
}

TEST_CASE("gguf writer: paths that cannot be written to", "[gguf]") {
#if defined(__EMSCRIPTEN__)
    SKIP("emscripten's file system has other errors");
#endif
    const temporary_folder folder;
    std::ofstream(folder / "file") << "x";
    fs::create_directory(folder / "directory");
    const auto code = [](const fs::path& path) { return code_of(writer::try_create(path)); };
    CHECK(code(folder / "absent" / "a") == errc::not_found);
    CHECK(code(folder / "file" / "a") == errc::not_found);
    CHECK(code(folder / "directory") == errc::io_failed);
    CHECK(code(folder / std::string(5000, 'n')) == errc::io_failed);
    CHECK(code({}) == errc::invalid_argument);
    CHECK(code(folder / "absent/") == errc::invalid_argument);
#if defined(__unix__)
    CHECK(code("/dev/null") == errc::io_failed);
#endif
    CHECK(folder.size() == 2);

    // A directory takes the name meanwhile.
    writer out = make(folder / "late");
    fs::create_directories(folder / "late" / "full");
    CHECK(code_of(out.try_finish()) == errc::io_failed);
    CHECK(code_of(out.try_finish()) == errc::invalid_argument);
    CHECK(folder.size() == 3);
}

#if defined(__unix__)
namespace {

/// No file may grow beyond so many bytes, as if the disk were full then.
class file_size_limit {
public:
    explicit file_size_limit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit lower{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &lower);
    }
    ~file_size_limit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }
    file_size_limit(const file_size_limit&) = delete;
    file_size_limit& operator=(const file_size_limit&) = delete;

private:
    void (*handler_)(int);
    rlimit before_{};
};

} // namespace

TEST_CASE("gguf writer: a disk that is full, wherever it ends", "[gguf]") {
#if defined(__EMSCRIPTEN__)
    SKIP("emscripten's file system has other errors");
#endif
    const temporary_folder folder;
    const auto write_all = [&]() -> quant::result<void> {
        writer out = make(folder / "a");
        require_done(out.try_add("key", std::string(9000, 'x')));
        require_done(out.try_add("general.alignment", 4096));
        require_done(out.try_add_tensor("t", type::i8, {20001}));
        require_done(out.try_add_tensor("u", type::i8, {1}));
        for (const std::size_t size : {std::size_t{20000}, std::size_t{1}, std::size_t{1}}) {
            if (auto done = out.try_write(random_bytes(size, 1)); !done) {
                CHECK(code_of(out.try_write(random_bytes(size, 1))) == errc::invalid_argument);
                CHECK(code_of(out.try_finish()) == errc::invalid_argument);
                CHECK(folder.size() == 0);
                return done;
            }
        }
        return out.try_finish();
    };
    constexpr rlim_t whole = 12288 + 20480 + 4096;
    for (rlim_t limit = 0; limit < whole; limit += limit < 12288 ? 4000 : 1357) {
        quant::result<void> answer;
        {
            const file_size_limit full(limit);
            answer = write_all();
        }
        CAPTURE(limit);
        CHECK(code_of(answer) == errc::io_failed);
        CHECK(folder.size() == 0);
    }
    {
        const file_size_limit enough(whole);
        require_done(write_all());
    }
    CHECK(fs::file_size(folder / "a") == whole);
}
#endif
