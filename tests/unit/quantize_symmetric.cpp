#include "quantize_cases.hpp"

using symmetric_schemes = cases::all_bits<quant::symmetric, QUANT_TEST_ROUNDS>;

TEMPLATE_LIST_TEST_CASE("symmetric: quantized bytes are the reference's", "[quantize]",
                        cases::sample<symmetric_schemes>) {
    cases::check_scheme<TestType>();
}

TEST_CASE("symmetric: other element types and orders of the same numbers", "[quantize]") {
    cases::check_sources<
        quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, float>>();
}
