// A product with what its epilogues add, and outputs compared bit for bit with scalar code.
#pragma once

#include <quant/quant.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

namespace epilogue_cases {

using namespace quant;

using w4 = scheme<int4, symmetric, group_wise<32>, fp16>;

constexpr std::size_t tokens = 5, cols = 40, stride = 80; // stride of outputs and residuals
constexpr std::size_t all_rows[] = {1, 15, 16, 17, 33, 70};
constexpr float inf = std::numeric_limits<float>::infinity();

/// A product and what its epilogues add.
struct problem {
    std::size_t rows;
    std::vector<float> w, x, bias, plain;
    std::vector<float> residual = std::vector<float>(tokens * stride);
    packed_matrix<w4> packed;

    explicit problem(std::size_t r)
        : rows(r), w(rows * cols), x(tokens * cols), bias(rows), plain(tokens * rows) {
        std::uint32_t state = static_cast<std::uint32_t>(rows);
        const auto fill = [&](std::vector<float>& to) {
            for (float& v : to) {
                state = state * 1664525u + 1013904223u;
                v = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
            }
        };
        fill(w), fill(x), fill(bias), fill(residual);
        packed = quantize_packed<w4>(matrix_view{w.data(), rows, cols});
        matmul(x_view(), packed, matrix_view{plain.data(), tokens, rows});
    }
    matrix_view<const float> x_view() const { return {x.data(), tokens, cols}; }

    /// Residual (or anything of that shape) as T, rows `stride` apart.
    template <class T>
    std::vector<T> as(const std::vector<float>& from) const {
        std::vector<T> made(from.size());
        for (std::size_t i = 0; i < from.size(); ++i) made[i] = T(from[i]);
        return made;
    }
};

template <class T>
bool same_bits(T a, T b) {
    return std::memcmp(static_cast<const void*>(&a), static_cast<const void*>(&b), sizeof a) == 0;
}

/// How many outputs of type Y differ from `expected(value, token, output)` of the plain product,
/// or lie outside the outputs and changed.
template <class Y, class... Args>
std::size_t wrong(const problem& p,
                  const std::function<float(float, std::size_t, std::size_t)>& expected,
                  Args&&... args) {
    const Y untouched(-77.0f);
    std::vector<Y> y(tokens * stride + 16, untouched);
    matmul(p.x_view(), p.packed, matrix_view{y.data(), tokens, p.rows, stride}, args...);
    std::size_t failed = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
        const std::size_t t = i / stride, r = i % stride;
        const bool output = t < tokens && r < p.rows;
        const Y right = output ? Y(expected(p.plain[t * p.rows + r], t, r)) : untouched;
        if (!same_bits(y[i], right)) ++failed;
    }
    return failed;
}

/// a · b, rounded before anything is added to it.
inline float rounded_product(float a, float b) {
    volatile float rounded = a * b;
    return rounded;
}

} // namespace epilogue_cases
