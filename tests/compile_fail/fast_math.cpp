// expect-error: fast-math changes quantized bytes and hides NaN
#define __FAST_MATH__ 1
#include <quant/quant.hpp>
