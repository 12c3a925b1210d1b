// Large memory is on huge pages where the system has them; nothing else about it differs.
#include <quant/quant.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <type_traits>
#include <vector>

using namespace quant;

namespace {

template <class T>
std::size_t misalignment(const T* memory, std::size_t alignment) {
    return reinterpret_cast<std::uintptr_t>(memory) % alignment;
}

} // namespace

TEST_CASE("the allocator serves standard containers", "[huge_pages]") {
    using floats = std::vector<float, huge_page_allocator<float>>;
    static_assert(std::allocator_traits<huge_page_allocator<float>>::is_always_equal::value);
    floats small(10, 1.5f);
    CHECK(misalignment(small.data(), 64) == 0);
    floats large(huge_page_threshold / sizeof(float), 2.5f);
    CHECK(misalignment(large.data(), 64) == 0);
    if (detail::asks_for_huge_pages) {
        CHECK(misalignment(large.data(), std::size_t{2} << 20) == 0);
    }
    CHECK(large.front() == 2.5f);
    CHECK(large.back() == 2.5f);
    floats copy = large;
    copy.push_back(3);
    copy.swap(small);
    CHECK(small.size() == large.size() + 1);
    CHECK(huge_page_allocator<float>() == huge_page_allocator<double>());
    const floats none;
    CHECK(none.empty());
}

TEST_CASE("sizes that are no multiple of a page", "[huge_pages]") {
    for (const std::size_t extra : {std::size_t{0}, std::size_t{1}, std::size_t{4095}}) {
        std::vector<char, huge_page_allocator<char>> bytes(huge_page_threshold + extra, 'x');
        CHECK(bytes.back() == 'x');
        const std::vector<char, huge_page_allocator<char>> below(huge_page_threshold - 1 - extra);
        CHECK(below.back() == 0);
    }
}

TEST_CASE("memory that does not exist is refused as ever", "[huge_pages]") {
    huge_page_allocator<double> doubles;
    constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
    CHECK_THROWS_AS(doubles.allocate(most), std::bad_alloc);
    CHECK_THROWS_AS(doubles.allocate(most / 9), std::bad_alloc); // of sizes with 32 bits, too
}

TEST_CASE("large matrices are what small ones are", "[huge_pages]") {
    using w4 = scheme<int4, symmetric, group_wise<32>, fp16>;
    constexpr std::size_t rows = 2048, cols = 4096; // codes of 8 MiB, packed 4.5
    std::vector<float, huge_page_allocator<float>> w(rows * cols);
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(i % 251) - 125;
    auto q = quantize<w4>(matrix_view<const float>{w.data(), rows, cols});
    if (detail::asks_for_huge_pages) {
        CHECK(misalignment(q.codes().data(), std::size_t{2} << 20) == 0);
    }
    auto p = pack(q);
    const auto moved = std::move(p);
    CHECK(p.rows() == 0);
    CHECK(unpack(moved) == q);
    q = quantized_matrix<w4>(); // frees
    CHECK(q.rows() == 0);
}
