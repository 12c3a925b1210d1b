// Products of many tokens with activations of more than 8 bits, one thread.
#include "products.hpp"

using namespace bench;
namespace with = quant::activations;

namespace {

const registration here([](registry& to) {
    add_integer_products<grouped<4, 32>, with::int16>(to, {40, 0});
    add_integer_products<grouped<4, 128>, with::int16>(to, {45, 0});
    add_products<grouped<4, 32>, with::bf16>(
        to, limit::bf16_dot_product, {{16, {}}, {64, {85, 0}}, {256, {85, 0}}, {512, {85, 0}}});
    add_products<grouped<4, 32>, with::fp32>(to, limit::multiply_add,
                                             {{16, {}}, {64, {85, 0}}, {256, {92, 0}}});
});

} // namespace
