#include "pack_searched.hpp"

namespace lm {

template weight_pointer pack_searched<quant::presets::best_4_5>(quant::matrix_view<const float>,
                                                                quant::thread_pool&);
template weight_pointer pack_searched<quant::presets::q4_k>(quant::matrix_view<const float>,
                                                            quant::thread_pool&);
template weight_pointer pack_searched<quant::presets::iq4_nl>(quant::matrix_view<const float>,
                                                              quant::thread_pool&);

} // namespace lm
