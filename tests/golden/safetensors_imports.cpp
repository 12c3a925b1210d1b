// Layers of GPTQ, AWQ, torchao and bitsandbytes against weights worked out independently.
#include "checkpoint_cases.hpp"

#include <quant/policy/presets.hpp>

using namespace checkpoint_test;

TEST_CASE("imports: GPTQ", "[safetensors]") {
    const auto& from = checkpoints();
    constexpr auto less = st::gptq_zeros::minus_one;
    check_same("gptq2", st::try_import_gptq<zeros<2>>(from, "gptq2", less));
    check_same("gptq3", st::try_import_gptq<zeros<3>>(from, "gptq3", less));
    check_same("gptq4", st::try_import_gptq<zeros<4>>(from, "gptq4", less));
    check_same("gptq8", st::try_import_gptq<zeros<8>>(from, "gptq8", less));
    // Finer groups repeat what coarser ones say; float holds every fp16 number.
    check_same("gptq4", st::try_import_gptq<zeros<4, 8, float>>(from, "gptq4", less));
    check_same("gptq4_v2", st::try_import_gptq<zeros<4>>(from, "gptq4_v2", st::gptq_zeros::direct));
    check_same("gptq4_middle", st::try_import_gptq<zeros<4>>(from, "gptq4_middle"));
    check_same("gptq4_middle", st::try_import_gptq<middle<4>>(from, "gptq4_middle"));
    check_same("gptq3_middle_v2", st::try_import_gptq<zeros<3>>(from, "gptq3_middle_v2"));
    check_same("gptq4_act", st::try_import_gptq<zeros<4>>(from, "gptq4_act", less), true);

    constexpr auto where = "safetensors::import_gptq";
    check_refused(st::try_import_gptq<zeros<4>>(from, "none"), errc::not_found,
                  "safetensors::import_gptq: qweight", "no such tensor in \"none\"");
    check_refused(st::try_import_gptq<zeros<4>>(from, "gptq4"), errc::invalid_argument,
                  "safetensors::import_gptq: qzeros", "do not tell");
    check_refused(st::try_import_gptq<zeros<8>>(from, "gptq4"), errc::shape_mismatch,
                  "safetensors::import_gptq: qzeros", "2 x 4, not 2 x 8");
    check_refused(st::try_import_gptq<zeros<4, 32>>(from, "gptq4", less), errc::unsupported, where,
                  "groups of 16 columns, of which the scheme's 32 are no part");
    check_refused(st::try_import_gptq<middle<4>>(from, "gptq4", less), errc::unsupported, where,
                  "a symmetric scheme has 8");
    check_refused(st::try_import_gptq<zeros<4, 16, bf16>>(from, "gptq4", less), errc::unsupported,
                  where, "no number of the scheme's type");
    check_refused(st::try_import_gptq<zeros<4>>(from, "awq", less), errc::shape_mismatch,
                  "safetensors::import_gptq: scales", "2 x 32, not 2 x 4");
}

TEST_CASE("imports: AWQ", "[safetensors]") {
    const auto& from = checkpoints();
    check_same("awq", st::try_import_awq<zeros<4>>(from, "awq"));
    check_refused(st::try_import_awq<middle<4>>(from, "awq"), errc::unsupported,
                  "safetensors::import_awq", "a symmetric scheme has 8");
    check_refused(st::try_import_awq<zeros<4>>(from, "gptq4"), errc::shape_mismatch,
                  "safetensors::import_awq: scales", "2 x 32, not 2 x 256");
    check_refused(st::try_import_awq<zeros<4>>(from, ""), errc::not_found,
                  "safetensors::import_awq: qweight", "no such tensor");
}

TEST_CASE("imports: torchao", "[safetensors]") {
    const auto& from = checkpoints();
    using minimums = scheme<quant::int4, quant::asymmetric_min, group_wise<16>, float>;
    check_same("ao", st::try_import_torchao<minimums>(from, "ao"));
    check_same("ao_symmetric", st::try_import_torchao<minimums>(from, "ao_symmetric"));
    check_same("ao_symmetric", st::try_import_torchao<middle<4, bf16>>(from, "ao_symmetric"));
    check_refused(st::try_import_torchao<middle<4, bf16>>(from, "ao"), errc::unsupported,
                  "safetensors::import_torchao", "a symmetric scheme has 8");
    check_refused(st::try_import_torchao<minimums>(from, "awq"), errc::not_found,
                  "safetensors::import_torchao: _weight_qdata", "no such tensor in \"awq\"");
}

TEST_CASE("imports: bitsandbytes", "[safetensors]") {
    const auto& from = checkpoints();
    using nf4 = quant::presets::nf4_64;
    check_same("nf4", st::try_import_bitsandbytes<nf4>(from, "nf4"));
    check_same("nf4_double", st::try_import_bitsandbytes<nf4>(from, "nf4_double"));
    check_same("fp4", st::try_import_bitsandbytes<st::bitsandbytes_fp4>(from, "fp4"));
    using rows8 = scheme<quant::int8, symmetric, quant::per_channel, float>;
    check_same("bnb8", st::try_import_bitsandbytes<rows8>(from, "bnb8"));

    check_refused(st::try_import_bitsandbytes<nf4>(from, "fp4"), errc::unsupported,
                  "safetensors::import_bitsandbytes: weight.quant_map", "none of the scheme's");
    check_refused(st::try_import_bitsandbytes<nf4>(from, "awq"), errc::not_found,
                  "safetensors::import_bitsandbytes: weight", "no such tensor");
    check_refused(st::try_import_bitsandbytes<rows8>(from, "nf4"), errc::unsupported,
                  "safetensors::import_bitsandbytes: weight", "is U8");
}

TEST_CASE("imports: FP8", "[safetensors]") {
    const auto& from = checkpoints();
    using quant::fp8_e4m3;
    using blocks = scheme<fp8_e4m3, symmetric, quant::block_wise<16, 24>, float>;
    check_same("fp8_blocks", st::try_import_fp8<blocks>(from, "fp8_blocks"));
    using rows = scheme<fp8_e4m3, symmetric, quant::per_channel, bf16>;
    check_same("fp8_rows", st::try_import_fp8<rows>(from, "fp8_rows"));
    check_same("fp8_rows_flat", st::try_import_fp8<rows>(from, "fp8_rows_flat"));
    using one = scheme<fp8_e4m3, symmetric, quant::per_tensor, float>;
    check_same("fp8_one", st::try_import_fp8<one>(from, "fp8_one"));
    // What is said once, or once a row, is so for all parts of it.
    check_same("fp8_one", st::try_import_fp8<rows>(from, "fp8_one"));
    check_same("fp8_one", st::try_import_fp8<blocks>(from, "fp8_one"));
    using groups = scheme<fp8_e4m3, symmetric, group_wise<16>, float>;
    check_same("fp8_rows", st::try_import_fp8<groups>(from, "fp8_rows"));
    using rows_e5m2 = scheme<quant::fp8_e5m2, symmetric, quant::per_channel, bf16>;
    check_same("fp8_e5m2", st::try_import_fp8<rows_e5m2>(from, "fp8_e5m2"));
    check_same("ct_fp8_blocks", st::try_import_compressed_tensors<blocks>(from, "ct_fp8_blocks"));
    check_same("ct_fp8", st::try_import_compressed_tensors<one>(from, "ct_fp8"));

    constexpr auto scale = "safetensors::import_fp8: weight_scale";
    check_refused(st::try_import_fp8<one>(from, "fp8_rows"), errc::shape_mismatch, scale,
                  "24 x 1; 24 x 40 weights in the scheme's blocks have 1 x 1");
    check_refused(st::try_import_fp8<blocks>(from, "fp8_rows"), errc::shape_mismatch, scale,
                  "24 x 1; 24 x 40 weights in the scheme's blocks have 2 x 2");
    check_refused(st::try_import_fp8<rows>(from, "fp8_blocks"), errc::shape_mismatch,
                  "safetensors::import_fp8: weight_scale_inv", "3 x 3; 40 x 56");
    check_refused(st::try_import_fp8<rows>(from, "fp8_e5m2"), errc::unsupported,
                  "safetensors::import_fp8: weight", "is F8_E5M2");
    check_refused(st::try_import_fp8<one>(from, "awq"), errc::not_found,
                  "safetensors::import_fp8: weight", "no such tensor in \"awq\"");
    using half = scheme<fp8_e4m3, symmetric, quant::block_wise<16, 24>, fp16>;
    check_refused(st::try_import_fp8<half>(from, "fp8_blocks"), errc::unsupported,
                  "safetensors::import_fp8", "is no number of the scheme's type");
}
