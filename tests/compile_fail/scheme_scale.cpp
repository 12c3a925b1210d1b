// expect-error: the fourth argument must be a scale type: float, quant::fp16, bf16
#include <quant/policy/scheme.hpp>

constexpr int bits = quant::scheme<quant::int4, quant::symmetric, quant::per_tensor, double>::bits;
