// expect-error: two tables have as many levels of std::int8_t, a power of two
#include <quant/policy/presets.hpp>

quant::codebook<quant::presets::tables::a2, quant::presets::tables::b3> unequal;
