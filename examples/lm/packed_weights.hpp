// A weight matrix in a quantized format, packed for products; the format may be one of several.
#pragma once

#include "model.hpp"

#include <quant/quant.hpp>

#include <span>
#include <utility>

namespace lm {

/// @tparam Packed a quant::packed_matrix or quant::any_packed_matrix.
template <class Packed>
class packed_weights final : public weight_matrix {
public:
    explicit packed_weights(Packed packed) : packed_(std::move(packed)) {}

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
        gather(packed_, tokens, values, pool);
    }

private:
    template <class Scheme>
    static void gather(const quant::packed_matrix<Scheme>& from, std::span<const token> tokens,
                       quant::matrix_view<float> values, quant::thread_pool& pool) {
        quant::gather_rows(from, tokens, values, pool);
    }
    template <class... Schemes>
    static void gather(const quant::any_packed_matrix<Schemes...>& from,
                       std::span<const token> tokens, quant::matrix_view<float> values,
                       quant::thread_pool& pool) {
        from.visit([&](const auto& held) { gather(held, tokens, values, pool); });
    }

    Packed packed_;
};

} // namespace lm
