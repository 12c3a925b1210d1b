// Tensors as packed weights: the numbers of gguf::dequantize, bit for bit, for every type; and what
// is refused.
#include "gguf_image.hpp"

#include <quant/kernel/any_packed_matrix.hpp>
#include <quant/pack/dequantize_packed.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <bit>
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
#include <string_view>
#include <vector>

using namespace gguf_test;
namespace gguf = quant::gguf;
namespace presets = quant::presets;

namespace {

using bytes = std::vector<std::byte>;

/// A file with one tensor, or with two of the same width below each other.
struct part {
    type which;
    std::size_t rows;
    bytes blocks;
};
class tensors_of {
public:
    tensors_of(std::size_t cols, const std::vector<part>& parts) {
        image_.header(parts.size(), 0);
        std::size_t offset = 0;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            image_.tensor("blk." + std::to_string(i) + ".weight", {cols, parts[i].rows},
                          parts[i].which, offset);
            offset += (parts[i].blocks.size() + 31) / 32 * 32;
        }
        for (const part& each : parts) {
            image_.align();
            image_.raw({reinterpret_cast<const char*>(each.blocks.data()), each.blocks.size()});
        }
        image_.align();
        auto parsed = gguf::file::try_parse(image_.bytes());
        if (!parsed) FAIL(parsed.failure().what());
        file_.emplace(*std::move(parsed));
    }
    tensors_of(type which, std::size_t rows, std::size_t cols, bytes blocks)
        : tensors_of(cols, {{which, rows, std::move(blocks)}}) {}

    [[nodiscard]] std::span<const gguf::tensor> all() const { return file_->tensors(); }
    [[nodiscard]] const gguf::tensor& one() const { return file_->tensors().front(); }

private:
    image image_;
    std::optional<gguf::file> file_;
};

std::vector<float> decoded(std::span<const gguf::tensor> tensors) {
    std::vector<float> all;
    for (const gguf::tensor& each : tensors) {
        std::vector<float> values(each.elements());
        REQUIRE(gguf::try_dequantize(each.type(), each.data(), values).has_value());
        all.insert(all.end(), values.begin(), values.end());
    }
    return all;
}

template <quant::quantization_scheme S>
std::vector<float> values_of(const quant::packed_matrix<S>& packed) {
    std::vector<float> values(packed.rows() * packed.cols());
    const quant::matrix_view view(values.data(), packed.rows(), packed.cols());
    REQUIRE(quant::try_dequantize(packed, view).has_value());
    return values;
}

/// Numbers whose bits differ, NaN apart, which neither may hold.
std::size_t differences(const std::vector<float>& a, const std::vector<float>& b) {
    REQUIRE(a.size() == b.size());
    std::size_t count = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        count += std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i]);
    }
    return count;
}

bytes random_block(type which, std::mt19937& random) {
    bytes block(*gguf::try_block_bytes(which));
    for (std::byte& each : block) each = static_cast<std::byte>(random() & 255u);
    return block;
}

/// What a block must be to be loaded: finite numbers, and no code 3 in tq2_0.
bool loads(type which, std::span<const std::byte> block) {
    std::vector<float> values(*gguf::try_block_size(which));
    REQUIRE(gguf::try_dequantize(which, block, values).has_value());
    if (which == type::tq2_0) {
        for (std::size_t i = 0; i < 64; ++i) {
            const auto four = std::to_integer<unsigned>(block[i]);
            if ((four & four >> 1 & 0x55u) != 0) return false;
        }
    }
    return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

bytes loadable_blocks(type which, std::size_t count, std::mt19937& random) {
    bytes all;
    while (count > 0) {
        bytes block = random_block(which, random);
        for (std::size_t i = 0; which == type::tq2_0 && i < 64; ++i) {
            const auto four = std::to_integer<unsigned>(block[i]);
            block[i] = static_cast<std::byte>(four & ~(four & four >> 1 & 0x55u));
        }
        if (!loads(which, block)) continue;
        all.insert(all.end(), block.begin(), block.end());
        --count;
    }
    return all;
}

void put16(std::byte* at, unsigned bits) {
    at[0] = static_cast<std::byte>(bits & 255u);
    at[1] = static_cast<std::byte>(bits >> 8);
}

std::optional<bytes> read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return std::nullopt;
    const std::vector<char> text{std::istreambuf_iterator<char>(in), {}};
    const auto all = std::as_bytes(std::span(text));
    return bytes(all.begin(), all.end());
}

/// A type as its scheme, and where in its blocks there are fp16 numbers.
template <quant::quantization_scheme S>
struct of {
    type which;
    std::vector<std::size_t> fp16_at;
    std::string golden = to_string(which);
};

/// f(of<S>{…}) for all types that are loaded.
template <class F>
void for_each_type(F&& f) {
    f(of<presets::q4_0>{type::q4_0, {0}});
    f(of<presets::q4_1>{type::q4_1, {0, 2}});
    f(of<presets::q5_0>{type::q5_0, {0}});
    f(of<presets::q5_1>{type::q5_1, {0, 2}});
    f(of<presets::q8_0>{type::q8_0, {0}});
    f(of<presets::q8_0>{type::q8_1, {0}});
    f(of<presets::q2_k>{type::q2_k, {80, 82}, "q2_K"});
    f(of<presets::q3_k>{type::q3_k, {108}, "q3_K"});
    f(of<presets::q4_k>{type::q4_k, {0, 2}, "q4_K"});
    f(of<presets::q5_k>{type::q5_k, {0, 2}, "q5_K"});
    f(of<presets::q6_k>{type::q6_k, {208}, "q6_K"});
    f(of<quant::scheme<quant::int8, quant::symmetric, quant::group_wise<256>, float>>{type::q8_k,
                                                                                      {}});
    f(of<presets::iq2_xxs>{type::iq2_xxs, {0}});
    f(of<presets::iq2_s>{type::iq2_xs, {0}});
    f(of<presets::iq2_s>{type::iq2_s, {0}});
    f(of<presets::iq3_xxs>{type::iq3_xxs, {0}});
    f(of<presets::iq3_s>{type::iq3_s, {0}});
    f(of<presets::iq1_s>{type::iq1_s, {0}});
    f(of<presets::iq1_m>{type::iq1_m, {}});
    f(of<presets::iq4_nl>{type::iq4_nl, {0}});
    f(of<presets::iq4_xs>{type::iq4_xs, {0}});
    f(of<presets::tq2_0>{type::tq1_0, {52}});
    f(of<presets::tq2_0>{type::tq2_0, {64}});
    f(of<presets::mxfp4>{type::mxfp4, {}});
    f(of<presets::nvfp4>{type::nvfp4, {}});
    f(of<presets::q1_0>{type::q1_0, {0}});
    f(of<presets::q2_0>{type::q2_0, {0}});
}

/// Loaded both ways, both are the decoder's numbers.
template <quant::quantization_scheme S>
void check_exact(type which, std::size_t rows, std::size_t blocks_per_row, bytes blocks) {
    const std::size_t cols = blocks_per_row * *gguf::try_block_size(which);
    CAPTURE(to_string(which), rows, cols);
    const tensors_of file(which, rows, cols, std::move(blocks));
    const auto packed = gguf::try_load<S>(file.one());
    if (!packed) FAIL(packed.failure().what());
    CHECK(packed->rows() == rows);
    CHECK(packed->cols() == cols);
    CHECK(differences(values_of(*packed), decoded(file.all())) == 0);
    const auto quantized = gguf::try_load_quantized<S>(file.one());
    if (!quantized) FAIL(quantized.failure().what());
    CHECK(quantized->validate().has_value());
    const auto repacked = quant::try_pack(*quantized);
    REQUIRE(repacked.has_value());
    CHECK(std::ranges::equal(repacked->bytes(), packed->bytes()));
}

template <class R>
void check_error(const R& answer, errc code, std::string_view where, std::string_view message) {
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.failure().code() == code);
    CHECK(answer.failure().where() == where);
    CHECK(std::string_view(answer.failure().message()) == message);
}

constexpr std::string_view first = "gguf::load: blk.0.weight";

} // namespace

TEST_CASE("gguf load: random blocks are the decoder's numbers, bit for bit", "[gguf]") {
    std::mt19937 random(1);
    for_each_type([&]<class S>(const of<S>& each) {
        check_exact<S>(each.which, 1, 1, loadable_blocks(each.which, 1, random));
        check_exact<S>(each.which, 35, 3, loadable_blocks(each.which, 35 * 3, random));
    });
}

TEST_CASE("gguf load: zero and minus zero as scales", "[gguf]") {
    std::mt19937 random(2);
    for_each_type([&]<class S>(const of<S>& each) {
        bytes blocks = loadable_blocks(each.which, 4, random);
        const std::size_t size = blocks.size() / 4;
        for (std::size_t b = 0; b < 4; ++b) {
            for (std::size_t i = 0; i < each.fp16_at.size(); ++i) {
                put16(&blocks[b * size + each.fp16_at[i]], (b >> i & 1u) != 0 ? 0x8000u : 0u);
            }
        }
        check_exact<S>(each.which, 2, 2, blocks);
        check_exact<S>(each.which, 2, 1, bytes(2 * size));
    });
}

TEST_CASE("gguf load: the golden blocks", "[gguf][golden]") {
    std::size_t found = 0;
    for_each_type([&]<class S>(const of<S>& each) {
        const std::size_t size = *gguf::try_block_bytes(each.which);
        for (const char* kind : {".blocks", ".random.blocks"}) {
            const auto blocks =
                read(std::filesystem::path(QUANT_SHARED_DATA "/gguf_golden") / (each.golden + kind));
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
                check_exact<S>(each.which, 1, loadable.size() / size, loadable);
            }
        }
    });
    if (found == 0) SKIP("no golden data in " QUANT_SHARED_DATA);
}

TEST_CASE("gguf load: whatever the bytes are, the decoder's numbers or an error", "[gguf]") {
    std::mt19937 random(3);
    std::size_t accepted = 0, refused = 0;
    for_each_type([&]<class S>(const of<S>& each) {
        for (int i = 0; i < 40; ++i) {
            const tensors_of file(each.which, 1, *gguf::try_block_size(each.which),
                                  random_block(each.which, random));
            const auto packed = gguf::try_load<S>(file.one());
            if (packed) {
                // Infinite where a finite scale times a level is (mxfp4), never NaN.
                CHECK(differences(values_of(*packed), decoded(file.all())) == 0);
                ++accepted;
            } else {
                CHECK_FALSE(loads(each.which, file.one().data()));
                CHECK((packed.failure().code() == errc::non_finite ||
                       packed.failure().code() == errc::code_out_of_range));
                ++refused;
            }
        }
    });
    CHECK(accepted > 0);
    CHECK(refused > 0);
}

TEST_CASE("gguf load: scheme_of says what a type is loaded as", "[gguf]") {
    for_each_type([]<class S>(const of<S>& each) {
        CAPTURE(to_string(each.which));
        CHECK(gguf::scheme_of(each.which) == quant::describe<S>());
    });
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
    const auto packed = gguf::try_load<presets::tq2_0>(file.all());
    REQUIRE(packed.has_value());
    CHECK(packed->rows() == 37);
    CHECK(differences(values_of(*packed), decoded(file.all())) == 0);
    const auto quantized = gguf::try_load_quantized<presets::tq2_0>(file.all());
    REQUIRE(quantized.has_value());
    CHECK(quantized->rows() == 37);
}

TEST_CASE("gguf load: an executor may run rows in any order", "[gguf]") {
    constexpr std::size_t rows = 150, blocks_per_row = 32;
    std::mt19937 random(5);
    bytes blocks(rows * blocks_per_row * 34);
    for (std::size_t at = 0; at < blocks.size(); at += 34) {
        for (std::size_t i = 2; i < 34; ++i) {
            blocks[at + i] = static_cast<std::byte>(random() & 255u);
        }
        put16(&blocks[at], 0x2000u + (random() & 0xFFFu));
    }
    std::size_t tasks = 0;
    const auto backwards = [&](std::size_t count, quant::task work) {
        tasks += count;
        while (count > 0) work(--count);
    };
    {
        const tensors_of file(type::q8_0, rows, 32 * blocks_per_row, blocks);
        const auto packed = gguf::try_load<presets::q8_0>(file.one(), backwards);
        REQUIRE(packed.has_value());
        CHECK(tasks > 1);
        CHECK(differences(values_of(*packed), decoded(file.all())) == 0);
        const auto quantized = gguf::try_load_quantized<presets::q8_0>(file.one(), backwards);
        REQUIRE(quantized.has_value());
        const auto lazy = [](std::size_t, quant::task) {};
        CHECK(gguf::try_load<presets::q8_0>(file.one(), lazy).failure().code() ==
              errc::executor_failed);
        CHECK(gguf::try_load_quantized<presets::q8_0>(file.one(), lazy).failure().code() ==
              errc::executor_failed);
    }
    // Of several failing rows, the first is named.
    for (const std::size_t row : {149u, 70u, 3u}) {
        put16(&blocks[(row * blocks_per_row + 7) * 34], 0x7C00);
        const tensors_of file(type::q8_0, rows, 32 * blocks_per_row, blocks);
        const std::string message =
            "row " + std::to_string(row) + ", block 7: a scale or minimum is not finite";
        check_error(gguf::try_load<presets::q8_0>(file.one(), backwards), errc::non_finite, first,
                    message);
        check_error(gguf::try_load_quantized<presets::q8_0>(file.one(), backwards),
                    errc::non_finite, first, message);
    }
}

TEST_CASE("gguf load: numbers that are not finite are refused by row and block", "[gguf]") {
    std::mt19937 random(6);
    const auto check_refused_at = [&]<class S>(const of<S>& each, std::size_t at, unsigned bits) {
        bytes blocks = loadable_blocks(each.which, 6, random);
        put16(&blocks[4 * blocks.size() / 6 + at], bits);
        const tensors_of file(each.which, 3, 2 * *gguf::try_block_size(each.which), blocks);
        CAPTURE(to_string(each.which));
        check_error(gguf::try_load<S>(file.one()), errc::non_finite, first,
                    "row 2, block 0: a scale or minimum is not finite");
    };
    for_each_type([&]<class S>(const of<S>& each) {
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
    });
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

TEST_CASE("gguf load: other types and other widths are refused", "[gguf]") {
    const tensors_of q4_0(type::q4_0, 2, 32, bytes(36));
    check_error(gguf::try_load<presets::q4_k>(q4_0.one()), errc::unsupported, first,
                "its type is q4_0, the scheme is that of q4_k");
    check_error(gguf::try_load_quantized<presets::iq2_s>(q4_0.one()), errc::unsupported, first,
                "its type is q4_0, the scheme is that of iq2_xs, iq2_s");
    const tensors_of f32(type::f32, 1, 4, bytes(16));
    check_error(gguf::try_load<presets::q4_0>(f32.one()), errc::unsupported, first,
                "its type is f32, the scheme is that of q4_0");
    const tensors_of mixed(32, {{type::q4_0, 1, bytes(18)}, {type::q8_0, 1, bytes(34)}});
    check_error(gguf::try_load<presets::q4_0>(mixed.all()), errc::unsupported,
                "gguf::load: blk.1.weight", "its type is q8_0, the scheme is that of q4_0");
    check_error(gguf::try_load<presets::q4_0>(std::span<const gguf::tensor>()), errc::empty,
                "gguf::load: tensors", "there are none");
    const tensors_of narrow(type::q4_0, 1, 32, bytes(18)), wide(type::q4_0, 1, 64, bytes(36));
    const gguf::tensor both[] = {narrow.one(), wide.one()};
    check_error(gguf::try_load<presets::q4_0>(both), errc::shape_mismatch, first,
                "its rows have 64 columns, the first tensor's 32");
}

TEST_CASE("gguf load: the scheme of a tensor, found at run time, multiplies", "[gguf]") {
    using per_row = quant::scheme<quant::int4, quant::symmetric, quant::per_channel, float>;
    using any_weights = quant::any_packed_matrix<per_row, presets::iq2_s, presets::q4_k>;
    constexpr std::size_t rows = 33, cols = 512;
    std::mt19937 random(7);
    std::vector<float> x(cols), y(rows);
    for (float& each : x) each = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
    for (const type which : {type::iq2_xs, type::iq2_s, type::q4_k}) {
        CAPTURE(to_string(which));
        bytes blocks = loadable_blocks(which, rows * cols / 256, random);
        const std::size_t size = *gguf::try_block_bytes(which);
        for (std::size_t at = 0; at < blocks.size(); at += size) {
            put16(&blocks[at], 0x2400);
            if (which == type::q4_k) put16(&blocks[at + 2], 0x2500);
        }
        const tensors_of file(which, rows, cols, blocks);
        const auto weights = gguf::try_load_any<any_weights>(file.one());
        REQUIRE(weights.has_value());
        CHECK(weights->descriptor() == gguf::scheme_of(which));
        REQUIRE(quant::try_matmul<quant::activations::fp32>(
                    quant::matrix_view<const float>(x.data(), 1, cols), *weights,
                    quant::matrix_view<float>(y.data(), 1, rows))
                    .has_value());
        const std::vector<float> w = decoded(file.all());
        for (std::size_t r = 0; r < rows; ++r) {
            double exact = 0, size_of_terms = 0;
            for (std::size_t c = 0; c < cols; ++c) {
                const double term =
                    static_cast<double>(x[c]) * static_cast<double>(w[r * cols + c]);
                exact += term;
                size_of_terms += std::fabs(term);
            }
            CHECK(std::fabs(static_cast<double>(y[r]) - exact) <= 1e-5 * size_of_terms);
        }
    }
    const tensors_of q4_0(type::q4_0, 2, 32, bytes(36));
    check_error(gguf::try_load_any<any_weights>(q4_0.one()), errc::unsupported, first,
                "the scheme of its type, q4_0, is not one of those listed");
    check_error(gguf::try_load_any<any_weights>(std::span<const gguf::tensor>()), errc::empty,
                "gguf::load: tensors", "there are none");
    const tensors_of infinite(type::q4_k, 1, 256, bytes(144, std::byte{0x7C}));
    CHECK(gguf::try_load_any<any_weights>(infinite.one()).failure().code() == errc::non_finite);
}

TEST_CASE("gguf load: the plain names throw", "[gguf]") {
    const tensors_of file(type::q4_0, 2, 32, bytes(36));
    CHECK(gguf::load<presets::q4_0>(file.one()).rows() == 2);
    CHECK(gguf::load<presets::q4_0>(file.all()).rows() == 2);
    CHECK(gguf::load_quantized<presets::q4_0>(file.one()).rows() == 2);
    CHECK(gguf::load_quantized<presets::q4_0>(file.all()).rows() == 2);
    using any_weights = quant::any_packed_matrix<presets::q4_0>;
    CHECK(gguf::load_any<any_weights>(file.one()).rows() == 2);
    CHECK(gguf::load_any<any_weights>(file.all()).rows() == 2);
    CHECK_THROWS_AS(gguf::load<presets::q8_0>(file.one()), quant::error);
    CHECK_THROWS_AS(gguf::load_quantized<presets::q8_0>(file.one()), quant::error);
    CHECK_THROWS_AS(gguf::load_any<quant::any_packed_matrix<presets::q8_0>>(file.one()),
                    quant::error);
}
