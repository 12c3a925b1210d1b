// Packed weights multiply alike wherever they lie and whatever part of them is asked for.
#include <quant/kernel/matmul.hpp>
#include <quant/pack/pack.hpp>
#include <quant/quantize/quantize.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <tuple>
#include <vector>

using namespace quant;

namespace {

constexpr std::size_t rows = 90, cols = 107, tokens = 3;

std::vector<float> numbers(std::size_t n, std::uint32_t seed) {
    std::vector<float> made(n);
    for (float& x : made) {
        seed = seed * 1664525u + 1013904223u;
        x = static_cast<float>(seed >> 8) * 0x1p-23f - 1.0f;
    }
    return made;
}

template <class S>
std::vector<float> product(packed_view<S> w) {
    const auto x = numbers(tokens * cols, 5);
    std::vector<float> y(tokens * w.rows());
    matmul(matrix_view{x.data(), tokens, cols}, w, matrix_view{y.data(), tokens, w.rows()});
    return y;
}

using schemes = std::tuple<scheme<int4, symmetric, group_wise<32>, fp16>,
                           scheme<int3, asymmetric_min, group_wise<5>, float>>;

} // namespace

TEMPLATE_LIST_TEST_CASE("a slice's product is those rows of the whole product", "[packed][matmul]",
                        schemes) {
    const auto w = numbers(rows * cols, 1);
    const auto packed = quantize_packed<TestType>(matrix_view{w.data(), rows, cols});
    const auto whole = product(packed.view());
    const std::size_t slices[][2] = {{0, 90}, {0, 16}, {16, 48}, {32, 58}, {80, 10}, {64, 26}};
    for (const auto& [first, count] : slices) {
        CAPTURE(first, count);
        const auto part = product(slice_rows(packed, first, count));
        for (std::size_t t = 0; t < tokens; ++t) {
            CHECK(std::memcmp(part.data() + t * count, whole.data() + t * rows + first,
                              count * sizeof(float)) == 0);
        }
    }
}

TEMPLATE_LIST_TEST_CASE("a slice unpacks to those rows", "[packed]", schemes) {
    const auto w = numbers(rows * cols, 2);
    const auto q = quantize<TestType>(matrix_view{w.data(), rows, cols});
    const auto part = quantize<TestType>(matrix_view{w.data() + 32 * cols, 58, cols});
    const auto packed = pack(q);
    CHECK(unpack(slice_rows(packed, 32, 58)) == part);
}

TEMPLATE_LIST_TEST_CASE("bytes copied to another place give the same product", "[packed][matmul]",
                        schemes) {
    const auto w = numbers(rows * cols, 3);
    const auto packed = quantize_packed<TestType>(matrix_view{w.data(), rows, cols});
    const std::size_t size = packed.bytes().size();
    // On a 64-byte boundary, but on no larger one; nothing readable behind the last byte.
    auto* memory = static_cast<std::byte*>(::operator new(64 + size, std::align_val_t{128}));
    std::memcpy(memory + 64, packed.bytes().data(), size);
    const auto copy = packed_view_of<TestType>(std::span<const std::byte>(memory + 64, size));
    CHECK(product(copy) == product(packed.view()));
    CHECK(unpack(copy) == unpack(packed));
    ::operator delete(memory, std::align_val_t{128});
}
