// Bytes of our own presets (best_2_7, best_6_5: quantized_bytes.cpp).
#include "bytes_cases.hpp"

using namespace quant;
using cases::hashed;

using presets_of_file = std::tuple<
    hashed<presets::best_2_4, 0xcd227026652131a3, 0xaed566afcd246ebf, 0xcd227026652131a3>,
    hashed<presets::best_3_2, 0xb0d78b641b6f61a0, 0x86febd44bc70c6d, 0xb0d78b641b6f61a0>,
    hashed<presets::best_3_4, 0xa1116455994dd653, 0x1d18dbd46446fe0f, 0xa1116455994dd653>,
    hashed<presets::best_4_3, 0x2a1f529b3f772e40, 0x85c224f97032222f, 0x2a1f529b3f772e40>,
    hashed<presets::best_4_5, 0x3cbbaff49b81957f, 0x2076483784c99404, 0x3cbbaff49b81957f>,
    hashed<presets::best_5_3, 0xa272003900d3c7e0, 0x91de04ed553460dd, 0xa272003900d3c7e0>,
    hashed<presets::best_5_5, 0xadca1dfc09b36a53, 0xc5b92070793869d8, 0xadca1dfc09b36a53>,
    hashed<presets::best_8_5, 0x135f8a59694c92ab, 0x9ab87e32ee83f11b, 0x135f8a59694c92ab>>;

TEMPLATE_LIST_TEST_CASE("our presets: bytes are the same everywhere", "[bytes]",
                        cases::sample<presets_of_file>) {
    cases::check_hashes<TestType>();
}
