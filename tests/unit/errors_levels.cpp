// What is refused of levels, two-level scales and searches; zeros, and what is no level.
#include "two_level_cases.hpp"

#include <limits>
#include <string_view>

using namespace quant;

namespace {

using signed_groups = scheme<int4, symmetric, group_wise<8>, two_level<signed_scale<6>, fp16, 4>>;
using minimum_groups =
    scheme<int3, asymmetric_min, group_wise<8>, two_level<unsigned_scale<4>, bf16, 2>>;

template <class T>
void check_refused(const result<T>& made, errc code, std::string_view message) {
    REQUIRE_FALSE(made);
    CHECK(made.failure().code() == code);
    CAPTURE(std::string(made.failure().what()));
    CHECK(std::string_view(made.failure().what()).find(message) != std::string_view::npos);
}

/// Parts of a 2 × 40 matrix: five groups, two or three super-groups in a row.
template <class S>
struct parts {
    static constexpr std::size_t rows = 2, cols = 40;
    std::vector<std::uint8_t> codes = std::vector<std::uint8_t>(rows * cols);
    std::vector<std::uint8_t> scales = std::vector<std::uint8_t>(rows * S::groups_per_row(cols));
    std::vector<typename S::offset_type> offsets =
        std::vector<typename S::offset_type>(S::has_offset ? scales.size() : 0);
    std::vector<typename S::super_type> supers =
        std::vector<typename S::super_type>(rows * S::supers_per_row(cols));
    std::vector<typename S::super_type> super_minimums =
        std::vector<typename S::super_type>(S::has_minimum ? supers.size() : 0);

    result<quantized_matrix<S>> made() const {
        return quantized_matrix<S>::try_from(rows, cols, codes, scales, offsets, supers,
                                             super_minimums);
    }
};

} // namespace

TEST_CASE("two-level scales: wrong parts are refused", "[errors]") {
    REQUIRE(parts<signed_groups>().made());
    REQUIRE(parts<minimum_groups>().made());
    {
        parts<signed_groups> p;
        p.supers.pop_back();
        check_refused(p.made(), errc::shape_mismatch, "2 x 40 needs 4 super-scales");
        p.supers.assign(4, fp16(1.0f));
        p.super_minimums.assign(4, fp16(1.0f));
        check_refused(p.made(), errc::shape_mismatch, "0 super-minimums, not 4, 4");
    }
    {
        parts<minimum_groups> p;
        p.super_minimums.clear();
        check_refused(p.made(), errc::shape_mismatch, "6 super-minimums, not 6, 0");
    }
    {
        parts<signed_groups> p;
        p.scales[7] = signed_groups::scale_byte(-32);
        CHECK(p.made());
        p.scales[7] = 32;
        check_refused(p.made(), errc::code_out_of_range, "scale 32 or minimum at row 1, group 2");
        p.scales[7] = static_cast<std::uint8_t>(-33);
        check_refused(p.made(), errc::code_out_of_range, "exceeds 6 bits");
    }
    {
        parts<minimum_groups> p;
        p.offsets[4] = 16;
        check_refused(p.made(), errc::code_out_of_range, "at row 0, group 4 exceeds 4 bits");
        p.offsets[4] = 15;
        p.scales[0] = 16;
        check_refused(p.made(), errc::code_out_of_range, "scale 16 or minimum at row 0, group 0");
    }
    {
        parts<minimum_groups> p;
        p.super_minimums[5] = bf16(std::numeric_limits<float>::infinity());
        check_refused(p.made(), errc::non_finite, "at row 1, super-group 2 is not finite");
        p.super_minimums[5] = bf16(1.0f);
        p.supers[0] = bf16(std::numeric_limits<float>::quiet_NaN());
        check_refused(p.made(), errc::non_finite, "at row 0, super-group 0 is not finite");
    }
#if QUANT_HAS_EXCEPTIONS
    parts<signed_groups> p;
    p.scales[0] = 99;
    CHECK_THROWS_AS(quantized_matrix<signed_groups>(2, 40, p.codes, p.scales, {}, p.supers), error);
#endif
}

TEST_CASE("two-level scales: what a matrix was made to hold is refused by what reads it",
          "[errors]") {
    auto q = quantized_matrix<signed_groups>::try_zero(17, 40).value();
    q.mutable_scales()[33] = 50;
    check_refused(q.try_clone(), errc::code_out_of_range, "scale 50");
    check_refused(q.validate(), errc::code_out_of_range, "row 6, group 3");
    check_refused(try_unpack(pack(q)), errc::code_out_of_range, "row 6, group 3");
    q.mutable_scales()[33] = 5;
    q.mutable_super_scales()[33] = fp16(std::numeric_limits<float>::infinity());
    check_refused(try_unpack(pack(q)), errc::non_finite, "row 16, super-group 1");
}

TEST_CASE("codes that are no level are refused, and lead nowhere", "[errors]") {
    using threes = scheme<ternary, symmetric, group_wise<4>, fp16>;
    using eights = scheme<fp8_e4m3, symmetric, group_wise<4>, float>;
    std::vector<std::uint8_t> codes{0, 1, 2, 3};
    const std::vector<fp16> half{fp16(1.0f)};
    check_refused(quantized_matrix<threes>::try_from(1, 4, codes, half), errc::code_out_of_range,
                  "code 3 at row 0, column 3 exceeds 2");
    codes = {0x7E, 0xFE, 0x7F, 0};
    const std::vector<float> one{1.0f};
    check_refused(quantized_matrix<eights>::try_from(1, 4, codes, one), errc::code_out_of_range,
                  "code 127 at row 0, column 2 is not a finite number");

    // Written past all checks, any byte still has some weight, and packs to something.
    auto q = quantized_matrix<threes>::try_zero(3, 70).value();
    for (auto& code : q.mutable_codes()) code = 0xFF;
    for (auto& scale : q.mutable_scales()) scale = fp16(1.0f);
    std::vector<float> out(3 * 70);
    dequantize(q, matrix_view<float>{out.data(), 3, 70});
    const auto packed = pack(q);
    dequantize(packed, matrix_view<float>{out.data(), 3, 70});
    check_refused(try_unpack(packed), errc::code_out_of_range, "code 3 at row 0, column 0");
}

TEST_CASE("weights of two-level scales and searches that are not finite are named", "[errors]") {
    constexpr std::size_t rows = 3, cols = 70;
    std::vector<float> w(rows * cols, 0.5f);
    w[1 * cols + 68] = std::numeric_limits<float>::quiet_NaN();
    w[2 * cols + 3] = -std::numeric_limits<float>::infinity();
    const matrix_view<const float> view{w.data(), rows, cols};
    const auto check = [&](const auto& made) {
        check_refused(made, errc::non_finite, "row 1, column 68");
    };
    check(try_quantize<signed_groups>(view));
    check(try_quantize<minimum_groups>(view));
    check(try_quantize_packed<signed_groups>(view));
    quantize_options options;
    options.range = range_estimator::mse;
    check(try_quantize<scheme<int4, symmetric, group_wise<32>, fp16>>(view, options));
    check(try_quantize<scheme<int4, asymmetric, per_channel, fp16>>(view, options));
}

TEST_CASE("scales that exceed their type are refused", "[errors]") {
    constexpr std::size_t rows = 2, cols = 40;
    std::vector<float> w(rows * cols, 1.0f);
    const matrix_view<const float> view{w.data(), rows, cols};
    // 65504·31·8 is what an fp16 can say for six bits and four.
    w[cols + 33] = 4e7f;
    check_refused(try_quantize<signed_groups>(view), errc::scale_overflow,
                  "the group at row 1, column 32 spans 1 to 4e+07");
    w[cols + 33] = 1e7f;
    CHECK(try_quantize<signed_groups>(view));

    // Up to the largest float: levels are finite, or the weights are refused.
    using wide = scheme<int4, symmetric, group_wise<8>, two_level<unsigned_scale<8>, float, 4>>;
    using tables = cases::threes_by_16;
    for (const float share : {0.2f, 0.5f, 0.9f, 0.97f, 1.0f}) {
        for (std::size_t i = 0; i < w.size(); ++i) {
            const float x = share * std::numeric_limits<float>::max();
            w[i] = i % 3 == 0 ? x : i % 3 == 1 ? -x : x * 0.6f;
        }
        const auto check = [&](const auto& q) {
            if (!q) {
                CHECK(q.failure().code() == errc::scale_overflow);
                CHECK(share > 0.5f);
                return;
            }
            std::vector<float> back(w.size());
            dequantize(*q, matrix_view<float>{back.data(), rows, cols});
            for (const float x : back) CHECK(std::isfinite(x));
            // Clipped and coarse, but of the right size.
            for (std::size_t i = 0; i < w.size(); ++i) CHECK(back[i] / w[i] > 0.3f);
        };
        CAPTURE(share);
        check(try_quantize<wide>(view));
        check(try_quantize<tables>(view));
    }
}

TEST_CASE("estimators and importance that cannot be are refused", "[errors]") {
    std::vector<float> w(4 * 40, 1.0f), importance(40, 1.0f);
    const matrix_view<const float> view{w.data(), 4, 40};
    quantize_options options;
    options.range = static_cast<range_estimator>(7);
    check_refused(try_quantize<signed_groups>(view, options), errc::invalid_argument,
                  "no estimator 7");

    options.range = range_estimator::min_max;
    const auto refused = [&](std::span<const float> factors, errc code, std::string_view message) {
        options.importance = factors;
        check_refused(try_quantize<signed_groups>(view, options), code, message);
        check_refused(try_quantize_packed<signed_groups>(view, options), code, message);
    };
    refused(std::span(importance).first(39), errc::shape_mismatch, "39 factors for 40 columns");
    refused(std::span<const float>(static_cast<const float*>(nullptr), 40), errc::null_data,
            "null pointer");
    for (const float bad :
         {-1.0f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        importance[17] = bad;
        refused(importance, errc::invalid_argument, "at column 17: factors are finite");
    }
    importance[17] = -0.0f;
    options.importance = importance;
    CHECK(try_quantize<signed_groups>(view, options));
}

TEST_CASE("zeros stay zeros whatever the levels", "[errors]") {
    constexpr std::size_t rows = 17, cols = 70;
    const std::vector<float> w(rows * cols, 0.0f);
    const matrix_view<const float> view{w.data(), rows, cols};
    const auto check = [&]<class S>(const quantized_matrix<S>& q) {
        std::vector<float> back(w.size(), -1.0f);
        dequantize(q, matrix_view<float>{back.data(), rows, cols});
        CHECK(cases::same_bytes(back, w));
    };
    check(quantize<cases::two_tables_by_8>(view));
    check(quantize<minimum_groups>(view));
    // Here −14 is nearer to zero than 30, and −14 times 0 is −0.
    using lower = scheme<codebook<cases::lower_levels>, symmetric, group_wise<32>, fp16>;
    const auto q = quantize<lower>(view);
    check(q);
    CHECK(cases::same_bytes(q.codes(), reference::quantize<lower>(w, rows, cols).codes));
}

TEST_CASE("packed bytes tell levels and scales apart", "[errors]") {
    const std::vector<float> w(16 * 256, 0.25f);
    const matrix_view<const float> view{w.data(), 16, 256};
    // The example of docs/layout.md.
    const auto packed = quantize_packed<presets::q4_k>(view);
    CHECK(packed.bytes().size() == 64 + 2368);
    const auto header = packed.bytes().first(64);
    const std::uint8_t expected[] = {1, 4, 4, 6, 2, 6, 8, 0};
    CHECK(std::memcmp(header.data() + 16, expected, 8) == 0);
    CHECK(read_packed_header(header)->scheme == describe<presets::q4_k>());

    const auto tables = quantize_packed<presets::best_2_4>(view);
    const auto levels = describe<presets::best_2_4>().levels;
    for (std::size_t i = 0; i < 8; ++i) {
        CHECK(std::to_integer<std::uint8_t>(tables.bytes()[56 + i]) == (levels >> (8 * i) & 0xFF));
    }
    CHECK(std::to_integer<int>(tables.bytes()[21]) == (4 | 0x80));

    // Whatever differs makes it another scheme.
    auto changed = quantize_packed<presets::q4_k>(view);
    for (const std::size_t at : {16u, 19u, 20u, 21u, 22u, 23u, 56u, 63u}) {
        CAPTURE(at);
        changed.mutable_bytes()[at] ^= std::byte{1};
        check_refused(try_packed_view_of<presets::q4_k>(changed.bytes()), errc::bad_layout,
                      "another scheme");
        changed.mutable_bytes()[at] ^= std::byte{1};
    }
    CHECK(try_packed_view_of<presets::q4_k>(changed.bytes()));
    check_refused(
        try_packed_view_of<presets::two_tables<presets::tables::b2, presets::tables::a2, 16, 4>>(
            tables.bytes()),
        errc::bad_layout, "another scheme");
}
