// Float weights behind the interface of the quantized ones.
#pragma once

#include "dense.hpp"
#include "model.hpp"

#include <algorithm>

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
    void read_row(std::size_t row, std::span<float> values) const override {
        std::copy_n(view_.row(row), cols(), values.begin());
    }

private:
    quant::matrix_view<const float> view_;
};

} // namespace lm
