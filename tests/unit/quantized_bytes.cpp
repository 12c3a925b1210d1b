// Quantized and packed bytes do not depend on compiler, instruction set, optimization or threads:
// every build of this test must find the hashes written here.
#include "bytes_cases.hpp"

using namespace quant;
using cases::hashed;

namespace {

/// Every kind of search: groups in lanes and long ones; levels by arithmetic, by table, of small
/// floating-point numbers; with offsets and without; two levels.
using hashes = std::tuple<
    hashed<scheme<int4, symmetric, group_wise<32>, fp16>, 0xffef610b218e9af, 0x31ac6c88d2888142,
           0x62b11f8f1108b372, 0xc2f5e594366c00e0, 0xbbd7ab0204ba777c>,
    hashed<scheme<int8, symmetric, per_channel, float>, 0x350986533a12ae47, 0x7802fc47e9cff62b,
           0xec34ce76e983877f, 0xfce11ed99db6e3f8, 0x8fe284bb9788460a>,
    hashed<scheme<int3, asymmetric_min, group_wise<32>, fp16>, 0xe2d7112b8118835e,
           0xd86d8a322974dada, 0x9a624b392f6b8208, 0x3bb9f1fba1f2e7aa, 0xbd396f2c63b4f3f0>,
    hashed<scheme<int5, asymmetric, group_wise<20>, bf16>, 0x6aae957f1abfcf38, 0x8ecb646014d4d865,
           0x1f8b46a9f8fd7c4e, 0x5debd05b312f83cb, 0xfa60d0c292aa6ef6>,
    hashed<scheme<int2, midrise, block_wise<4, 24>, float>, 0x8535ceef766477b1, 0x291e3ce4cd7c444d,
           0x40f582ee8d8beed7, 0xe81a5ea83769731e, 0x76772bce99b73dbd>,
    hashed<scheme<int7, asymmetric_min, per_tensor, float>, 0xd45263b77e3c9dc8, 0xc2e520da589f5584,
           0x5f69046d3a81f08b, 0x154d589892c4a860, 0x5f207d928b4b0c15>,
    hashed<scheme<int3, asymmetric, group_wise<20>, bf16>, 0xdc46e45075c3f8cc, 0xa1576d354f8a9163,
           0x7019d070583735f6, 0x7e7f945ddb5cc05b>,
    hashed<scheme<int2, asymmetric_min, per_channel, float>, 0xd2907531459bc05, 0x39937adce9921d0d,
           0x6ad1e980d44ce42e, 0x736762693d4817d8>,
    hashed<scheme<binary, midrise, group_wise<32>, fp16>, 0x712c5e92f2470130, 0xf6aefe41ad927338,
           0x5ef583377c106d27, 0x897a3a177ac35a40>,
    hashed<presets::nvfp4, 0xc067d67def50f904, 0x728796271e4f4b1e, 0xf5efdaf197b8c765,
           0xee90239c82cef9b2, 0xc4fe863d1875d9cd>,
    hashed<presets::q4_k, 0x13f8f3a547acece3, 0xff01156e2b4c6c8d, 0x13f8f3a547acece3>,
    hashed<presets::best_2_7, 0x35870e152fa209fa, 0x6a8e602558823f0b, 0x35870e152fa209fa, 0,
           0x233451dad63ad79d>,
    hashed<presets::best_6_5, 0x5af3fbfeea3ed4a6, 0xb2ea1b71fab42101, 0x5af3fbfeea3ed4a6>>;

/// A scale per group, a minimum beside it, and two levels: for what is compiled many times.
using few_hashes = std::tuple<std::tuple_element_t<0, hashes>, std::tuple_element_t<2, hashes>,
                              std::tuple_element_t<11, hashes>>;

#if defined(QUANT_TEST_FEW_BYTES)
using tested = few_hashes;
#else
using tested = hashes;
#endif

} // namespace

TEMPLATE_LIST_TEST_CASE("packed bytes are the same everywhere", "[bytes]", tested) {
    cases::check_hashes<TestType>();
}
