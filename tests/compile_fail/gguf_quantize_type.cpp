// expect-error: quant::gguf::quantize: there is no quantizer to this GGUF type
#include <quant/io/gguf/quantize.hpp>

void f(quant::matrix_view<const float> w, std::span<std::byte> out) {
    (void)quant::gguf::try_quantize<quant::gguf::type::iq2_xs>(w, out);
}
