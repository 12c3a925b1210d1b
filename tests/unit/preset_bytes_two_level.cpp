// Bytes of the presets of two-level scales that others define (q4_k: quantized_bytes.cpp).
#include "bytes_cases.hpp"

using namespace quant;
using cases::hashed;

using presets_of_file =
    std::tuple<hashed<presets::q2_k, 0x99a29b193063fa8a, 0x6dad33b3df8f7c93, 0x99a29b193063fa8a>,
               hashed<presets::q3_k, 0xb731040733ec7b0b, 0xf91bee48b276d529, 0xb731040733ec7b0b>,
               hashed<presets::q5_k, 0xeb447425640484c0, 0xee9aa6e2f2e6920a, 0xeb447425640484c0>,
               hashed<presets::q6_k, 0xc8f9848ec82d3ea6, 0xf567346c5a57b30e, 0xc8f9848ec82d3ea6>,
               hashed<presets::iq4_xs, 0x2d65b0cc4a1f49f8, 0x7e59a48c2ea35f73, 0x2d65b0cc4a1f49f8>,
               hashed<presets::iq1_s, 0xca2ab183ae60034, 0x6921145dd47036a2, 0xca2ab183ae60034>,
               hashed<presets::iq1_m, 0x6b0a14759b064058, 0xe2b90b0541edabe7, 0x6b0a14759b064058>,
               hashed<presets::iq2_xxs, 0x7b8cc1f11f0bd576, 0xef1e04afa3319522, 0x7b8cc1f11f0bd576>,
               hashed<presets::iq2_s, 0xf3bf6c2edb3f71e, 0xc06ab7655597f9e3, 0xf3bf6c2edb3f71e>,
               hashed<presets::iq3_xxs, 0xdb8b3b7c118829b1, 0x5e70ec15fcb9c64c, 0xdb8b3b7c118829b1>,
               hashed<presets::iq3_s, 0x12321fe3358d4aa0, 0x7579986e4f0209b6, 0x12321fe3358d4aa0>>;

TEMPLATE_LIST_TEST_CASE("presets of two levels: bytes are the same everywhere", "[bytes]",
                        cases::sample<presets_of_file>) {
    cases::check_hashes<TestType>();
}
