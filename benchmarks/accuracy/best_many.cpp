#include "measure.hpp"

namespace accuracy {

std::span<const format> best_many_bits() {
    using namespace quant::presets;
    static constexpr format all[] = {
        entry<best_4_5>("best_4_5", "best"), entry<best_5_3>("best_5_3", "best"),
        entry<best_5_5>("best_5_5", "best"), entry<best_6_5>("best_6_5", "best"),
        entry<best_8_5>("best_8_5", "best"),
    };
    return all;
}

} // namespace accuracy
