#include "matmul_two_level.hpp"

TEST_CASE("two-level scales: two tables", "[matmul]") {
    using S = cases::two_tables_by_8;
    cases::check_two_level_products<S, quant::default_activations<S>>();
}
TEST_CASE("two-level scales: minimums", "[matmul]") {
    using S = cases::minimums_by_32;
    cases::check_two_level_products<S, quant::default_activations<S>>();
}
