// A weight matrix in a quantized format, packed for products.
#pragma once

#include "model.hpp"

#include <quant/quant.hpp>

#include <algorithm>
#include <utility>
#include <vector>

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

    void read_row(std::size_t row, std::span<float> values) const override {
        const std::vector<float> unpacked = unpack_panel(row / quant::panel_rows);
        std::copy_n(unpacked.begin() +
                        static_cast<std::ptrdiff_t>(row % quant::panel_rows * cols()),
                    cols(), values.begin());
    }

private:
    /// The 16 rows that are packed together, or as many as the last such panel has: no fewer can
    /// be taken out.
    [[nodiscard]] std::vector<float> unpack_panel(std::size_t panel) const {
        const std::size_t first = panel * quant::panel_rows;
        const std::size_t count = std::min(quant::panel_rows, rows() - first);
        std::vector<float> values(count * cols());
        quant::dequantize(quant::slice_rows(packed_, first, count),
                          quant::matrix_view<float>(values.data(), count, cols()));
        return values;
    }

    quant::packed_matrix<Scheme> packed_;
};

} // namespace lm
