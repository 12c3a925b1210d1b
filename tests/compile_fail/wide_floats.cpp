// expect-error: quant: sums must be rounded to float
#undef __FLT_EVAL_METHOD__
#define __FLT_EVAL_METHOD__ 2
#include <quant/quant.hpp>
