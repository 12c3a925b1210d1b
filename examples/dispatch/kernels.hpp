// What the program computes on the best instruction set that it finds: the functions, by their
// types. This file is compiled for all of them.
#pragma once

#include <quant/core/matrix_view.hpp>
#include <quant/dispatch.hpp>
#include <quant/pack/packed_matrix.hpp>

#include <cstddef>
#include <span>

namespace app {

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;

struct kernels {
    /// Quantizes w into `to`, of quant::packed_size<w4> bytes.
    quant::result<quant::packed_view<w4>> (*quantize)(quant::matrix_view<const float> w,
                                                      std::span<std::byte> to) noexcept;
    /// y = x · wᵀ
    quant::result<void> (*multiply)(quant::matrix_view<const float> x, quant::packed_view<w4> w,
                                    quant::matrix_view<float> y) noexcept;
};

} // namespace app
