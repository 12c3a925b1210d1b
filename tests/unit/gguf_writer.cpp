// What gguf::writer writes, gguf::file reads back; what it cannot write, it refuses and leaves
// nothing behind.
#include "gguf_image.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__unix__)
#include <csignal>
#include <sys/resource.h>
#endif

using namespace gguf_test;
using quant::gguf::file;
using quant::gguf::writer;
using namespace std::string_view_literals;
namespace fs = std::filesystem;

static_assert(quant::gguf::metadata_values<std::vector<float>> &&
              quant::gguf::metadata_values<std::string_view[2]> &&
              !quant::gguf::metadata_values<std::vector<bool>> &&
              !quant::gguf::metadata_values<std::string>);
static_assert(!std::is_copy_constructible_v<writer> && !std::is_default_constructible_v<writer>);
static_assert(std::is_nothrow_move_constructible_v<writer> &&
              std::is_nothrow_move_assignable_v<writer>);

namespace {

/// An empty folder that goes away with all that is in it.
class temporary_folder {
public:
    temporary_folder()
        : path_(fs::temp_directory_path() /
                ("quant_test_" + std::to_string(std::random_device{}()) + "_folder")) {
        fs::create_directory(path_);
    }
    ~temporary_folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;

    [[nodiscard]] fs::path operator/(std::string_view name) const { return path_ / name; }
    /// How many files there are.
    [[nodiscard]] std::ptrdiff_t size() const {
        return std::distance(fs::directory_iterator(path_), fs::directory_iterator());
    }

private:
    fs::path path_;
};

writer make(const fs::path& path) {
    auto made = writer::try_create(path);
    REQUIRE(made.has_value());
    return *std::move(made);
}

file open(const fs::path& path) {
    auto made = file::try_open(path);
    if (!made) FAIL(made.failure().what());
    return *std::move(made);
}

std::vector<std::byte> bytes_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::vector<char> text{std::istreambuf_iterator<char>(in), {}};
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> random_bytes(std::size_t size, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::byte> made(size);
    for (std::byte& each : made) each = static_cast<std::byte>(random() & 255u);
    return made;
}

template <class R>
void require_done(const R& done) {
    if (!done) FAIL(done.failure().what());
}

template <class R>
std::optional<errc> code_of(const R& answer) {
    return answer ? std::nullopt : std::optional(answer.failure().code());
}

} // namespace

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

TEST_CASE("gguf writer: sizes beyond memory", "[gguf]") {
    if constexpr (sizeof(std::size_t) < 8) SKIP("needs 64-bit sizes");
    const temporary_folder folder;
    writer out = make(folder / "a");
    require_done(out.try_add_tensor("terabytes", type::f32, {std::size_t{1} << 42}));
    require_done(out.try_add_tensor("more", type::f32, {std::size_t{1} << 58}));
    CHECK(
        code_of(out.try_add_tensor("too many", type::i8, {PTRDIFF_MAX - (std::size_t{1} << 60)})) ==
        errc::size_overflow);
    const double value = 1;
    // Never read: the memory for the copies is asked for first.
    const std::span<const double> claimed(&value, std::size_t{1} << 58);
    CHECK(code_of(out.try_add_array("k", claimed)) == errc::out_of_memory);
    const std::span<const double> larger(&value, std::size_t{1} << 60);
    CHECK(code_of(out.try_add_array("k", larger)) == errc::size_overflow);
    require_done(out.try_add_array("k", std::span(&value, 1)));
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
