#include "quantize_cases.hpp"

using symmetric_schemes = cases::all_bits<quant::symmetric, QUANT_TEST_ROUNDS>;

TEMPLATE_LIST_TEST_CASE("symmetric: quantized bytes are the reference's", "[quantize]",
                        symmetric_schemes) {
    cases::check_scheme<TestType>();
}
