// Every kind of activation, over all mappings, with groups that need a layout of their own and
// groups that do not; and what only some products meet.
#include "matmul_cases.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

using namespace quant;
using cases::tested_product;

namespace {

using products = std::tuple<
    tested_product<int4, symmetric, group_wise<32>, activations::int8<per_token>>,
    tested_product<int4, symmetric, group_wise<32>, activations::int16>,
    tested_product<int4, symmetric, group_wise<32>, activations::bf16>,
    tested_product<int4, symmetric, group_wise<32>, activations::fp32>,
    tested_product<int4, asymmetric, group_wise<32>, activations::int8<per_token>>,
    tested_product<int8, asymmetric, group_wise<32>, activations::int16>,
    tested_product<int4, asymmetric, per_channel, activations::fp32>,
    tested_product<int4, asymmetric_min, group_wise<32>, activations::int8<per_token>>,
    tested_product<int3, asymmetric_min, group_wise<64>, activations::int16>,
    tested_product<int4, asymmetric_min, per_channel, activations::fp32>,
    tested_product<int5, asymmetric_min, group_wise<7>, activations::bf16>,
    tested_product<int2, midrise, group_wise<32>, activations::int8<per_token>>,
    tested_product<binary, midrise, per_channel, activations::int16>,
    tested_product<int8, midrise, group_wise<10>, activations::fp32>,
    // Activation groups finer and coarser than the weights'.
    tested_product<int4, symmetric, group_wise<64>, activations::int8<group_wise<32>>>,
    tested_product<int4, asymmetric_min, group_wise<16>, activations::int8<group_wise<64>>>,
    tested_product<int6, symmetric, per_channel, activations::int8<group_wise<48>>>,
    tested_product<int7, asymmetric, group_wise<5>, activations::int8<group_wise<15>>>,
    tested_product<int8, symmetric, per_tensor, activations::int16>,
    // Weight groups smaller than a quad.
    tested_product<int5, asymmetric, group_wise<3>, activations::int16>,
    tested_product<int4, symmetric, group_wise<1>, activations::int16>,
    tested_product<int6, asymmetric_min, group_wise<2>, activations::int16>,
    tested_product<int3, symmetric, group_wise<3>, activations::int8<per_token>>>;

using every_activation =
    std::tuple<activations::int8<group_wise<32>>, activations::int8<group_wise<16>>,
               activations::int8<group_wise<64>>, activations::int8<per_token>, activations::int16,
               activations::bf16, activations::fp32>;

} // namespace

TEMPLATE_LIST_TEST_CASE("every activation: products are the reference's", "[matmul]",
                        cases::sample<products>) {
    cases::check_products<typename TestType::scheme, typename TestType::activations>();
}

TEST_CASE("sums of very long rows do not wrap", "[matmul]") {
    // All codes 255 over zero point 0 and all activations 127: the sum of a row exceeds int32.
    constexpr std::size_t cols = 140'000;
    using S = scheme<int8, asymmetric, per_channel, float>;
    const std::vector<std::uint8_t> codes(cols, 255);
    const quantized_matrix<S> q(1, cols, codes, std::vector<float>{1.0f},
                                std::vector<std::uint8_t>{0});
    const std::vector<float> x(cols, 1.0f);
    float y = 0;
    matmul(matrix_view<const float>{x.data(), 1, cols}, pack(q), matrix_view<float>{&y, 1, 1});
    CHECK(std::abs(y - 255.0f * cols) <= 1e-6f * 255.0f * cols);
}

TEST_CASE("what goes block by block is what goes token by token", "[matmul]") {
    // Six panels of 16 rows are more than a block's bytes; the last block is a part of one.
    constexpr std::size_t rows = 230, cols = 8200, tokens = 7;
    using A = activations::int8<per_token>;
    using S = scheme<int8, symmetric, group_wise<128>, fp16>;
    const auto w = cases::numbers(3).vector(rows * cols);
    const auto x = cases::numbers(4).vector(tokens * cols);
    const auto p = quantize_packed<S>(matrix_view<const float>{w.data(), rows, cols});
    std::vector<float> together(tokens * rows), alone(tokens * rows);
    matmul<A>(matrix_view<const float>{x.data(), tokens, cols}, p,
              matrix_view<float>{together.data(), tokens, rows});
    for (std::size_t t = 0; t < tokens; ++t) {
        matmul<A>(matrix_view<const float>{x.data() + t * cols, 1, cols}, p,
                  matrix_view<float>{alone.data() + t * rows, 1, rows});
    }
    CHECK(cases::same_bytes(together, alone));
}

TEST_CASE("activations packed once serve schemes of several groups", "[matmul]") {
    constexpr std::size_t rows = 40, cols = 300, tokens = 5;
    using A = activations::int8<per_token>;
    const auto w = cases::numbers(1).vector(rows * cols);
    const auto x = cases::numbers(2).vector(tokens * cols);
    const matrix_view<const float> x_view{x.data(), tokens, cols};
    const auto prepared = pack_activations<A>(x_view);
    const auto check = [&]<class S>(std::type_identity<S>) {
        const auto p = quantize_packed<S>(matrix_view<const float>{w.data(), rows, cols});
        std::vector<float> fresh(tokens * rows), reused(tokens * rows);
        matmul<A>(x_view, p, matrix_view<float>{fresh.data(), tokens, rows});
        matmul(prepared, p, matrix_view<float>{reused.data(), tokens, rows});
        CHECK(cases::same_bytes(fresh, reused));
    };
    check(std::type_identity<scheme<int4, symmetric, group_wise<32>, fp16>>{});
    check(std::type_identity<scheme<int4, asymmetric_min, group_wise<128>, fp16>>{});
    check(std::type_identity<scheme<int8, symmetric, per_channel, float>>{});
}

// Whole blocks of finite tokens are packed together; a token that is not finite makes its tile be
// packed number by number.
TEMPLATE_LIST_TEST_CASE("a token that is not finite changes no other one's products", "[matmul]",
                        cases::sample<every_activation>) {
    using S = scheme<int4, asymmetric_min, group_wise<64>, fp16>;
    constexpr std::size_t rows = 20, tokens = 6;
    // A part of a block; fewer blocks than are reduced at once, some times as many; and parts.
    for (const std::size_t cols : {20u, 64u, 172u, 512u, 1024u, 1387u}) {
        CAPTURE(cols);
        const auto w = cases::numbers(5).vector(rows * cols);
        auto x = cases::numbers(6).vector(tokens * cols);
        const auto p = quantize_packed<S>(matrix_view<const float>{w.data(), rows, cols});
        const auto product = [&] {
            std::vector<float> y(tokens * rows);
            matmul<TestType>(matrix_view<const float>{x.data(), tokens, cols}, p,
                             matrix_view<float>{y.data(), tokens, rows});
            return y;
        };
        const auto expected = product();
        for (const std::size_t bad : {std::size_t{0}, cols - 1}) {
            const float was = std::exchange(x[3 * cols + bad],
                                            bad == 0 ? std::numeric_limits<float>::infinity()
                                                     : std::numeric_limits<float>::quiet_NaN());
            const auto got = product();
            x[3 * cols + bad] = was;
            for (std::size_t t = 0; t < tokens; ++t) {
                CAPTURE(t);
                const std::vector<float> row(got.begin() + static_cast<std::ptrdiff_t>(t * rows),
                                             got.begin() +
                                                 static_cast<std::ptrdiff_t>((t + 1) * rows));
                const std::vector<float> same(
                    expected.begin() + static_cast<std::ptrdiff_t>(t * rows),
                    expected.begin() + static_cast<std::ptrdiff_t>((t + 1) * rows));
                if (t != 3) {
                    CHECK(cases::same_bytes(row, same));
                } else {
                    CHECK(
                        std::all_of(row.begin(), row.end(), [](float y) { return std::isnan(y); }));
                }
            }
        }
    }
}

namespace {

/// Leaves NaN where functions that are called next have their variables.
[[gnu::noinline]] void fill_stack() {
    volatile float numbers[8192];
    for (auto& number : numbers) number = std::numeric_limits<float>::quiet_NaN();
}

template <class A, class S>
void check_padding(std::size_t tokens, std::size_t cols) {
    CAPTURE(tokens, cols);
    const auto x = cases::numbers(7).vector(tokens * cols);
    std::vector<std::byte> memory(std::size_t{1} << 16, std::byte{0xFF});
    fill_stack();
    const auto packed = pack_activations<A, S>(matrix_view<const float>{x.data(), tokens, cols},
                                               scratch(std::span(memory)));
    const auto tiles = packed.view();
    for (std::size_t i = 0; i < tiles.tiles(); ++i) {
        const auto tile = tiles.tile(i);
        const std::size_t quads = tile.at.half_bytes() / (4 * tile.at.tokens);
        for (std::size_t quad = (cols + 3) / 4; quad < quads; ++quad) {
            for (std::size_t t = 0; t < tile.at.tokens; ++t) {
                const std::int8_t* codes = tile.codes(0, quad, t);
                CHECK(std::all_of(codes, codes + 4, [](std::int8_t code) { return code == 0; }));
            }
        }
    }
}

} // namespace

TEST_CASE("activations are padded with zeros", "[matmul]") {
    for (const std::size_t tokens : {1u, 2u, 6u, 16u}) {
        for (const std::size_t cols : {8u, 16u, 20u, 48u, 96u, 330u}) {
            check_padding<activations::int8<group_wise<16>>,
                          scheme<int4, symmetric, group_wise<16>, fp16>>(tokens, cols);
            check_padding<activations::int8<group_wise<32>>,
                          scheme<int4, symmetric, group_wise<32>, fp16>>(tokens, cols);
            check_padding<activations::int8<per_token>,
                          scheme<int4, symmetric, group_wise<64>, fp16>>(tokens, cols);
        }
    }
}
