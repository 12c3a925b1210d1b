#include "quantize_cases.hpp"
#include "scheme_levels.hpp"

TEMPLATE_LIST_TEST_CASE("levels of integers: quantized bytes are the reference's", "[quantize]",
                        cases::sample<cases::integer_levels>) {
    cases::check_scheme<TestType>();
}

TEMPLATE_LIST_TEST_CASE("levels of floats: quantized bytes are the reference's", "[quantize]",
                        cases::sample<cases::float_levels>) {
    cases::check_scheme<TestType>();
}
