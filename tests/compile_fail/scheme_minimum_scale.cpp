// expect-error: a minimum needs a scale type with a sign: float, fp16 or bf16
#include <quant/policy/scheme.hpp>

constexpr int bits =
    quant::scheme<quant::int4, quant::asymmetric_min, quant::group_wise<32>, quant::e8m0>::bits;
