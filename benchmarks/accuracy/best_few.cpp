#include "measure.hpp"

namespace accuracy {

std::span<const format> best_few_bits() {
    using namespace quant::presets;
    static constexpr format all[] = {
        entry<best_2_4>("best_2_4", "best"), entry<best_2_7>("best_2_7", "best"),
        entry<best_3_2>("best_3_2", "best"), entry<best_3_4>("best_3_4", "best"),
        entry<best_4_3>("best_4_3", "best"),
    };
    return all;
}

} // namespace accuracy
