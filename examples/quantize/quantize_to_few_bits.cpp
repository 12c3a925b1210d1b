#include "quantize_to_impl.hpp"

namespace quantizer {

template struct quantize_to<type::q1_0>;
template struct quantize_to<type::q2_0>;
template struct quantize_to<type::tq1_0>;
template struct quantize_to<type::tq2_0>;

template struct pack_to<presets::q1_0>;
template struct pack_to<presets::q2_0>;
template struct pack_to<presets::tq2_0>;

} // namespace quantizer
