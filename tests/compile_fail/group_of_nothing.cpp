// expect-error: a group has 1 to 2\^32 - 1 weights
#include <quant/policy/scheme.hpp>

constexpr auto columns = quant::group_wise<0>::cols;
