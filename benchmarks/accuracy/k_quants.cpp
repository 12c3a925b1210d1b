#include "measure.hpp"

namespace accuracy {

std::span<const format> k_formats() {
    using namespace quant::presets;
    static constexpr format all[] = {
        entry<q2_k>("q2_k", "GGUF"), entry<q3_k>("q3_k", "GGUF"), entry<q4_k>("q4_k", "GGUF"),
        entry<q5_k>("q5_k", "GGUF"), entry<q6_k>("q6_k", "GGUF"),
    };
    return all;
}

} // namespace accuracy
