#include "matmul_cases.hpp"
#include "scheme_levels.hpp"

namespace {

template <std::size_t... I>
using some_integer_levels = std::tuple<std::tuple_element_t<I, cases::integer_levels>...>;
template <std::size_t... I>
using some_float_levels = std::tuple<std::tuple_element_t<I, cases::float_levels>...>;

// Products take long to compile: one scheme for each way to find a level.
using integer_products = some_integer_levels<0, 1, 2, 4>;
using float_products = some_float_levels<0, 2>;

} // namespace

TEMPLATE_LIST_TEST_CASE("levels of integers: products are the reference's", "[matmul]",
                        cases::sample<integer_products>) {
    cases::check_products<TestType, quant::default_activations<TestType>>();
}

TEMPLATE_LIST_TEST_CASE("levels of floats: products are the reference's", "[matmul]",
                        cases::sample<float_products>) {
    cases::check_products<TestType, quant::default_activations<TestType>>();
}

TEST_CASE("levels of integers times floats", "[matmul]") {
    using namespace quant;
    cases::check_products<std::tuple_element_t<4, cases::integer_levels>, activations::fp32>();
}
