// Layers of compressed-tensors against weights worked out independently.
#include "checkpoint_cases.hpp"

using namespace checkpoint_test;

TEST_CASE("imports: compressed-tensors", "[safetensors]") {
    const auto& from = checkpoints();
    const auto same = [&]<class S>(const char* name, S, bool permuted = false) {
        check_same(name, st::try_import_compressed_tensors<S>(from, name), permuted);
    };
    same("ct2", middle<2, bf16>{});
    same("ct3_dense", middle<3, bf16>{});
    same("ct3_padded", middle<3, bf16>{});
    same("ct4", middle<4, bf16>{});
    same("ct4", zeros<4, 16, bf16>{});
    same("ct4_zero", zeros<4, 16, bf16>{});
    same("ct5_padded_zero", zeros<5, 16, bf16>{});
    same("ct6_padded", middle<6, bf16>{});
    same("ct7_dense_zero", zeros<7, 16, bf16>{});
    same("ct8", middle<8, bf16>{});
    same("ct4_act", zeros<4, 16, bf16>{}, true);
    using rows8 = scheme<quant::int8, asymmetric, quant::per_channel, float>;
    same("ct_int8", rows8{});
    using rows_fp8 = scheme<quant::fp8_e4m3, symmetric, quant::per_channel, float>;
    same("ct_fp8", rows_fp8{});

    const auto refused = [&]<class S>(const char* name, S, errc code, const char* field,
                                      const char* part) {
        check_refused(st::try_import_compressed_tensors<S>(from, name), code,
                      "safetensors::import_compressed_tensors" + std::string(field), part);
    };
    refused("ct4", middle<2, bf16>{}, errc::shape_mismatch, ": weight_packed",
            "4 words for 32 fields of 2 bits, not 2 or 2");
    refused("ct4_zero", middle<4, bf16>{}, errc::unsupported, "", "a symmetric scheme has 8");
    refused("awq", middle<4, bf16>{}, errc::not_found, ": weight_packed", "no such tensor");
    refused("ct8", rows8{}, errc::unsupported, "", "of which the scheme's 32 are no part");
    refused("ct_fp8", rows8{}, errc::unsupported, ": weight", "is F8_E4M3");
}
