#include "quantize_to_impl.hpp"

namespace quantizer {

template struct quantize_to<type::iq4_nl>;
template struct quantize_to<type::iq4_xs>;
template struct quantize_to<type::mxfp4>;
template struct quantize_to<type::nvfp4>;

template struct pack_to<presets::iq4_nl>;
template struct pack_to<presets::iq4_xs>;
template struct pack_to<presets::mxfp4>;
template struct pack_to<presets::nvfp4>;

} // namespace quantizer
