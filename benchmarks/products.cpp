// Products of many tokens with 8 and 4 bits: int8 activations, one thread.
#include "products.hpp"

using namespace bench;

namespace {

const registration here([](registry& to) {
    add_integer_products<per_channel<8>>(to, {95, 35});
    add_integer_products<per_channel<4>>(to, {95, 0});
    add_integer_products<grouped<8, 32>>(to, {82, 35});
    add_integer_products<grouped<4, 128>>(to, {90, 52});
    add_integer_products<grouped<4, 64>>(to, {85, 0});
    add_integer_products<grouped<4, 32>>(to, {82, 40});
    add_integer_products<grouped<4, 32>, quant::default_activations<grouped<4, 32>>>(to, {74, 0});
    add_integer_products<with_zero_point<4, 32>>(to, {75, 0});
    add_integer_products<with_minimum<4, 32>>(to, {75, 0});
});

} // namespace
