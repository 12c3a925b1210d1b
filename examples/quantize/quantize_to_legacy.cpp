#include "quantize_to_impl.hpp"

namespace quantizer {

template struct quantize_to<type::q4_0>;
template struct quantize_to<type::q4_1>;
template struct quantize_to<type::q5_1>;

template struct pack_to<presets::q4_0>;
template struct pack_to<presets::q4_1>;
template struct pack_to<presets::q5_1>;

} // namespace quantizer
