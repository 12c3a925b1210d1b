#include "quantize_cases.hpp"

using asymmetric_min_schemes = cases::all_bits<quant::asymmetric_min, QUANT_TEST_ROUNDS>;

TEMPLATE_LIST_TEST_CASE("asymmetric_min: quantized bytes are the reference's", "[quantize]",
                        asymmetric_min_schemes) {
    cases::check_scheme<TestType>();
}
