// expect-error: two_level scales go with symmetric, midrise or asymmetric_min
#include <quant/policy/scheme.hpp>

using scale = quant::two_level<quant::unsigned_scale<6>, quant::fp16, 8>;
constexpr int bits =
    quant::scheme<quant::int4, quant::asymmetric, quant::group_wise<32>, scale>::bits;
