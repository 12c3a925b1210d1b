#include "pack_searched.hpp"

namespace lm {

template weight_pointer pack_searched<quant::presets::best_2_7>(const float_matrix&,
                                                                quant::thread_pool&);
template weight_pointer pack_searched<quant::presets::best_3_4>(const float_matrix&,
                                                                quant::thread_pool&);
template weight_pointer pack_searched<quant::presets::tq2_0>(const float_matrix&,
                                                             quant::thread_pool&);

template weight_pointer open_searched<quant::presets::best_2_7>(const quant::packed_tensor&);
template weight_pointer open_searched<quant::presets::best_3_4>(const quant::packed_tensor&);
template weight_pointer open_searched<quant::presets::tq2_0>(const quant::packed_tensor&);

} // namespace lm
