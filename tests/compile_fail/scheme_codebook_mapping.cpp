// expect-error: names its levels itself; its mapping must be symmetric
#include <quant/policy/scheme.hpp>

constexpr int bits =
    quant::scheme<quant::nf4, quant::asymmetric, quant::group_wise<64>, float>::bits;
