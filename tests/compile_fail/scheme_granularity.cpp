// expect-error: the third argument must be a granularity: per_tensor
#include <quant/policy/scheme.hpp>

constexpr int bits = quant::scheme<quant::int4, quant::symmetric, float, quant::fp16>::bits;
