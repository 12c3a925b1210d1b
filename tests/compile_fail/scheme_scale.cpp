// expect-error: the fourth argument must be a scale type: float, quant::fp16, bf16, fp8_e4m3, e8m0 or two_level
#include <quant/policy/scheme.hpp>

constexpr int bits = quant::scheme<quant::int4, quant::symmetric, quant::per_tensor, double>::bits;
