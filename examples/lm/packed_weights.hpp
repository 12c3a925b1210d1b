// A weight matrix in a quantized format, packed for products; the format may be one of several.
#pragma once

#include "model.hpp"

#include <quant/io/packed_file/reader.hpp>
#include <quant/quant.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

namespace lm {

/// @tparam View a quant::packed_view or quant::any_packed_view.
template <class View>
class packed_weights final : public weight_matrix {
public:
    /// @param bytes that the view is of, header first.
    /// @param owner of these bytes; null if they outlive this anyway, as a file's do.
    packed_weights(View view, std::span<const std::byte> bytes,
                   std::shared_ptr<const void> owner = nullptr)
        : view_(view), bytes_(bytes), owner_(std::move(owner)) {}

    [[nodiscard]] std::size_t rows() const noexcept override { return view_.rows(); }
    [[nodiscard]] std::size_t cols() const noexcept override { return view_.cols(); }
    [[nodiscard]] std::size_t bytes() const noexcept override { return bytes_.size(); }
    [[nodiscard]] double nominal_bits() const noexcept override { return view_.nominal_bits(); }
    [[nodiscard]] std::span<const std::byte> packed_bytes() const noexcept override {
        return bytes_;
    }

    void multiply(quant::matrix_view<const float> x, quant::matrix_view<float> y,
                  quant::thread_pool& pool) const override {
        quant::matmul(x, view_, y, pool);
    }
    void read_rows(std::span<const token> tokens, quant::matrix_view<float> values,
                   quant::thread_pool& pool) const override {
        quant::gather_rows(view_, tokens, values, pool);
    }

private:
    View view_;
    std::span<const std::byte> bytes_;
    std::shared_ptr<const void> owner_;
};

/// Weights that keep a quant::packed_matrix or quant::any_packed_matrix.
template <class Packed>
[[nodiscard]] weight_pointer keep(Packed packed) {
    const auto owner = std::make_shared<const Packed>(std::move(packed));
    using view = decltype(owner->view());
    return std::make_unique<packed_weights<view>>(owner->view(), owner->bytes(), owner);
}

/// Weights that a packed file keeps, if they are of this scheme; otherwise null.
template <class Scheme>
[[nodiscard]] weight_pointer open_as(const quant::packed_tensor& stored) {
    if (stored.header().scheme != quant::describe<Scheme>()) return nullptr;
    using view = quant::packed_view<Scheme>;
    return std::make_unique<packed_weights<view>>(quant::packed_view_of<Scheme>(stored.bytes()),
                                                  stored.bytes());
}

} // namespace lm
