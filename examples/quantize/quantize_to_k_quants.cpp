#include "quantize_to_impl.hpp"

namespace quantizer {

template struct quantize_to<type::q2_k>;
template struct quantize_to<type::q3_k>;
template struct quantize_to<type::q5_k>;
template struct quantize_to<type::q6_k>;

template struct pack_to<presets::q2_k>;
template struct pack_to<presets::q3_k>;
template struct pack_to<presets::q5_k>;
template struct pack_to<presets::q6_k>;

} // namespace quantizer
