// expect-error: the super-scale is float, fp16 or bf16
#include <quant/policy/scale.hpp>

using scale = quant::two_level<quant::unsigned_scale<6>, quant::e8m0, 8>;
constexpr bool is = quant::scale_type<scale> && scale::groups == 8;
