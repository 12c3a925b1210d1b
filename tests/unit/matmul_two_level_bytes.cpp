#include "matmul_two_level.hpp"

TEST_CASE("two-level scales: bytes", "[matmul]") {
    using S = cases::bytes_by_16;
    cases::check_two_level_products<S, quant::default_activations<S>>();
}
TEST_CASE("two-level scales times floats", "[matmul]") {
    cases::check_two_level_products<cases::threes_by_16, quant::activations::fp32>();
}
