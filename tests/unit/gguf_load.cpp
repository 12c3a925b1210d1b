// Tensors as packed weights: the numbers of gguf::dequantize, bit for bit, for every type; and what
// is refused.
#include "gguf_loading.hpp"

#include <quant/kernel/any_packed_matrix.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

using namespace gguf_test;

namespace {

std::optional<bytes> read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return std::nullopt;
    const std::vector<char> text{std::istreambuf_iterator<char>(in), {}};
    const auto all = std::as_bytes(std::span(text.data(), text.size()));
    return bytes(all.begin(), all.end());
}

/// What loading made: the error, or the real numbers.
struct outcome {
    std::optional<quant::error> failure;
    std::vector<float> values;
};
template <quant::quantization_scheme S>
outcome loaded(std::span<const gguf::tensor> tensors) {
    const auto packed = gguf::try_load<S>(tensors);
    if (!packed) return {packed.failure(), {}};
    return {std::nullopt, values_of(*packed)};
}

/// A type with its scheme, and where in its blocks there are fp16 numbers. Instantiated once per
/// scheme: tests go over this table.
struct loaded_type {
    type which;
    outcome (*load)(std::span<const gguf::tensor>);
    quant::scheme_descriptor scheme;
    std::vector<std::size_t> fp16_at;
    std::string golden; ///< the golden data's name of it
};
template <quant::quantization_scheme S>
loaded_type as(type which, std::vector<std::size_t> fp16_at, const char* golden = nullptr) {
    return {which, &loaded<S>, quant::describe<S>(), std::move(fp16_at),
            golden != nullptr ? golden : to_string(which)};
}
using q8_k = quant::scheme<quant::int8, quant::symmetric, quant::group_wise<256>, float>;

const std::vector<loaded_type> all_types{
    as<presets::q4_0>(type::q4_0, {0}),
    as<presets::q4_1>(type::q4_1, {0, 2}),
    as<presets::q5_0>(type::q5_0, {0}),
    as<presets::q5_1>(type::q5_1, {0, 2}),
    as<presets::q8_0>(type::q8_0, {0}),
    as<presets::q8_0>(type::q8_1, {0}),
    as<presets::q2_k>(type::q2_k, {80, 82}, "q2_K"),
    as<presets::q3_k>(type::q3_k, {108}, "q3_K"),
    as<presets::q4_k>(type::q4_k, {0, 2}, "q4_K"),
    as<presets::q5_k>(type::q5_k, {0, 2}, "q5_K"),
    as<presets::q6_k>(type::q6_k, {208}, "q6_K"),
    as<q8_k>(type::q8_k, {}),
    as<presets::iq2_xxs>(type::iq2_xxs, {0}),
    as<presets::iq2_s>(type::iq2_xs, {0}),
    as<presets::iq2_s>(type::iq2_s, {0}),
    as<presets::iq3_xxs>(type::iq3_xxs, {0}),
    as<presets::iq3_s>(type::iq3_s, {0}),
    as<presets::iq1_s>(type::iq1_s, {0}),
    as<presets::iq1_m>(type::iq1_m, {}),
    as<presets::iq4_nl>(type::iq4_nl, {0}),
    as<presets::iq4_xs>(type::iq4_xs, {0}),
    as<presets::tq2_0>(type::tq1_0, {52}),
    as<presets::tq2_0>(type::tq2_0, {64}),
    as<presets::mxfp4>(type::mxfp4, {}),
    as<presets::nvfp4>(type::nvfp4, {}),
    as<presets::q1_0>(type::q1_0, {0}),
    as<presets::q2_0>(type::q2_0, {0}),
};

void check_exact(const loaded_type& each, std::size_t rows, std::size_t blocks_per_row,
                 bytes blocks) {
    const std::size_t cols = blocks_per_row * *gguf::try_block_size(each.which);
    CAPTURE(to_string(each.which), rows, cols);
    const tensors_of file(each.which, rows, cols, std::move(blocks));
    const outcome made = each.load(file.all());
    if (made.failure) FAIL(made.failure->what());
    CHECK(differences(made.values, decoded(file.all())) == 0);
}

} // namespace

TEST_CASE("gguf load: random blocks are the decoder's numbers, bit for bit", "[gguf]") {
    std::mt19937 random(1);
    for (const loaded_type& each : all_types) {
        check_exact(each, 1, 1, loadable_blocks(each.which, 1, random));
        check_exact(each, 35, 3, loadable_blocks(each.which, 35 * 3, random));
    }
}

TEST_CASE("gguf load: without a scheme, the type decides", "[gguf]") {
    std::mt19937 random(9);
    for (const loaded_type& each : all_types) {
        CAPTURE(to_string(each.which));
        const std::size_t cols = 2 * *gguf::try_block_size(each.which);
        const tensors_of file(each.which, 5, cols, loadable_blocks(each.which, 10, random));
        const gguf::any_matrix loaded = gguf::load(file.one());
        CHECK(loaded.descriptor() == each.scheme);
        CHECK(loaded.rows() == 5);
        CHECK(loaded.cols() == cols);
        const auto values = loaded.visit([](const auto& packed) { return values_of(packed); });
        CHECK(differences(values, decoded(file.all())) == 0);
        CHECK(gguf::try_load(file.all(), quant::serial)->rows() == 5);
    }
    const tensors_of floats(type::f16, 1, 32, bytes(64));
    check_error(gguf::try_load(floats.one()), errc::unsupported, first,
                "its type, f16, is numbers without scales: decode and quantize them, or multiply "
                "them as floats");
    CHECK_THROWS_AS(gguf::load(floats.all()), quant::error);
}

TEST_CASE("gguf load: zero and minus zero as scales", "[gguf]") {
    std::mt19937 random(2);
    for (const loaded_type& each : all_types) {
        bytes blocks = loadable_blocks(each.which, 4, random);
        const std::size_t size = blocks.size() / 4;
        for (std::size_t b = 0; b < 4; ++b) {
            for (std::size_t i = 0; i < each.fp16_at.size(); ++i) {
                put16(&blocks[b * size + each.fp16_at[i]], (b >> i & 1u) != 0 ? 0x8000u : 0u);
            }
        }
        check_exact(each, 2, 2, blocks);
        check_exact(each, 2, 1, bytes(2 * size));
    }
}

TEST_CASE("gguf load: the golden blocks", "[gguf][golden]") {
    std::size_t found = 0;
    for (const loaded_type& each : all_types) {
        const std::size_t size = *gguf::try_block_bytes(each.which);
        for (const char* kind : {".blocks", ".random.blocks"}) {
            const auto blocks = read(std::filesystem::path(QUANT_SHARED_DATA "/gguf_golden") /
                                     (each.golden + kind));
            if (!blocks) continue;
            ++found;
            bytes loadable;
            for (std::size_t at = 0; at < blocks->size(); at += size) {
                const auto block = std::span(*blocks).subspan(at, size);
                if (loads(each.which, block)) {
                    loadable.insert(loadable.end(), block.begin(), block.end());
                }
            }
            if (!loadable.empty()) {
                check_exact(each, 1, loadable.size() / size, loadable);
            }
        }
    }
    if (found == 0) SKIP("no golden data in " QUANT_SHARED_DATA);
}

TEST_CASE("gguf load: whatever the bytes are, the decoder's numbers or an error", "[gguf]") {
    std::mt19937 random(3);
    std::size_t accepted = 0, refused = 0;
    for (const loaded_type& each : all_types) {
        for (int i = 0; i < 40; ++i) {
            const tensors_of file(each.which, 1, *gguf::try_block_size(each.which),
                                  random_block(each.which, random));
            const outcome made = each.load(file.all());
            if (!made.failure) {
                // Infinite where a finite scale times a level is (mxfp4), never NaN.
                CHECK(differences(made.values, decoded(file.all())) == 0);
                ++accepted;
            } else {
                CHECK_FALSE(loads(each.which, file.one().data()));
                CHECK((made.failure->code() == errc::non_finite ||
                       made.failure->code() == errc::code_out_of_range));
                ++refused;
            }
        }
    }
    CHECK(accepted > 0);
    CHECK(refused > 0);
}

TEST_CASE("gguf load: scheme_of says what a type is loaded as", "[gguf]") {
    for (const loaded_type& each : all_types) {
        CAPTURE(to_string(each.which));
        CHECK(gguf::scheme_of(each.which) == each.scheme);
    }
    for (const type which : {type::f32, type::f16, type::bf16, type::f64, type::i8, type::i64}) {
        CHECK_FALSE(gguf::scheme_of(which).has_value());
    }
    for (const std::uint32_t id : {4u, 31u, 36u, 43u, 1000u, 0xFFFFFFFFu}) {
        CHECK_FALSE(gguf::scheme_of(static_cast<type>(id)).has_value());
    }
    static_assert(gguf::scheme_of(type::q4_k) == quant::describe<presets::q4_k>());
}

TEST_CASE("gguf load: tensors below each other are one matrix", "[gguf]") {
    std::mt19937 random(4);
    const tensors_of file(256, {{type::tq1_0, 5, loadable_blocks(type::tq1_0, 5, random)},
                                {type::tq2_0, 12, loadable_blocks(type::tq2_0, 12, random)},
                                {type::tq1_0, 20, loadable_blocks(type::tq1_0, 20, random)}});
    const outcome made = loaded<presets::tq2_0>(file.all());
    REQUIRE_FALSE(made.failure.has_value());
    CHECK(made.values.size() == 37 * 256);
    CHECK(differences(made.values, decoded(file.all())) == 0);
}

TEST_CASE("gguf load: numbers that are not finite are refused by row and block", "[gguf]") {
    std::mt19937 random(6);
    const auto check_refused_at = [&](const loaded_type& each, std::size_t at, unsigned bits) {
        bytes blocks = loadable_blocks(each.which, 6, random);
        put16(&blocks[4 * blocks.size() / 6 + at], bits);
        const tensors_of file(each.which, 3, 2 * *gguf::try_block_size(each.which), blocks);
        CAPTURE(to_string(each.which));
        const outcome made = each.load(file.all());
        REQUIRE(made.failure.has_value());
        check_failure(*made.failure, errc::non_finite, first,
                      "row 2, block 0: a scale or minimum is not finite");
    };
    for (const loaded_type& each : all_types) {
        for (const std::size_t at : each.fp16_at) {
            check_refused_at(each, at, 0x7C00); // infinity
            check_refused_at(each, at, 0xFC01); // NaN
        }
        if (each.which == type::q8_k) check_refused_at(each, 2, 0x7F80);
        if (each.which == type::mxfp4) check_refused_at(each, 0, 0x00FF);
        if (each.which == type::nvfp4) {
            check_refused_at(each, 2, 0x007F);
            check_refused_at(each, 2, 0xFF00);
        }
    }
    bytes block(56); // iq1_m: d in the high four bits of four words, 0x7C00
    block[55] = std::byte{0x70};
    block[53] = std::byte{0xC0};
    const tensors_of file(type::iq1_m, 1, 256, block);
    check_error(gguf::try_load<presets::iq1_m>(file.one()), errc::non_finite, first,
                "row 0, block 0: a scale or minimum is not finite");
}

TEST_CASE("gguf load: a code without a level is refused", "[gguf]") {
    bytes blocks(3 * 66);
    blocks[2 * 66 + 63] = std::byte{0x30};
    const tensors_of file(type::tq2_0, 1, 768, blocks);
    check_error(gguf::try_load<presets::tq2_0>(file.one()), errc::code_out_of_range, first,
                "row 0, block 2: a code of tq2_0 stands for no level");
}
