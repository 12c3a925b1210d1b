// expect-error: the second argument must be a mapping: symmetric, midrise
#include <quant/policy/scheme.hpp>

constexpr int bits = quant::scheme<quant::int4, quant::fp16, quant::per_channel, float>::bits;
