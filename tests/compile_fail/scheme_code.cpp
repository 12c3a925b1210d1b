// expect-error: the first argument must be a code, such as quant::int4
#include <quant/policy/scheme.hpp>

constexpr int bits = quant::scheme<int, quant::symmetric, quant::per_channel, float>::bits;
