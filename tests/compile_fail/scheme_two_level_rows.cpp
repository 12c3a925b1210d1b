// expect-error: two_level scales are those of groups of a row: group_wise<N>
#include <quant/policy/scheme.hpp>

using scale = quant::two_level<quant::unsigned_scale<6>, quant::fp16, 8>;
constexpr int bits = quant::scheme<quant::int4, quant::symmetric, quant::per_channel, scale>::bits;
