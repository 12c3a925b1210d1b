#include "matmul_cases.hpp"

using symmetric_schemes = cases::all_bits<quant::symmetric, 1>;

TEMPLATE_LIST_TEST_CASE("symmetric: products are the reference's", "[matmul]",
                        cases::sample<symmetric_schemes>) {
    cases::check_products<TestType, quant::default_activations<TestType>>();
}
