// Compiled once per instruction set, by the function that comes with each way to get quant.
#include "kernels.hpp"

#include <algorithm>
#include <vector>

namespace {

const char* compiled_for() noexcept { return quant::isa::current::name; }

float largest(const float* values, std::size_t count) noexcept {
    const std::vector<float> copy(values, values + count);
    return *std::max_element(copy.begin(), copy.end());
}

} // namespace

QUANT_KERNELS(consumer_kernels, compiled_for, largest);
