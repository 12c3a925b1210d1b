#include "quantize_cases.hpp"

using asymmetric_min_schemes = cases::all_bits<quant::asymmetric_min, QUANT_TEST_ROUNDS>;

TEMPLATE_LIST_TEST_CASE("asymmetric_min: quantized bytes are the reference's", "[quantize]",
                        cases::sample<asymmetric_min_schemes>) {
    cases::check_scheme<TestType>();
}

TEST_CASE("asymmetric_min: other element types and orders of the same numbers", "[quantize]") {
    cases::check_sources<
        quant::scheme<quant::int4, quant::asymmetric_min, quant::group_wise<32>, float>>();
}
