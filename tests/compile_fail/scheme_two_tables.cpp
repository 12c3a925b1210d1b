// expect-error: two tables need a two_level scale of at most 7 bits
#include <quant/policy/presets.hpp>

using both = quant::codebook<quant::presets::tables::a2, quant::presets::tables::b2>;
constexpr int bits =
    quant::scheme<both, quant::symmetric, quant::group_wise<16>, quant::fp16>::bits;
