// Products of many tokens with the other widths: int8 activations, one thread.
#include "products.hpp"

using namespace bench;

namespace {

const registration here([](registry& to) {
    add_integer_products<binary_grouped<64>>(to, {88, 0});
    add_integer_products<grouped<2, 64>>(to, {88, 52});
    add_integer_products<looked_up<64>>(to, {88, 0});
    add_integer_products<grouped<3, 64>>(to, {80, 0});
    add_integer_products<grouped<5, 64>>(to, {80, 0});
    add_integer_products<grouped<6, 64>>(to, {80, 0});
    add_integer_products<grouped<7, 64>>(to, {80, 0});
});

} // namespace
