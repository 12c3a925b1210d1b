#include "quantize_to_impl.hpp"

namespace quantizer {

template struct quantize_to<type::q8_0>;
template struct quantize_to<type::q5_0>;
template struct quantize_to<type::q4_k>;
template struct quantize_to<type::f32>;
template struct quantize_to<type::f16>;
template struct quantize_to<type::bf16>;

template struct pack_to<presets::q8_0>;
template struct pack_to<presets::q5_0>;
template struct pack_to<presets::q4_k>;

} // namespace quantizer
