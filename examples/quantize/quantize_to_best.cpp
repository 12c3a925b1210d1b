#include "quantize_to_impl.hpp"

namespace quantizer {

template struct pack_to<presets::best_2_4>;
template struct pack_to<presets::best_2_7>;
template struct pack_to<presets::best_3_2>;
template struct pack_to<presets::best_3_4>;
template struct pack_to<presets::best_4_3>;
template struct pack_to<presets::best_4_5>;
template struct pack_to<presets::best_5_3>;
template struct pack_to<presets::best_5_5>;
template struct pack_to<presets::best_6_5>;
template struct pack_to<presets::best_8_5>;

} // namespace quantizer
