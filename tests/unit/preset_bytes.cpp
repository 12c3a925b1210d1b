// Bytes of the presets of one scale per group (nvfp4: quantized_bytes.cpp).
#include "bytes_cases.hpp"

using namespace quant;
using cases::hashed;

using presets_of_file = std::tuple<
    hashed<presets::q4_0, 0xffef610b218e9af, 0x31ac6c88d2888142, 0x62b11f8f1108b372,
           0xc2f5e594366c00e0>,
    hashed<presets::q4_1, 0x599eed110d0b87e5, 0x4a9c9d50122c5c52, 0xf9722d912d69b1de,
           0xba8489609d186d54>,
    hashed<presets::q5_0, 0x84a9fa57da6b5f80, 0x2b3eea0b082ceb1e, 0x3a8d1f16c4c78f89,
           0x949cb60c038f8573>,
    hashed<presets::q5_1, 0xab19386947976d85, 0xb763701cdc089024, 0x7991ade355440784,
           0x2abe3d5e85b50021>,
    hashed<presets::q8_0, 0xfddade93dbaf0c2c, 0xb3d96b3e48d84951, 0x99a44802331d01b,
           0x30f7566f0d2d67eb>,
    hashed<presets::tq2_0, 0xdcc753f3eb54f539, 0x2fa001253167ad80, 0x5adfa12363769abf,
           0x8668765fdf63be59>,
    hashed<presets::q1_0, 0xf284943925869782, 0x9d145b6301d7be20, 0x9f48843fab94713a,
           0x9c99c315cae488af>,
    hashed<presets::q2_0, 0xa91d295e86653a88, 0x7dde9b1b270f6e53, 0x72f560ba8ce80f66,
           0x6a2f54cb9860e6fa>,
    hashed<presets::mxfp4, 0x1f3b2c35cf467161, 0xd69c3335aebbb91, 0xad0d2a5307fd942e,
           0x75c8f62aac0eef3c>,
    hashed<presets::mxfp6_e2m3, 0x6f4c2bd59ac9180d, 0xb1d4448d1ebaa02a, 0x6a0aec0da6dddc88,
           0xbe43c248597b320d>,
    hashed<presets::mxfp6_e3m2, 0x6b0c7da80b3ff2b0, 0x7a80365176df71b3, 0x23a6e1a685bc8ffc,
           0xb7a61ef3348182d>,
    hashed<presets::mxfp8_e4m3, 0x1c833b301a4a0413, 0x621ff4232e94004f, 0x1c833b301a4a0413,
           0x3d8759c678b99386>,
    hashed<presets::mxfp8_e5m2, 0xe6f1c7200e6c126a, 0xe6f1c7200e6c126a, 0xe6f1c7200e6c126a,
           0xd96381620608ad50>,
    hashed<presets::mxint8, 0xefeb3edbe25f528f, 0xba6310a2abc6d384, 0x6a2ac90981b8008b,
           0xfb4ed3e6ce485e1c>,
    hashed<presets::nf4_64, 0xd0e158a1e2e954d2, 0xedb4edba882b3c8b, 0xbe4076c66e043d4a,
           0x32a7fece748f053d>,
    hashed<presets::nf4_double, 0xbaaf6891b4a9b8ec, 0x7f4973a5a085e5eb, 0xbaaf6891b4a9b8ec>,
    hashed<presets::bitnet, 0xbc9e9cdecdd866f2, 0x84c1fd59a24daf97, 0x388ff00ed7702607,
           0xf367c0af7492e842>,
    hashed<presets::iq4_nl, 0x4d20dde7fc9f0bbb, 0x2967290e9c14ea10, 0xac8f469e9965b4d7,
           0xfee522d671da8cc6>>;

TEMPLATE_LIST_TEST_CASE("presets: bytes are the same everywhere", "[bytes]",
                        cases::sample<presets_of_file>) {
    cases::check_hashes<TestType>();
}
