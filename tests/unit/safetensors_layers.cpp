// Broken layers of other quantizers: each is refused with an error that names the tensor.
#include "safetensors_image.hpp"

#include <quant/core/little_endian.hpp>
#include <quant/policy/presets.hpp>
#include <quant/quantize/dequantize.hpp>

#include <cstddef>
#include <initializer_list>
#include <map>

using namespace safetensors_test;
namespace st = quant::safetensors;

namespace {

/// A file made of tensors of little-endian elements.
class layer {
public:
    template <class T>
    layer& put(const std::string& name, std::string_view type, std::string_view shape,
               const std::vector<T>& values) {
        std::string bytes(values.size() * sizeof(T), '\0');
        auto* to = reinterpret_cast<std::byte*>(bytes.data());
        for (std::size_t i = 0; i < values.size(); ++i) {
            quant::detail::store_le(to + i * sizeof(T), values[i]);
        }
        tensors_[name] = {std::string(type), std::string(shape), bytes};
        return *this;
    }
    layer& text(const std::string& name, const std::string& value) {
        tensors_[name] = {"U8", std::to_string(value.size()), value};
        return *this;
    }
    layer& drop(const std::string& name) {
        tensors_.erase(name);
        return *this;
    }

    /// Its answer to an import; the file lives as long.
    template <class F>
    auto ask(const F& import_it) const {
        std::string header = "{";
        std::string data;
        for (const auto& [name, each] : tensors_) {
            if (header.size() > 1) header += ',';
            const std::size_t begin = data.size();
            data += each.bytes;
            header += tensor(name, each.type, each.shape,
                             std::to_string(begin) + ',' + std::to_string(data.size()));
        }
        auto bytes = image(header + "}");
        for (const char c : data) bytes.push_back(static_cast<std::byte>(c));
        return import_it(file::parse(bytes));
    }
    template <class F>
    void refused(const F& import_it, errc code, std::string_view name,
                 std::string_view part) const {
        const auto answer = ask(import_it);
        REQUIRE_FALSE(answer.has_value());
        INFO(answer.failure().what());
        CHECK(answer.failure().code() == code);
        CHECK(answer.failure().where().ends_with(name));
        CHECK(std::string_view(answer.failure().message()).find(part) != std::string_view::npos);
    }

private:
    struct entry {
        std::string type, shape, bytes;
    };
    std::map<std::string, entry> tensors_;
};

using ints = std::vector<std::int32_t>;
using shorts = std::vector<std::uint16_t>;
using bytes = std::vector<std::uint8_t>;
using floats = std::vector<float>;
using g4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<8>, float>;

const auto gptq = [](const file& from) { return st::try_import_gptq<g4>(from, ""); };
const auto awq = [](const file& from) { return st::try_import_awq<g4>(from, ""); };
const auto packed = [](const file& from) {
    return st::try_import_compressed_tensors<g4>(from, "");
};
const auto bnb = [](const file& from) {
    return st::try_import_bitsandbytes<quant::presets::nf4_64>(from, "l");
};

/// 8 outputs, 16 inputs in two groups; zero points 8, stored less one.
layer good_gptq() {
    layer made;
    made.put("qweight", "I32", "2,8", ints(16, 0x12345678))
        .put("qzeros", "I32", "2,1", ints(2, 0x77777777))
        .put("scales", "F32", "2,8", floats(16, 0.5f))
        .put("g_idx", "I32", "16", ints{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1});
    return made;
}

layer good_packed() {
    layer made;
    made.put("weight_packed", "I32", "8,2", ints(16, 0x12345678))
        .put("weight_shape", "I32", "2", ints{8, 16})
        .put("weight_scale", "F32", "8,2", floats(16, 0.5f));
    return made;
}

layer good_bnb(std::string_view state =
                   R"({"blocksize":64,"shape":[2,64],"nested_blocksize":256,)"
                   R"("nested_offset":0.5,"other":[1,2.5,null,"x",true,-1]})") {
    layer made;
    std::vector<float> levels(quant::nf4_levels::levels.begin(), quant::nf4_levels::levels.end());
    made.put("l.weight", "U8", "64,1", bytes(64, 0x1F))
        .put("l.weight.quant_map", "F32", "16", levels)
        .put("l.weight.absmax", "U8", "2", bytes{0, 255})
        .put("l.weight.nested_quant_map", "F32", "256", floats(256, 0.25f))
        .put("l.weight.nested_absmax", "F32", "1", floats{2})
        .text("l.weight.quant_state.bitsandbytes__nf4", std::string(state));
    return made;
}

} // namespace

TEST_CASE("layers: GPTQ", "[safetensors]") {
    const auto imported = good_gptq().ask(gptq);
    if (!imported) FAIL(imported.failure().what());
    CHECK(imported->permutation()[1] == 2);
    CHECK(imported->weights.codes()[0] == 8);
    CHECK(imported->weights.codes()[1] == 6); // input 2

    for (const char* name : {"qweight", "qzeros", "scales"}) {
        good_gptq().drop(name).refused(gptq, errc::not_found, name, "no such tensor");
        good_gptq().put(name, "U8", "2", bytes(2)).refused(gptq, errc::unsupported, name, "is U8");
    }
    good_gptq()
        .put("qweight", "I32", "16", ints(16))
        .refused(gptq, errc::shape_mismatch, "qweight", "1 dimensions");
    good_gptq()
        .put("qweight", "I32", "0,8", ints())
        .refused(gptq, errc::shape_mismatch, "qweight", "0 elements");
    good_gptq()
        .put("scales", "F32", "3,8", floats(24))
        .refused(gptq, errc::shape_mismatch, "qzeros", "2 x 1, not 3 x 1");
    good_gptq()
        .put("g_idx", "I32", "15", ints(15))
        .refused(gptq, errc::shape_mismatch, "g_idx", "15 numbers for 16 columns");
    good_gptq()
        .put("g_idx", "F32", "16", floats(16))
        .refused(gptq, errc::unsupported, "g_idx", "is F32");
    ints order(16);
    good_gptq()
        .put("g_idx", "I32", "16", order)
        .refused(gptq, errc::unsupported, "g_idx", "group 0 has more than 8 columns");
    for (const std::int32_t group : {-1, 2, INT32_MIN, INT32_MAX}) {
        order[3] = group;
        good_gptq()
            .put("g_idx", "I32", "16", order)
            .refused(gptq, errc::invalid_argument, "g_idx", "of column 3; there are 2");
    }
    floats scales(16, 0.5f);
    scales[11] = quant::core_detail::bit_cast<float>(0x7F800000);
    good_gptq()
        .put("scales", "F32", "2,8", scales)
        .refused(gptq, errc::non_finite, "import_gptq", "the scale of row 3, group 1");
    good_gptq()
        .drop("g_idx")
        .put("scales", "F32", "3,8", floats(24))
        .put("qzeros", "I32", "3,1", ints(3, 0x77777777))
        .refused(gptq, errc::unsupported, "import_gptq", "16 columns in 3 groups");
}

TEST_CASE("layers: AWQ", "[safetensors]") {
    layer good;
    good.put("qweight", "I32", "16,1", ints(16, 0x76543210))
        .put("qzeros", "I32", "2,1", ints(2, static_cast<std::int32_t>(0x88888888u)))
        .put("scales", "F16", "2,8", shorts(16, 0x3C00));
    const auto imported = good.ask(awq);
    if (!imported) FAIL(imported.failure().what());
    CHECK(imported->weights.codes()[16] == 4); // output 1 is the fifth nibble
    layer(good).drop("qzeros").refused(awq, errc::not_found, "qzeros", "no such tensor");
    layer(good)
        .put("qzeros", "I32", "1,1", ints(1))
        .refused(awq, errc::shape_mismatch, "qzeros", "1 x 1, not 2 x 1");
    layer(good)
        .put("scales", "F16", "2,7", shorts(14))
        .refused(awq, errc::shape_mismatch, "scales", "2 x 7, not 2 x 8");
}

TEST_CASE("layers: compressed-tensors", "[safetensors]") {
    CHECK(good_packed().ask(packed).has_value());
    for (const char* name : {"weight_packed", "weight_shape", "weight_scale"}) {
        good_packed().drop(name).refused(packed, errc::not_found, name, "no such tensor");
    }
    good_packed()
        .put("weight_shape", "I32", "3", ints{8, 16, 1})
        .refused(packed, errc::shape_mismatch, "weight_shape", "3 numbers");
    good_packed()
        .put("weight_shape", "I32", "2", ints{8, -16})
        .refused(packed, errc::invalid_argument, "weight_shape", "8 x -16");
    good_packed()
        .put("weight_shape", "I64", "2", std::vector<std::int64_t>{8, INT64_MAX})
        .refused(packed, errc::invalid_argument, "weight_shape", "8 x 9223372036854775807");
    good_packed()
        .put("weight_shape", "I32", "2", ints{9, 16})
        .refused(packed, errc::shape_mismatch, "weight_packed", "8 rows, not 9");
    good_packed()
        .put("weight_shape", "I32", "2", ints{8, 17})
        .refused(packed, errc::shape_mismatch, "weight_packed", "2 words for 17 fields");
    good_packed()
        .put("weight_scale", "F32", "7,2", floats(14))
        .refused(packed, errc::shape_mismatch, "weight_scale", "14 numbers for 8 rows");
    good_packed()
        .put("weight_scale", "F32", "0", floats())
        .refused(packed, errc::shape_mismatch, "weight_scale", "0 numbers");
    good_packed()
        .put("weight_zero_point", "I32", "2,2", ints(4))
        .refused(packed, errc::shape_mismatch, "weight_zero_point", "2 words for 8 fields");
    good_packed()
        .put("weight_zero_point", "I32", "1,1", ints(1))
        .refused(packed, errc::shape_mismatch, "weight_zero_point", "1 columns, not 2");
    good_packed()
        .put("weight_scale", "F32", "1", floats{1})
        .put("weight_zero_point", "I32", "1,1", ints(1))
        .refused(packed, errc::shape_mismatch, "weight_zero_point", "one scale for all");
    good_packed()
        .put("weight_zero_point", "I8", "8,2", bytes(16, 8))
        .refused(packed, errc::code_out_of_range, "weight_zero_point", "8 is no zero point");
    good_packed()
        .put("weight_zero_point", "I8", "1", bytes(1))
        .refused(packed, errc::shape_mismatch, "weight_zero_point", "1 numbers for 16 scales");
    good_packed()
        .put("weight_g_idx", "I32", "3", ints{0, 0, 0})
        .refused(packed, errc::shape_mismatch, "weight_g_idx", "3 numbers for 16 columns");

    // Two words hold 20 fields of 3 bits in both packings.
    using g3 = quant::scheme<quant::int3, quant::symmetric, quant::per_channel, float>;
    layer()
        .put("weight_packed", "I32", "1,2", ints(2))
        .put("weight_shape", "I32", "2", ints{1, 20})
        .put("weight_scale", "F32", "1", floats{1})
        .refused([](const file& from) { return st::try_import_compressed_tensors<g3>(from, ""); },
                 errc::unsupported, "weight_packed", "do not tell the packing");
    using rows_fp8 = quant::scheme<quant::fp8_e4m3, quant::symmetric, quant::per_channel, float>;
    layer()
        .put("weight", "F8_E4M3", "1,2", bytes{0, 0x7F})
        .put("weight_scale", "F32", "1", floats{1})
        .refused(
            [](const file& from) { return st::try_import_compressed_tensors<rows_fp8>(from, ""); },
            errc::code_out_of_range, "tensors", "code 127");
}

TEST_CASE("layers: torchao", "[safetensors]") {
    const auto ao = [](const file& from) { return st::try_import_torchao<g4>(from, ""); };
    layer good;
    good.put("_weight_qdata", "U8", "1,8", bytes(8, 0xF1))
        .put("_weight_scale", "F32", "2,1", floats{1, 2})
        .put("_weight_zero_point", "F32", "2,1", floats{0, 0});
    const auto imported = good.ask(ao);
    if (!imported) FAIL(imported.failure().what());
    CHECK((imported->weights.codes()[0] == 9 && imported->weights.codes()[1] == 7));
    for (const char* name : {"_weight_scale", "_weight_zero_point"}) {
        layer(good).drop(name).refused(ao, errc::not_found, name, "no such tensor");
        layer(good)
            .put(name, "F32", "2,2", floats(4))
            .refused(ao, errc::shape_mismatch, name, "2 x 2, not 2 x 1");
    }
}

TEST_CASE("layers: bitsandbytes", "[safetensors]") {
    const auto imported = good_bnb().ask(bnb);
    if (!imported) FAIL(imported.failure().what());
    CHECK(imported->weights.scales()[1] == 1.0f);
    CHECK((imported->weights.codes()[0] == 1 && imported->weights.codes()[1] == 15));

    constexpr auto state = "weight.quant_state.bitsandbytes__nf4";
    good_bnb().drop(std::string("l.") + state).refused(bnb, errc::not_found, state, "no such");
    const auto refused_state = [](const std::string& text, errc code, std::string_view where,
                                  std::string_view part) {
        CAPTURE(text);
        good_bnb(text).refused(bnb, code, where, part);
    };
    const std::string deep(100000, '[');
    for (const std::string& text : {std::string(), std::string("{"), std::string("[]"),
                                    std::string("{\"a\":{}}"), "{\"shape\":" + deep}) {
        refused_state(text, errc::bad_format, "weight.quant_state", "no JSON");
    }
    for (const std::string shape : {"", "2", "2,64,1", "0,64", "2,9223372036854775807",
                                    "144115188075855871,144115188075855871"}) {
        refused_state("{\"blocksize\":64,\"shape\":[" + shape + "]}", errc::shape_mismatch,
                      "weight.quant_state", "no matrix");
    }
    refused_state(R"({"blocksize":64,"shape":[2,63]})", errc::shape_mismatch, "weight",
                  "64 bytes for 2 x 63");
    for (const std::string block : {"0", "128", "48", "18446744073709551615"}) {
        refused_state("{\"blocksize\":" + block + ",\"shape\":[2,64]}", errc::unsupported,
                      "import_bitsandbytes", "run over the ends of rows of 64 columns");
    }
    refused_state(R"({"blocksize":64,"shape":[2,64]})", errc::bad_format, "weight.quant_state",
                  "no nested_blocksize");
    refused_state(R"({"blocksize":32,"shape":[2,64],"nested_blocksize":256})", errc::shape_mismatch,
                  "weight.absmax", "2 numbers, not 4");
    refused_state(R"({"blocksize":64,"shape":[2,64],"nested_blocksize":1})", errc::shape_mismatch,
                  "weight.nested_absmax", "1 numbers, not 2");
    good_bnb()
        .put("l.weight.quant_map", "F32", "15", floats(15))
        .refused(bnb, errc::shape_mismatch, "weight.quant_map", "15 numbers, not 16");
    good_bnb()
        .put("l.weight.nested_quant_map", "F32", "16", floats(16))
        .refused(bnb, errc::shape_mismatch, "weight.nested_quant_map", "16 numbers, not 256");
    good_bnb()
        .put("l.weight.nested_quant_map", "F32", "256",
             floats(256, quant::core_detail::bit_cast<float>(0x7FC00000)))
        .refused(bnb, errc::non_finite, "import_bitsandbytes", "the scale of row 0");

    using rows8 = quant::scheme<quant::int8, quant::symmetric, quant::per_channel, float>;
    const auto bnb8 = [](const file& from) { return st::try_import_bitsandbytes<rows8>(from, ""); };
    layer good8;
    good8.put("weight", "I8", "1,2", bytes{1, 2}).put("SCB", "F32", "1", floats{127});
    CHECK(good8.ask(bnb8).has_value());
    layer(good8).drop("SCB").refused(bnb8, errc::not_found, "SCB", "no such tensor");
    layer(good8)
        .put("SCB", "F32", "2", floats{1, 2})
        .refused(bnb8, errc::shape_mismatch, "SCB", "2 numbers for 1 rows");
    layer(good8)
        .put("weight_format", "U8", "", bytes{2})
        .refused(bnb8, errc::unsupported, "weight_format", "not in rows");
}

TEST_CASE("imports: broken FP8 layers", "[safetensors]") {
    using blocks =
        quant::scheme<quant::fp8_e4m3, quant::symmetric, quant::block_wise<128, 128>, float>;
    const auto fp8 = [](const file& from) { return st::try_import_fp8<blocks>(from, ""); };
    // 2 × 2 blocks of 128 × 128, the last ones of 2 rows and 3 columns; all weights 1.
    constexpr std::size_t rows = 130, cols = 131;
    layer good;
    good.put("weight", "F8_E4M3", "130,131", bytes(rows * cols, 0x38))
        .put("weight_scale_inv", "F32", "2,2", floats{1, 2, 3, 4})
        .put("input_scale", "F32", "", floats{9});
    const auto imported = good.ask(fp8);
    if (!imported) FAIL(imported.failure().what());
    std::vector<float> weights(rows * cols);
    quant::dequantize(imported->weights, quant::matrix_view(weights.data(), rows, cols));
    for (std::size_t n = 0; n < rows; ++n) {
        for (std::size_t k = 0; k < cols; ++k) {
            const float expected = 1.0f + (k < 128 ? 0 : 1) + (n < 128 ? 0 : 2);
            if (weights[n * cols + k] != expected) FAIL(n << ", " << k);
        }
    }
    CHECK(layer(good).put("weight_scale_inv", "F32", "", floats{1}).ask(fp8).has_value());

    layer(good).drop("weight").refused(fp8, errc::not_found, ": weight", "no such tensor");
    layer(good)
        .drop("weight_scale_inv")
        .refused(fp8, errc::not_found, ": weight_scale", "no such tensor");
    layer(good)
        .put("weight_scale", "F32", "", floats{1})
        .refused(fp8, errc::invalid_argument, ": weight_scale", "there is a weight_scale_inv, too");
    layer(good)
        .put("weight_scale_inv", "F32", "4", floats{1, 2, 3, 4})
        .refused(fp8, errc::shape_mismatch, ": weight_scale_inv", "1 x 4; 130 x 131 weights");
    layer(good)
        .put("weight_scale_inv", "F32", "0,2", floats{})
        .refused(fp8, errc::shape_mismatch, ": weight_scale_inv", "0 x 2");
    layer(good)
        .put("weight_scale_inv", "I32", "2,2", std::vector<std::int32_t>{1, 2, 3, 4})
        .refused(fp8, errc::unsupported, ": weight_scale_inv", "is I32");
    layer(good)
        .put("weight_scale_inv", "F32", "2,2",
             floats{1, 2, quant::core_detail::bit_cast<float>(0x7F800000), 4})
        .refused(fp8, errc::non_finite, "import_fp8", "the scale of row 1, group 0");
    layer(good)
        .put("weight", "F8_E4M3", "0,131", bytes{})
        .refused(fp8, errc::shape_mismatch, ": weight", "a matrix is needed");
    for (const std::uint8_t nan : bytes{0x7F, 0xFF}) {
        bytes codes(rows * cols, 0x38);
        codes[2 * cols + 5] = nan;
        layer(good)
            .put("weight", "F8_E4M3", "130,131", codes)
            .refused(fp8, errc::code_out_of_range, ": weight",
                     "code " + std::to_string(nan) + " at row 2, column 5");
    }
}
