// Products of one token, of which AVX-512 takes panel after panel: every way in which codes stay
// where they lie in their bytes, and more panels than go together.
#include "matmul_cases.hpp"

#include <quant/policy/presets.hpp>

#include <cmath>
#include <tuple>
#include <vector>

using namespace quant;
using cases::tested_product;

namespace {

using per_token_int8 = activations::int8<per_token>;

using products = std::tuple<
    // All widths, of which those up to 4 stay; also where 2u + 1 would be multiplied.
    tested_product<binary, symmetric, group_wise<64>, per_token_int8>,
    tested_product<int2, symmetric, group_wise<32>, per_token_int8>,
    tested_product<int3, asymmetric, group_wise<64>, per_token_int8>,
    tested_product<int4, asymmetric_min, group_wise<32>, activations::int8<group_wise<32>>>,
    tested_product<int5, asymmetric, group_wise<32>, per_token_int8>,
    tested_product<int6, symmetric, group_wise<64>, activations::int8<group_wise<64>>>,
    tested_product<int7, asymmetric_min, group_wise<64>, per_token_int8>,
    tested_product<int8, symmetric, group_wise<32>, per_token_int8>,
    tested_product<binary, midrise, group_wise<64>, activations::int8<group_wise<64>>>,
    tested_product<int2, midrise, group_wise<64>, per_token_int8>,
    tested_product<int3, midrise, group_wise<32>, per_token_int8>,
    tested_product<int4, midrise, group_wise<128>, per_token_int8>,
    tested_product<int8, midrise, group_wise<64>, per_token_int8>,
    // Rows as steps, which have more sums; steps of half a superblock, and such as end in its
    // middle.
    tested_product<binary, midrise, per_channel, per_token_int8>,
    tested_product<int2, asymmetric, per_channel, per_token_int8>,
    tested_product<int3, symmetric, per_channel, per_token_int8>,
    tested_product<int4, symmetric, per_channel, per_token_int8>,
    tested_product<int3, symmetric, group_wise<16>, per_token_int8>,
    tested_product<int4, midrise, group_wise<48>, per_token_int8>,
    // Both halves of activations, and tables.
    tested_product<int4, symmetric, group_wise<32>, activations::int16>,
    tested_product<int2, midrise, group_wise<64>, activations::int16>,
    tested_product<codebook<presets::iq4_levels>, symmetric, group_wise<64>, per_token_int8>,
    tested_product<fp4, symmetric, per_channel, per_token_int8>>;

using longest =
    std::tuple<scheme<int2, asymmetric, per_channel, float>,
               scheme<int3, midrise, per_channel, float>, scheme<int7, midrise, per_channel, float>,
               scheme<int8, midrise, per_channel, float>>;

/// Products of a row of largest codes with activations of one sign: sums of steps as far from zero
/// as they get, exactly.
template <class S>
void check_largest() {
    const std::size_t cols = 65'536 + 40;
    for (const float sign : {1.0f, -1.0f}) {
        CAPTURE(to_string(describe<S>()), sign);
        const std::vector<float> x(cols, sign), w(16 * cols, 1.0f);
        const auto packed = quantize_packed<S>(matrix_view<const float>{w.data(), 16, cols});
        std::vector<float> y(16);
        matmul<per_token_int8>(matrix_view<const float>{x.data(), 1, cols}, packed,
                               matrix_view<float>{y.data(), 1, 16});
        cases::check_close<per_token_int8>(y, x, 1, reference::quantize<S>(w, 16, cols));
        CHECK(std::abs(y[0] - sign * static_cast<float>(cols)) < 0.02f * static_cast<float>(cols));
    }
}

} // namespace

TEMPLATE_LIST_TEST_CASE("one token: products are the reference's", "[matmul]",
                        cases::sample<products>) {
    using S = typename TestType::scheme;
    CAPTURE(to_string(describe<S>()));
    thread_pool pool(3);
    // Eighteen panels; columns of several chunks, of which the last one has few, or is a whole one.
    for (const cases::shape size : {cases::shape{275, 333}, {33, 1060}, {20, 512}}) {
        for (const bool asking : {false, true}) {
            CAPTURE(size.rows, size.cols, asking);
            const cases::pretend as(simd::asks_within_panels(), asking);
            cases::check_product<S, typename TestType::activations>(size, 1, pool);
        }
    }
}

TEMPLATE_LIST_TEST_CASE("one token: rows that are longer than a step", "[matmul]",
                        cases::sample<longest>) {
    check_largest<TestType>();
}
