// Weights, activations and outputs of products of several shapes.
#pragma once

#include <quant/quant.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace batch_cases {

using namespace quant;

using w4 = scheme<int4, symmetric, group_wise<32>, fp16>;

inline std::vector<float> numbers(std::size_t n, std::uint32_t seed) {
    std::vector<float> made(n);
    for (float& v : made) {
        seed = seed * 1664525u + 1013904223u;
        v = static_cast<float>(seed >> 8) * 0x1p-23f - 1.0f;
    }
    return made;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() &&
           (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

/// One product's operands, of which x may have more rows than are multiplied.
template <class S = w4>
struct operands {
    std::size_t outputs, cols, x_rows, tokens;
    std::vector<float> x, y;
    packed_matrix<S> w;
    std::vector<std::uint32_t> rows;

    operands(std::size_t out, std::size_t in, std::size_t all,
             std::vector<std::uint32_t> taken = {})
        : outputs(out), cols(in), x_rows(all), tokens(taken.empty() ? all : taken.size()),
          x(numbers(all * in, static_cast<std::uint32_t>(out + in))), y(tokens * out, -77.0f),
          w(quantize_packed<S>(matrix_view<const float>{numbers(out * in, 3).data(), out, in})),
          rows(std::move(taken)) {}

    matrix_view<const float> x_view() const { return {x.data(), x_rows, cols}; }
    matrix_view<float> y_view() { return {y.data(), tokens, outputs}; }
    product<S> item() { return {x_view(), w, y_view(), rows}; }

    /// What a product of its own gives, over -77.
    template <class A = automatic, class... Args>
    std::vector<float> alone(Args&&... args) const {
        std::vector<float> gathered, made(tokens * outputs, -77.0f);
        for (std::size_t t = 0; t < tokens; ++t) {
            const std::size_t r = rows.empty() ? t : rows[t];
            gathered.insert(gathered.end(), x.begin() + static_cast<std::ptrdiff_t>(r * cols),
                            x.begin() + static_cast<std::ptrdiff_t>((r + 1) * cols));
        }
        if (tokens == 0) return made;
        matmul<A>(matrix_view<const float>{gathered.data(), tokens, cols}, w,
                  matrix_view<float>{made.data(), tokens, outputs}, args...);
        return made;
    }
};

} // namespace batch_cases
