// Products have the reference's bits where multiply-add is fused, and its values elsewhere.
#pragma once

#include "scheme_cases.hpp"

#include <utility>

namespace cases {

template <class Code, class Mapping, class Granularity, class Activations>
struct tested_product {
    using scheme = quant::scheme<Code, Mapping, Granularity, quant::fp16>;
    using activations = Activations;
};

/// Sum over all outputs of the squared terms that make them: of steps and of minimums, which may
/// cancel in the result while the roundings of each stay.
template <class S>
double squared_terms(const std::vector<float>& x, std::size_t tokens,
                     const quant::reference::quantized<S>& w) {
    double sum = 0;
    for (std::size_t i = 0; i < w.codes.size(); ++i) {
        const std::size_t k = i % w.cols, g = w.group_index(i / w.cols, k);
        const float t = quant::reference::level<S>(w.codes[i], w.zero_point(g), w.table(g));
        const double step = static_cast<double>(w.scale(g)) * static_cast<double>(t);
        const double minimum = static_cast<double>(w.minimum(g));
        for (std::size_t token = 0; token < tokens; ++token) {
            const double factor = static_cast<double>(x[token * w.cols + k]);
            sum += factor * factor * (step * step + minimum * minimum);
        }
    }
    return sum;
}

/// y = x · wᵀ with the reference's bits where multiply-add is fused. Without, each float step
/// rounds twice: few steps with integer activations, one per column with float ones. A dot product
/// of bf16 rounds in an order of its own.
template <class A, class S>
void check_close(const std::vector<float>& y, const std::vector<float>& x, std::size_t tokens,
                 const quant::reference::quantized<S>& w) {
    const auto expected = quant::reference::matmul<A>(x, tokens, w);
    constexpr bool own_order =
        std::is_same_v<A, quant::activations::bf16> && quant::isa::current::bf16_dot_product;
    if (quant::isa::current::fused_multiply_add && !own_order) {
        CHECK(same_bytes(y, expected));
        return;
    }
    double error = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
        error += std::pow(static_cast<double>(y[i]) - static_cast<double>(expected[i]), 2);
    }
    const double tolerance = quant::is_integer_activation<A> ? 1e-6 : 1e-5;
    CHECK(error <= tolerance * tolerance * squared_terms(x, tokens, w));
}

/// Products as on cores with or without a property of simd/cores.hpp, until the end of the scope.
class pretend {
public:
    pretend(bool& property, bool value)
        : property_(property), before_(std::exchange(property, value)) {}
    ~pretend() { property_ = before_; }
    pretend(const pretend&) = delete;
    pretend& operator=(const pretend&) = delete;

private:
    bool& property_;
    bool before_;
};

template <class S, class A>
void check_product(shape size, std::size_t tokens, quant::thread_pool& pool) {
    const std::size_t rows = size.rows, cols = size.cols;
    const auto w = numbers(rows + cols).vector(rows * cols);
    const auto x = numbers(rows * cols + tokens).vector(tokens * cols);
    const quant::matrix_view<const float> x_view{x.data(), tokens, cols};
    const auto packed =
        quant::quantize_packed<S>(quant::matrix_view<const float>{w.data(), rows, cols});

    std::vector<float> y(tokens * rows, -1);
    quant::matmul<A>(x_view, packed, quant::matrix_view<float>{y.data(), tokens, rows}, pool);
    check_close<A>(y, x, tokens, quant::reference::quantize<S>(w, rows, cols));

    // The same bits on one thread, token by token; and from activations packed in advance, on
    // cores like a Zen 4's and on others, and without AMX.
    std::vector<float> one_by_one(tokens * rows, -2);
    for (std::size_t t = 0; t < tokens; ++t) {
        quant::matmul<A>(quant::matrix_view<const float>{x.data() + t * cols, 1, cols}, packed,
                         quant::matrix_view<float>{one_by_one.data() + t * rows, 1, rows});
    }
    CHECK(same_bytes(one_by_one, y));
    const auto check_packed = [&] {
        const auto packed_x = quant::pack_activations<A, S>(x_view);
        std::vector<float> prepared(tokens * rows, -3);
        quant::matmul(packed_x, packed, quant::matrix_view<float>{prepared.data(), tokens, rows});
        CHECK(same_bytes(prepared, y));
    };
    check_packed();
    const pretend without(quant::simd::amx::available(), false);
    for (const bool amd : {false, true}) {
        const pretend here(quant::simd::on_amd_cores(), amd);
        const pretend storing(quant::simd::parts_float_panels(), amd);
        check_packed();
    }
}

template <class S, class A>
void check_products() {
    CAPTURE(quant::to_string(quant::describe<S>()));
    quant::thread_pool pool(3);
    // Tiles of every size, and as many as operands are made ahead of, if they are.
    constexpr std::size_t ahead =
        quant::detail::least_tiles_ahead<S, A> * quant::detail::tile_tokens<A>;
    for (const shape size : shapes) {
        for (const std::size_t tokens : {std::size_t{1}, std::size_t{2}, std::size_t{3},
                                         std::size_t{6}, std::size_t{9}, ahead}) {
            if (tokens == 0) continue;
            CAPTURE(size.rows, size.cols, tokens);
            check_product<S, A>(size, tokens, pool);
        }
    }
}

} // namespace cases
