// Quantized matrices as blocks: the inverse of loading, for every type that is written; and what is
// refused.
#include "gguf_loading.hpp"

#include <quant/core/thread_pool.hpp>
#include <quant/io/gguf/encode.hpp>
#include <quant/io/gguf/quantize.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

using namespace gguf_test;

namespace {

/// The blocks that a tensor's codes and numbers are encoded as.
template <quant::quantization_scheme S>
bytes encode_again(const gguf::tensor& tensor) {
    const auto q = gguf::try_load_quantized<S>(tensor);
    REQUIRE(q.has_value());
    bytes blocks(tensor.data().size(), std::byte{0xA5});
    const auto done = gguf::try_encode(*q, tensor.type(), blocks);
    if (!done) FAIL(done.failure().what());
    return blocks;
}

struct written_type {
    type which;
    bytes (*encode_again)(const gguf::tensor&);
    std::string golden; ///< the golden data's name of it
};
template <quant::quantization_scheme S>
written_type as(type which, const char* golden = nullptr) {
    return {which, &encode_again<S>, golden != nullptr ? golden : to_string(which)};
}

const std::vector<written_type> written{
    as<presets::q4_0>(type::q4_0),         as<presets::q4_1>(type::q4_1),
    as<presets::q5_0>(type::q5_0),         as<presets::q5_1>(type::q5_1),
    as<presets::q8_0>(type::q8_0),         as<presets::q2_k>(type::q2_k, "q2_K"),
    as<presets::q3_k>(type::q3_k, "q3_K"), as<presets::q4_k>(type::q4_k, "q4_K"),
    as<presets::q5_k>(type::q5_k, "q5_K"), as<presets::q6_k>(type::q6_k, "q6_K"),
    as<presets::iq4_nl>(type::iq4_nl),     as<presets::iq4_xs>(type::iq4_xs),
    as<presets::tq2_0>(type::tq1_0),       as<presets::tq2_0>(type::tq2_0),
    as<presets::mxfp4>(type::mxfp4),       as<presets::nvfp4>(type::nvfp4),
    as<presets::q1_0>(type::q1_0),         as<presets::q2_0>(type::q2_0),
};

/// A block without what carries no meaning: minus zero and signs of scales in types of E2M1, bytes
/// of base-3 digits that are no rounded quotient.
void make_canonical(type which, std::span<std::byte> block) {
    const auto drop_minus_zeros = [&](std::size_t first) {
        for (std::byte& pair : block.subspan(first)) {
            if ((pair & std::byte{15}) == std::byte{8}) pair &= std::byte{0xF0};
            if ((pair >> 4) == std::byte{8}) pair &= std::byte{15};
        }
    };
    if (which == type::mxfp4) drop_minus_zeros(1);
    if (which == type::nvfp4) {
        for (std::byte& scale : block.first(4)) scale &= std::byte{127};
        drop_minus_zeros(4);
    }
    if (which == type::tq1_0) {
        for (std::size_t i = 0; i < 52; ++i) {
            const unsigned number =
                std::to_integer<unsigned>(block[i]) * (i < 48 ? 243u : 81u) / 256;
            block[i] = static_cast<std::byte>(((i < 48 ? number : 3 * number) * 256 + 242) / 243);
        }
    }
}

void check_inverse(const written_type& each, std::size_t rows, bytes blocks) {
    const std::size_t size = *gguf::try_block_bytes(each.which);
    for (std::size_t at = 0; at < blocks.size(); at += size) {
        make_canonical(each.which, std::span(blocks).subspan(at, size));
    }
    const std::size_t cols = blocks.size() / size / rows * *gguf::try_block_size(each.which);
    CAPTURE(to_string(each.which), rows, cols);
    const tensors_of file(each.which, rows, cols, blocks);
    CHECK(each.encode_again(file.one()) == blocks);
}

bytes read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::vector<char> text{std::istreambuf_iterator<char>(in), {}};
    const auto all = std::as_bytes(std::span(text.data(), text.size()));
    return {all.begin(), all.end()};
}

using q4_0 = presets::q4_0;
using nvfp4 = presets::nvfp4;

} // namespace

TEST_CASE("gguf encode: blocks that were loaded are the same bytes again", "[gguf]") {
    std::mt19937 random(11);
    for (const written_type& each : written) {
        check_inverse(each, 1, loadable_blocks(each.which, 1, random));
        check_inverse(each, 35, loadable_blocks(each.which, 35 * 3, random));
        check_inverse(each, 2, bytes(6 * *gguf::try_block_bytes(each.which)));
    }
}

TEST_CASE("gguf encode: the reference's blocks are the same bytes again", "[gguf][golden]") {
    std::size_t found = 0;
    for (const written_type& each : written) {
        const bytes blocks = read(std::filesystem::path(QUANT_SHARED_DATA "/gguf_golden") /
                                  (each.golden + ".blocks"));
        if (blocks.empty()) continue;
        ++found;
        check_inverse(each, 4, blocks);
    }
    if (found == 0) SKIP("no golden data in " QUANT_SHARED_DATA);
}

TEST_CASE("gguf encode: minus zero of E2M1 is written as plus zero", "[gguf]") {
    const std::vector<std::uint8_t> codes(64, 8);
    const std::vector<quant::fp8_e4m3> scales(4, quant::fp8_e4m3(1.0f));
    const auto q = quant::quantized_matrix<nvfp4>::try_from(1, 64, codes, scales);
    REQUIRE(q.has_value());
    bytes blocks(36, std::byte{1});
    REQUIRE(gguf::try_encode(*q, type::nvfp4, blocks).has_value());
    CHECK(std::all_of(blocks.begin() + 4, blocks.end(),
                      [](std::byte b) { return b == std::byte{0}; }));
}

TEST_CASE("gguf encode: threads give the same bytes", "[gguf]") {
    std::mt19937 random(12);
    const bytes blocks = loadable_blocks(type::q4_0, 300 * 8, random);
    const tensors_of file(type::q4_0, 300, 8 * 32, blocks);
    const auto q = gguf::try_load_quantized<q4_0>(file.one());
    REQUIRE(q.has_value());
    bytes parallel(blocks.size());
    quant::thread_pool pool(3);
    REQUIRE(gguf::try_encode(*q, type::q4_0, parallel, pool).has_value());
    CHECK(parallel == blocks);
}

TEST_CASE("gguf encode: how many bytes", "[gguf]") {
    CHECK(*gguf::try_encoded_bytes(type::q4_k, 3, 512) == 3 * 2 * 144);
    CHECK(*gguf::try_encoded_bytes(type::iq3_s, 1, 256) == 110);
    CHECK(*gguf::try_encoded_bytes(type::f16, 5, 7) == 70);
    constexpr std::string_view where = "gguf::encoded_bytes";
    check_error(gguf::try_encoded_bytes(type::q4_k, 3, 576), errc::shape_mismatch, where,
                "rows of 576 columns are no whole blocks of 256 (q4_k)");
    check_error(gguf::try_encoded_bytes(static_cast<type>(4), 1, 1), errc::unsupported, where,
                "type id 4 was removed from the format (Q4_2)");
    constexpr std::size_t huge = std::numeric_limits<std::size_t>::max() / 32 * 32;
    CHECK(gguf::try_encoded_bytes(type::q8_0, 1, huge).failure().code() == errc::size_overflow);
    CHECK(gguf::try_encoded_bytes(type::q8_0, huge, 32).failure().code() == errc::size_overflow);
}

TEST_CASE("gguf encode: what is refused", "[gguf]") {
    constexpr std::string_view which = "gguf::encode: type", matrix = "gguf::encode: q";
    auto q = *quant::quantized_matrix<q4_0>::try_zero(2, 64);
    bytes out(2 * 2 * 18, std::byte{7});
    const bytes before = out;
    check_error(gguf::try_encode(q, type::q4_1, out), errc::unsupported, which,
                "q4_1 is of another scheme than the matrix, which is that of q4_0");
    check_error(gguf::try_encode(q, type::f16, out), errc::unsupported, which,
                "f16 is of another scheme than the matrix, which is that of q4_0");
    check_error(gguf::try_encode(q, static_cast<type>(99), out), errc::unsupported, which,
                "type id 99 exists in a fork of the format only");
    const auto ternary = *quant::quantized_matrix<presets::tq2_0>::try_zero(1, 256);
    check_error(gguf::try_encode(ternary, type::q8_0, out), errc::unsupported, which,
                "q8_0 is of another scheme than the matrix, which is that of tq1_0, tq2_0");
    const auto q8 = *quant::quantized_matrix<presets::q8_0>::try_zero(1, 32);
    check_error(gguf::try_encode(q8, type::q8_1, out), errc::unsupported, which,
                "q8_1 is of another scheme than the matrix, which is that of q8_0");

    check_error(gguf::try_encode(q, type::q4_0, std::span(out).first(71)), errc::shape_mismatch,
                "gguf::encode: out", "room for 71 bytes; 2 rows of 36 (q4_0)");
    check_error(gguf::try_encode(quant::quantized_matrix<q4_0>(), type::q4_0, out), errc::empty,
                matrix, "0 x 0 has no elements");
    const auto short_group = *quant::quantized_matrix<q4_0>::try_zero(1, 40);
    check_error(gguf::try_encode(short_group, type::q4_0, out), errc::shape_mismatch, matrix,
                "rows of 40 columns are no whole blocks of 32 (q4_0)");
    const auto short_super = *quant::quantized_matrix<presets::q6_k>::try_zero(1, 16 * 36);
    check_error(gguf::try_encode(short_super, type::q6_k, out), errc::shape_mismatch, matrix,
                "rows of 576 columns are no whole blocks of 256 (q6_k)");
    const auto short_block = *quant::quantized_matrix<nvfp4>::try_zero(1, 48);
    check_error(gguf::try_encode(short_block, type::nvfp4, out), errc::shape_mismatch, matrix,
                "rows of 48 columns are no whole blocks of 64 (nvfp4)");

    q.mutable_codes()[65] = 16;
    CHECK(gguf::try_encode(q, type::q4_0, out).failure().code() == errc::code_out_of_range);
    q.mutable_codes()[65] = 0;
    q.mutable_scales()[3] = quant::fp16::from_bits(0x7C00);
    CHECK(gguf::try_encode(q, type::q4_0, out).failure().code() == errc::non_finite);

    auto signed_scale = *quant::quantized_matrix<nvfp4>::try_zero(2, 64);
    signed_scale.mutable_scales()[6] = quant::fp8_e4m3(-1.0f);
    check_error(gguf::try_encode(signed_scale, type::nvfp4, out), errc::unsupported, matrix,
                "the scale at row 1, group 2 is negative, which its type cannot be");
    CHECK(out == before);
}

TEST_CASE("gguf quantize: numbers are rounded to nearest", "[gguf]") {
    const std::vector<float> w{1.0f, -0.0f, 1.0f + 0x1p-11f, 0x1p-25f, 65519.0f, -3.5f};
    const quant::matrix_view<const float> view(w.data(), 2, 3);
    const auto check = [&]<type Which>(auto element) {
        using number = decltype(element);
        bytes out(w.size() * sizeof(number));
        REQUIRE(gguf::try_quantize<Which>(view, out).has_value());
        std::vector<float> values(w.size());
        REQUIRE(gguf::try_dequantize(Which, out, values).has_value());
        std::vector<float> expected;
        for (const float each : w)
            expected.push_back(static_cast<float>(static_cast<number>(each)));
        CHECK(differences(values, expected) == 0);
    };
    check.operator()<type::f32>(float());
    check.operator()<type::f16>(quant::fp16());
    check.operator()<type::bf16>(quant::bf16());
}

TEST_CASE("gguf quantize: what is refused", "[gguf]") {
    constexpr std::string_view where = "gguf::quantize: w";
    std::vector<float> w(6, 1.0f);
    const quant::matrix_view<const float> view(w.data(), 2, 3);
    bytes out(12);
    w[4] = 65520.0f;
    check_error(gguf::try_quantize<type::f16>(view, out), errc::scale_overflow, where,
                "65520 at row 1, column 1 is too large for its type");
    w[5] = std::nanf("");
    CHECK(gguf::try_quantize<type::f16>(view, out).failure().code() == errc::scale_overflow);
    check_error(gguf::try_quantize<type::bf16>(view, out), errc::non_finite, where,
                "NaN at row 1, column 2");
    check_error(gguf::try_quantize<type::f16>(view, std::span(out).first(10)), errc::shape_mismatch,
                "gguf::quantize: out", "room for 10 bytes; 2 rows of 6 (f16)");
    check_error(gguf::try_quantize<type::q8_0>(view, out), errc::shape_mismatch, where,
                "rows of 3 columns are no whole blocks of 32 (q8_0)");
    const quant::matrix_view<const float> nowhere(nullptr, 1, 1), nothing(w.data(), 0, 3);
    CHECK(gguf::try_quantize<type::f16>(nowhere, out).failure().code() == errc::null_data);
    CHECK(gguf::try_quantize<type::f16>(nothing, out).failure().code() == errc::empty);
    quant::quantize_options options;
    std::atomic<bool> stop{true};
    options.cancel = &stop;
    CHECK(gguf::try_quantize<type::f16>(view, out, options).failure().code() == errc::cancelled);
}
