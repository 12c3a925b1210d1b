#include "quantize_cases.hpp"

using midrise_schemes = cases::all_bits<quant::midrise, QUANT_TEST_ROUNDS>;

TEMPLATE_LIST_TEST_CASE("midrise: quantized bytes are the reference's", "[quantize]",
                        cases::sample<midrise_schemes>) {
    cases::check_scheme<TestType>();
}

TEST_CASE("midrise: other element types and orders of the same numbers", "[quantize]") {
    cases::check_sources<
        quant::scheme<quant::int4, quant::midrise, quant::group_wise<32>, float>>();
}
