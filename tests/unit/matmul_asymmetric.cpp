#include "matmul_cases.hpp"

using asymmetric_schemes = cases::all_bits<quant::asymmetric, 1>;

TEMPLATE_LIST_TEST_CASE("asymmetric: products are the reference's", "[matmul]",
                        cases::sample<asymmetric_schemes>) {
    cases::check_products<TestType, quant::default_activations<TestType>>();
}
