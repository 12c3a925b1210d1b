// Float weights behind the interface of the quantized ones.
#pragma once

#include "dense.hpp"
#include "model.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

namespace lm {

/// Refers to a float matrix, which must outlive it.
class dense_weights final : public weight_matrix {
public:
    explicit dense_weights(quant::matrix_view<const float> view) : view_(view) {}

    [[nodiscard]] std::size_t rows() const noexcept override { return view_.rows(); }
    [[nodiscard]] std::size_t cols() const noexcept override { return view_.cols(); }
    [[nodiscard]] std::size_t bytes() const noexcept override {
        return rows() * cols() * sizeof(float);
    }
    [[nodiscard]] double nominal_bits() const noexcept override {
        return 8.0 * static_cast<double>(bytes());
    }

    void multiply(quant::matrix_view<const float> x, quant::matrix_view<float> y,
                  quant::thread_pool& pool) const override {
        dense_product(x, view_, y, pool);
    }
    void read_rows(std::span<const token> tokens, quant::matrix_view<float> values,
                   quant::thread_pool&) const override {
        for (std::size_t t = 0; t < tokens.size(); ++t) {
            std::copy_n(view_.row(static_cast<std::size_t>(tokens[t])), cols(), values.row(t));
        }
    }

private:
    quant::matrix_view<const float> view_;
};

} // namespace lm
