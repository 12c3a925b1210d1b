// quantize, dequantize, pack and unpack give the reference's bytes, for every scheme of a mapping.
#pragma once

#include "scheme_cases.hpp"

namespace cases {

template <class S>
void check_against_reference(shape size, quant::thread_pool& pool) {
    const auto [rows, cols] = size;
    const auto w = numbers(rows * 1000 + cols).vector(rows * cols);
    const quant::matrix_view<const float> view{w.data(), rows, cols};
    const auto expected = quant::reference::quantize<S>(w, rows, cols);

    const auto q = quant::quantize<S>(view, {}, pool);
    REQUIRE(same_bytes(q.codes(), expected.codes));
    REQUIRE(same_bytes(q.scales(), expected.scales));
    REQUIRE(same_bytes(q.offsets(), expected.offsets));
    CHECK(q == quant::quantize<S>(view));

    const auto expected_values = quant::reference::dequantize(expected);
    std::vector<float> values(rows * cols, -1);
    quant::dequantize(q, quant::matrix_view<float>{values.data(), rows, cols}, pool);
    CHECK(same_bytes(values, expected_values));

    const auto packed = quant::pack(q, pool);
    std::vector<float> from_packed(rows * cols, -2);
    quant::dequantize(packed, quant::matrix_view<float>{from_packed.data(), rows, cols}, pool);
    CHECK(same_bytes(from_packed, expected_values));
    CHECK(quant::unpack(packed, pool) == q);
    CHECK(quant::quantize_packed<S>(view, pool) == packed);
    CHECK(packed.bytes().size() == quant::packed_size<S>(rows, cols));
}

/// Sources in other types and orders give what the same numbers in plain rows give.
template <class S>
void check_sources() {
    constexpr std::size_t rows = 19, cols = 45, stride = 50;
    const auto numbers_in = numbers(7).vector(rows * cols);
    std::vector<quant::fp16> halves(rows * stride);
    std::vector<quant::bf16> brains(rows * stride);
    std::vector<float> as_fp16(rows * cols), as_bf16(rows * cols), turned(rows * cols);
    for (std::size_t i = 0; i < rows * cols; ++i) {
        const std::size_t r = i / cols, c = i % cols;
        halves[r * stride + c] = quant::fp16(numbers_in[i]);
        brains[r * stride + c] = quant::bf16(numbers_in[i]);
        as_fp16[i] = static_cast<float>(halves[r * stride + c]);
        as_bf16[i] = static_cast<float>(brains[r * stride + c]);
        turned[c * rows + r] = numbers_in[i];
    }
    using quant::matrix_view;
    const auto plain = [&](const std::vector<float>& w) {
        return quant::quantize<S>(matrix_view<const float>{w.data(), rows, cols});
    };
    CHECK(quant::quantize<S>(matrix_view{halves.data(), rows, cols, stride}) == plain(as_fp16));
    CHECK(quant::quantize<S>(matrix_view{brains.data(), rows, cols, stride}) == plain(as_bf16));
    CHECK(quant::quantize<S>(quant::transposed(matrix_view{turned.data(), cols, rows})) ==
          plain(numbers_in));
}

template <class S>
void check_scheme() {
    CAPTURE(quant::to_string(quant::describe<S>()));
    quant::thread_pool pool(3);
    for (const shape size : shapes) {
        CAPTURE(size.rows, size.cols);
        check_against_reference<S>(size, pool);
    }
}

} // namespace cases
