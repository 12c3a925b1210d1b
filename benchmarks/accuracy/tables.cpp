#include "measure.hpp"

namespace accuracy {

std::span<const format> table_formats() {
    using namespace quant::presets;
    static constexpr format all[] = {
        entry<iq4_nl>("iq4_nl", "GGUF"),
        entry<iq4_xs>("iq4_xs", "GGUF"),
        entry<nf4_64>("nf4_64", "NF4"),
        entry<nf4_double>("nf4_double", "NF4"),
    };
    return all;
}

} // namespace accuracy
