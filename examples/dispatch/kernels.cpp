// Compiled once per instruction set, by quant_add_kernels().
#include "kernels.hpp"

#include <quant/kernel/matmul.hpp>
#include <quant/pack/pack.hpp>
#include <quant/quantize/quantize.hpp>

namespace {

quant::result<quant::packed_view<app::w4>> quantize(quant::matrix_view<const float> w,
                                                    std::span<std::byte> to) noexcept {
    const auto quantized = quant::try_quantize<app::w4>(w);
    if (!quantized) return quantized.failure();
    return quant::try_pack_into(*quantized, to);
}

quant::result<void> multiply(quant::matrix_view<const float> x, quant::packed_view<app::w4> w,
                             quant::matrix_view<float> y) noexcept {
    return quant::try_matmul(x, w, y);
}

} // namespace

QUANT_KERNELS(app::kernels, quantize, multiply);
