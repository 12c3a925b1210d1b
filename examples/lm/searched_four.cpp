#include "pack_searched.hpp"

namespace lm {

template weight_pointer pack_searched<quant::presets::best_4_5>(const float_matrix&,
                                                                quant::thread_pool&);
template weight_pointer pack_searched<quant::presets::q4_k>(const float_matrix&,
                                                            quant::thread_pool&);
template weight_pointer pack_searched<quant::presets::iq4_nl>(const float_matrix&,
                                                              quant::thread_pool&);

template weight_pointer open_searched<quant::presets::best_4_5>(const quant::packed_tensor&);
template weight_pointer open_searched<quant::presets::q4_k>(const quant::packed_tensor&);
template weight_pointer open_searched<quant::presets::iq4_nl>(const quant::packed_tensor&);

} // namespace lm
