#include "matmul_cases.hpp"
#include "scheme_levels.hpp"

TEMPLATE_LIST_TEST_CASE("levels of integers: products are the reference's", "[matmul]",
                        cases::integer_levels) {
    cases::check_products<TestType, quant::default_activations<TestType>>();
}

TEMPLATE_LIST_TEST_CASE("levels of floats: products are the reference's", "[matmul]",
                        cases::float_levels) {
    cases::check_products<TestType, quant::default_activations<TestType>>();
}

TEST_CASE("levels of integers times floats", "[matmul]") {
    using namespace quant;
    cases::check_products<std::tuple_element_t<2, cases::integer_levels>, activations::fp32>();
    cases::check_products<std::tuple_element_t<4, cases::integer_levels>, activations::bf16>();
}
