// A weight matrix in a quantized format, packed for products.
#pragma once

#include "model.hpp"

#include <quant/quant.hpp>

#include <span>
#include <utility>

namespace lm {

template <class Scheme>
class packed_weights final : public weight_matrix {
public:
    explicit packed_weights(quant::packed_matrix<Scheme> packed) : packed_(std::move(packed)) {}

    [[nodiscard]] std::size_t rows() const noexcept override { return packed_.rows(); }
    [[nodiscard]] std::size_t cols() const noexcept override { return packed_.cols(); }
    [[nodiscard]] std::size_t bytes() const noexcept override { return packed_.bytes().size(); }
    [[nodiscard]] double nominal_bits() const noexcept override { return packed_.nominal_bits(); }

    void multiply(quant::matrix_view<const float> x, quant::matrix_view<float> y,
                  quant::thread_pool& pool) const override {
        quant::matmul(x, packed_, y, pool);
    }

    void read_rows(std::span<const token> tokens, quant::matrix_view<float> values,
                   quant::thread_pool& pool) const override {
        quant::gather_rows(packed_, tokens, values, pool);
    }

private:
    quant::packed_matrix<Scheme> packed_;
};

} // namespace lm
