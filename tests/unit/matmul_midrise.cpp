#include "matmul_cases.hpp"

using midrise_schemes = cases::all_bits<quant::midrise, 1>;

TEMPLATE_LIST_TEST_CASE("midrise: products are the reference's", "[matmul]",
                        cases::sample<midrise_schemes>) {
    cases::check_products<TestType, quant::default_activations<TestType>>();
}
