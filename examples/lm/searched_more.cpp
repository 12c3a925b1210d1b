#include "pack_searched.hpp"

namespace lm {

template weight_pointer pack_searched<quant::presets::best_5_5>(const float_matrix&,
                                                                quant::thread_pool&);
template weight_pointer pack_searched<quant::presets::best_6_5>(const float_matrix&,
                                                                quant::thread_pool&);
template weight_pointer pack_searched<quant::presets::mxfp4>(const float_matrix&,
                                                             quant::thread_pool&);

template weight_pointer open_searched<quant::presets::best_5_5>(const quant::packed_tensor&);
template weight_pointer open_searched<quant::presets::best_6_5>(const quant::packed_tensor&);
template weight_pointer open_searched<quant::presets::mxfp4>(const quant::packed_tensor&);

} // namespace lm
