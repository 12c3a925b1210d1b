// expect-error: levels must ascend
#include <quant/policy/scheme.hpp>

struct mixed {
    static constexpr std::array<float, 3> levels{-1.0f, 1.0f, 0.5f};
};
constexpr int bits =
    quant::scheme<quant::codebook<mixed>, quant::symmetric, quant::per_channel, float>::bits;
