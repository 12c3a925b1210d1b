// gguf::load beside the numbers: executors, several schemes, products, and what is refused.
#include "equal_ranges.hpp"
#include "gguf_loading.hpp"

#include <quant/kernel/any_packed_matrix.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <vector>

using namespace gguf_test;

namespace {

/// Row by row, codes and scales are those that were packed.
template <quant::quantization_scheme S>
void check_quantized(type which) {
    std::mt19937 random(8);
    const tensors_of file(which, 19, 2 * *gguf::try_block_size(which),
                          loadable_blocks(which, 19 * 2, random));
    const auto quantized = gguf::try_load_quantized<S>(file.one());
    if (!quantized) FAIL(quantized.failure().what());
    CHECK(quantized->validate().has_value());
    CHECK(equal_ranges(quant::pack(*quantized).bytes(), gguf::load<S>(file.one()).bytes()));
}

} // namespace

TEST_CASE("gguf load: row by row, the same codes and scales", "[gguf]") {
    check_quantized<presets::q4_1>(type::q4_1);
    check_quantized<presets::q4_k>(type::q4_k);
    check_quantized<presets::nvfp4>(type::nvfp4);
}

TEST_CASE("gguf load: an executor may run rows in any order", "[gguf]") {
    constexpr std::size_t rows = 150, blocks_per_row = 32;
    std::mt19937 random(5);
    bytes blocks(rows * blocks_per_row * 34);
    for (std::size_t at = 0; at < blocks.size(); at += 34) {
        for (std::size_t i = 2; i < 34; ++i) {
            blocks[at + i] = static_cast<std::byte>(random() & 255u);
        }
        put16(&blocks[at], 0x2000u + (random() & 0xFFFu));
    }
    std::size_t tasks = 0;
    const auto backwards = [&](std::size_t count, quant::task work) {
        tasks += count;
        while (count > 0) work(--count);
    };
    {
        const tensors_of file(type::q8_0, rows, 32 * blocks_per_row, blocks);
        const auto packed = gguf::try_load<presets::q8_0>(file.one(), backwards);
        REQUIRE(packed.has_value());
        CHECK(tasks > 1);
        CHECK(differences(values_of(*packed), decoded(file.all())) == 0);
        const auto quantized = gguf::try_load_quantized<presets::q8_0>(file.one(), backwards);
        REQUIRE(quantized.has_value());
        const auto lazy = [](std::size_t, quant::task) {};
        CHECK(gguf::try_load<presets::q8_0>(file.one(), lazy).failure().code() ==
              errc::executor_failed);
        CHECK(gguf::try_load_quantized<presets::q8_0>(file.one(), lazy).failure().code() ==
              errc::executor_failed);
    }
    // Of several failing rows, the first is named.
    for (const std::size_t row : {149u, 70u, 3u}) {
        put16(&blocks[(row * blocks_per_row + 7) * 34], 0x7C00);
        const tensors_of file(type::q8_0, rows, 32 * blocks_per_row, blocks);
        const std::string message =
            "row " + std::to_string(row) + ", block 7: a scale or minimum is not finite";
        check_error(gguf::try_load<presets::q8_0>(file.one(), backwards), errc::non_finite, first,
                    message);
        check_error(gguf::try_load_quantized<presets::q8_0>(file.one(), backwards),
                    errc::non_finite, first, message);
    }
}

TEST_CASE("gguf load: other types and other widths are refused", "[gguf]") {
    const tensors_of q4_0(type::q4_0, 2, 32, bytes(36));
    check_error(gguf::try_load<presets::q4_k>(q4_0.one()), errc::unsupported, first,
                "its type is q4_0, the scheme is that of q4_k");
    check_error(gguf::try_load<presets::iq2_s>(q4_0.one()), errc::unsupported, first,
                "its type is q4_0, the scheme is that of iq2_xs, iq2_s");
    const tensors_of f32(type::f32, 1, 4, bytes(16));
    check_error(gguf::try_load<presets::q4_0>(f32.one()), errc::unsupported, first,
                "its type is f32, the scheme is that of q4_0");
    const tensors_of mixed(32, {{type::q4_0, 1, bytes(18)}, {type::q8_0, 1, bytes(34)}});
    check_error(gguf::try_load<presets::q4_0>(mixed.all()), errc::unsupported,
                "gguf::load: blk.1.weight", "its type is q8_0, the scheme is that of q4_0");
    check_error(gguf::try_load<presets::q4_0>(std::span<const gguf::tensor>()), errc::empty,
                "gguf::load: tensors", "there are none");
    const tensors_of narrow(type::q4_0, 1, 32, bytes(18)), wide(type::q4_0, 1, 64, bytes(36));
    const gguf::tensor both[] = {narrow.one(), wide.one()};
    check_error(gguf::try_load<presets::q4_0>(both), errc::shape_mismatch, first,
                "its rows have 64 columns, the first tensor's 32");
}

TEST_CASE("gguf load: the scheme of a tensor, found at run time", "[gguf]") {
    using per_row = quant::scheme<quant::int4, quant::symmetric, quant::per_channel, float>;
    using any_weights = quant::any_packed_matrix<per_row, presets::q4_1, presets::q4_k>;
    for (const type which : {type::q4_1, type::q4_k}) {
        const std::size_t cols = *gguf::try_block_size(which);
        const tensors_of file(which, 2, cols, bytes(2 * *gguf::try_block_bytes(which)));
        const auto weights = gguf::try_load_any<any_weights>(file.one());
        REQUIRE(weights.has_value());
        CHECK(weights->rows() == 2);
        CHECK(weights->cols() == cols);
        CHECK(weights->descriptor() == gguf::scheme_of(which));
    }
    const tensors_of q4_0(type::q4_0, 2, 32, bytes(36));
    check_error(gguf::try_load_any<any_weights>(q4_0.one()), errc::unsupported, first,
                "the scheme of its type, q4_0, is not one of those listed");
    check_error(gguf::try_load_any<any_weights>(std::span<const gguf::tensor>()), errc::empty,
                "gguf::load: tensors", "there are none");
    const tensors_of infinite(type::q4_k, 1, 256, bytes(144, std::byte{0x7C}));
    CHECK(gguf::try_load_any<any_weights>(infinite.one()).failure().code() == errc::non_finite);
}

TEST_CASE("gguf load: what was loaded multiplies", "[gguf]") {
    constexpr std::size_t rows = 33, cols = 512;
    std::mt19937 random(7);
    bytes blocks = loadable_blocks(type::iq2_xs, rows * cols / 256, random);
    for (std::size_t at = 0; at < blocks.size(); at += 74) put16(&blocks[at], 0x2400);
    const tensors_of file(type::iq2_xs, rows, cols, blocks);
    std::vector<float> x(cols), y(rows);
    for (float& each : x) each = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
    quant::matmul<quant::activations::fp32>(quant::matrix_view<const float>(x.data(), 1, cols),
                                            gguf::load<presets::iq2_s>(file.one()),
                                            quant::matrix_view<float>(y.data(), 1, rows));
    const std::vector<float> w = decoded(file.all());
    for (std::size_t r = 0; r < rows; ++r) {
        double exact = 0, size_of_terms = 0;
        for (std::size_t c = 0; c < cols; ++c) {
            const double term = static_cast<double>(x[c]) * static_cast<double>(w[r * cols + c]);
            exact += term;
            size_of_terms += std::fabs(term);
        }
        CHECK(std::fabs(static_cast<double>(y[r]) - exact) <= 1e-5 * size_of_terms);
    }
}

TEST_CASE("gguf load: the plain names throw", "[gguf]") {
    using any_weights = quant::any_packed_matrix<presets::q4_1>;
    const tensors_of file(type::q4_1, 2, 32, bytes(40)), other(type::q4_0, 2, 32, bytes(36));
    CHECK(gguf::load<presets::q4_1>(file.one()).rows() == 2);
    CHECK(gguf::load<presets::q4_1>(file.all()).rows() == 2);
    CHECK(gguf::load_quantized<presets::q4_1>(file.one()).rows() == 2);
    CHECK(gguf::load_quantized<presets::q4_1>(file.all()).rows() == 2);
    CHECK(gguf::load_any<any_weights>(file.one()).rows() == 2);
    CHECK(gguf::load_any<any_weights>(file.all()).rows() == 2);
    CHECK_THROWS_AS(gguf::load<presets::q4_1>(other.one()), quant::error);
    CHECK_THROWS_AS(gguf::load_quantized<presets::q4_1>(other.one()), quant::error);
    CHECK_THROWS_AS(gguf::load_any<any_weights>(other.one()), quant::error);
}
