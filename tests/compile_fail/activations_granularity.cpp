// expect-error: quant::activations::int8: per_token or group_wise<N>
#include <quant/policy/activations.hpp>

constexpr int halves = quant::activations::int8<float>::halves;
