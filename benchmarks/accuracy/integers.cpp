#include "measure.hpp"

namespace accuracy {

std::span<const format> integer_formats() {
    using namespace quant::presets;
    static constexpr format all[] = {
        entry<q4_0>("q4_0", "GGUF"),        entry<q4_1>("q4_1", "GGUF"),
        entry<q5_0>("q5_0", "GGUF"),        entry<q5_1>("q5_1", "GGUF"),
        entry<q8_0>("q8_0", "GGUF"),        entry<tq2_0>("tq2_0", "GGUF"),
        entry<q1_0>("q1_0", "GGUF"),        entry<q2_0>("q2_0", "GGUF"),
        entry<bitnet>("bitnet", "ternary"),
    };
    return all;
}

} // namespace accuracy
