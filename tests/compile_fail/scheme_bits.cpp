// expect-error: int_code holds 1 to 8 bits
#include <quant/policy/scheme.hpp>

constexpr int bits = quant::int_code<9>::bits;
