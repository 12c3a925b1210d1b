// What a GGUF file can make its reader spend: memory and time follow the file's size, and memory
// that is refused is an error.
#include "gguf_image.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>
#include <string>

using namespace gguf_test;
using quant::gguf::file;

namespace {

constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

/// What the library's allocations are allowed and have taken; a test's own use another operator.
struct ledger {
    std::size_t allowed = unlimited; // allocations until one fails
    std::size_t made = 0;
    std::size_t bytes = 0; // all that were ever asked for
};
ledger current;

} // namespace

// buffer<T> allocates by this form alone, which nothing else in this program uses.
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    if (current.made == current.allowed) return nullptr;
    ++current.made;
    current.bytes += size;
    const auto boundary = static_cast<std::size_t>(alignment);
    return std::aligned_alloc(boundary, (size + boundary - 1) / boundary * boundary);
}
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
    std::free(memory);
}

namespace {

struct cost {
    bool accepted;
    std::size_t bytes;
    double seconds;
};

cost cost_of_parsing(const image& bytes) {
    current = {};
    const auto start = std::chrono::steady_clock::now();
    const auto answer = file::try_parse(bytes.bytes());
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    return {answer.has_value(), current.bytes, taken.count()};
}

/// Far above what n·log n takes even under a sanitizer, far below what n² takes.
constexpr double patience = 10.0;

void check_cost(const image& bytes, bool accepted) {
    const cost spent = cost_of_parsing(bytes);
    CHECK(spent.accepted == accepted);
    CHECK(spent.bytes <= 10 * bytes.size());
    CHECK(spent.seconds < patience);
}

} // namespace

TEST_CASE("gguf memory: counts and lengths that lie allocate nothing", "[gguf]") {
    for (const std::uint64_t claim : {std::uint64_t{1} << 40, std::uint64_t{1} << 63, UINT64_MAX}) {
        CHECK(cost_of_parsing(image().header(claim, 0).fill(4096)).bytes == 0);
        CHECK(cost_of_parsing(image().header(0, claim).fill(4096)).bytes == 0);
        CHECK(cost_of_parsing(image().header(0, 1).u64(claim).fill(4096)).bytes == 0);
        CHECK(cost_of_parsing(image().header(0, 1).array("k", value_type::string, claim).fill(4096))
                  .bytes == 0);
        CHECK(cost_of_parsing(image().header(0, 1).array("k", value_type::u8, claim).fill(4096))
                  .bytes == 0);
    }
    // Counts that the file's size would justify, but not its contents.
    CHECK(cost_of_parsing(image().header(0, 70000).fill(1 << 20)).bytes == 0);
    CHECK(cost_of_parsing(image().header(30000, 0).fill(1 << 20)).bytes == 0);
}

TEST_CASE("gguf memory: 10^5 keys, all different, all equal, two equal", "[gguf]") {
    constexpr std::size_t n = 100000;
    const auto keys = [](auto&& name) {
        image made;
        made.header(0, n);
        for (std::size_t i = 0; i < n; ++i) made.entry(name(i), value_type::u8, std::uint8_t{0});
        return made;
    };
    check_cost(keys([](std::size_t i) { return std::to_string(i * 2654435761u % 4294967291u); }),
               true);
    check_cost(keys([](std::size_t) { return std::string("k"); }), false);
    check_cost(keys([](std::size_t i) { return std::to_string(i % (n - 1)); }), false);
    // Names that differ late make comparisons long, but the file too.
    check_cost(keys([](std::size_t i) { return std::string(100, 'k') + std::to_string(i); }), true);
}

TEST_CASE("gguf memory: the densest arrays of strings", "[gguf]") {
    constexpr std::size_t n = 500000;
    image empty;
    empty.header(0, 1).array("k", value_type::string, n).fill(8 * n);
    check_cost(empty, true);

    image many;
    many.header(0, n / 10);
    for (std::size_t i = 0; i < n / 10; ++i) {
        many.array(std::to_string(i), value_type::string, 1).str("");
    }
    check_cost(many, true);
}

TEST_CASE("gguf memory: 10^5 tensors, apart, on one place, of one name", "[gguf]") {
    constexpr std::size_t n = 100000;
    const auto tensors = [](auto&& name, std::size_t distance) {
        image made;
        made.header(n, 1).entry("general.alignment", value_type::u8, std::uint8_t{1});
        for (std::size_t i = 0; i < n; ++i) made.tensor(name(i), {1}, type::i8, i * distance);
        return made.fill(n);
    };
    const auto number = [](std::size_t i) { return std::to_string(i); };
    check_cost(tensors(number, 1), true);
    check_cost(tensors(number, 0), false);
    check_cost(tensors([](std::size_t) { return std::string("t"); }, 1), false);
}

TEST_CASE("gguf memory: each allocation that fails is an error, none is lost", "[gguf]") {
    const image bytes = small_model();
    current = {};
    REQUIRE(file::try_parse(bytes.bytes()).has_value());
    const std::size_t needed = current.made;
    REQUIRE(needed >= 4);
    for (std::size_t allowed = 0; allowed < needed; ++allowed) {
        current = {allowed};
        const auto refused = file::try_parse(bytes.bytes());
        current = {};
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.failure().code() == errc::out_of_memory);
    }
}

TEST_CASE("gguf memory: loading a tensor without memory is an error", "[gguf]") {
    image bytes;
    bytes.header(1, 0).tensor("w", {256, 3}, type::q4_k, 0).align().fill(3 * 144).align();
    const auto opened = file::try_parse(bytes.bytes());
    REQUIRE(opened.has_value());
    const quant::gguf::tensor& tensor = opened->tensors()[0];
    using q4_k = quant::presets::q4_k;
    const auto check_each = [](auto&& load) {
        current = {};
        REQUIRE(load().has_value());
        const std::size_t needed = current.made;
        REQUIRE(needed >= 5);
        for (std::size_t allowed = 0; allowed < needed; ++allowed) {
            current = {allowed};
            const auto refused = load();
            current = {};
            REQUIRE_FALSE(refused.has_value());
            CHECK(refused.failure().code() == errc::out_of_memory);
        }
    };
    check_each([&] { return quant::gguf::try_load<q4_k>(tensor); });
    check_each([&] { return quant::gguf::try_load_quantized<q4_k>(tensor); });
}
