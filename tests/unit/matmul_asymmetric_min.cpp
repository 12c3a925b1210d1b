#include "matmul_cases.hpp"

using asymmetric_min_schemes = cases::all_bits<quant::asymmetric_min, 1>;

TEMPLATE_LIST_TEST_CASE("asymmetric_min: products are the reference's", "[matmul]",
                        cases::sample<asymmetric_min_schemes>) {
    cases::check_products<TestType, quant::default_activations<TestType>>();
}
