// expect-error: quant::gguf::encode: no GGUF type that is written has this scheme
#include <quant/io/gguf/encode.hpp>

void f(const quant::quantized_matrix<quant::presets::iq3_s>& q, std::span<std::byte> out) {
    (void)quant::gguf::try_encode(q, quant::gguf::type::iq3_s, out);
}
