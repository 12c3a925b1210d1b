// What quantize and dequantize refuse, with the row and column that are at fault; what they tell
// the caller on the way.
#include "sizes.hpp"

#include <quant/core/thread_pool.hpp>
#include <quant/pack/pack.hpp>
#include <quant/quantize/dequantize.hpp>
#include <quant/quantize/quantize.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

using namespace quant;

namespace {

using w4 = scheme<int4, symmetric, group_wise<32>, fp16>;
using w8 = scheme<int8, symmetric, per_channel, float>;
using blocks3 = scheme<int3, asymmetric, block_wise<4, 10>, bf16>;
using minimum4 = scheme<int4, asymmetric_min, group_wise<32>, fp16>;
using any_executor = std::function<void(std::size_t, task)>;

struct weights {
    std::size_t rows, cols;
    std::vector<float> values = std::vector<float>(rows * cols, 0.5f);

    float& at(std::size_t r, std::size_t c) { return values[r * cols + c]; }
    matrix_view<const float> view() const { return {values.data(), rows, cols}; }
};

struct outcome {
    errc code;
    std::string what;
};
template <class T>
outcome of(const result<T>& made) {
    REQUIRE_FALSE(made.has_value());
    return {made.failure().code(), made.failure().what()};
}
/// quantize and quantize_packed refuse alike; the throwing forms throw the same error.
template <class S>
outcome refused(const weights& w, const any_executor& run = std::ref(serial)) {
    const outcome first = of(try_quantize<S>(w.view(), {}, run));
    const outcome second = of(try_quantize_packed<S>(w.view(), {}, run));
    CHECK(first.code == second.code);
    CHECK(first.what == second.what);
    try {
        static_cast<void>(quantize<S>(w.view(), {}, run));
        FAIL("no exception");
    } catch (const error& thrown) {
        CHECK(thrown.what() == first.what);
    }
    CHECK_THROWS_AS(quantize_packed<S>(w.view(), {}, run), error);
    return first;
}

const float infinity = std::numeric_limits<float>::infinity();
const float not_a_number = std::numeric_limits<float>::quiet_NaN();

} // namespace

TEST_CASE("weights that are not finite are named by row and column", "[errors][quantize]") {
    weights w{20, 70};
    const struct {
        std::size_t row, col;
        float value;
        const char* name;
    } cases[] = {
        {0, 0, not_a_number, "NaN"},
        {19, 69, infinity, "infinity"},
        {7, 31, -infinity, "infinity"},
        {7, 32, -not_a_number, "NaN"},
        {3, 63, infinity, "infinity"},
        {16, 64, not_a_number, "NaN"},
        {1, 15, quant::core_detail::bit_cast<float>(0x7F800001u), "NaN"}, // a signalling one
    };
    for (const auto& [row, col, value, name] : cases) {
        const float before = w.at(row, col);
        w.at(row, col) = value;
        const std::string expected = "quantize: w: " + std::string(name) + " at row " +
                                     std::to_string(row) + ", column " + std::to_string(col);
        CHECK(refused<w4>(w).what == expected);
        CHECK(refused<w8>(w).what == expected);
        CHECK(refused<blocks3>(w).what == expected);
        CHECK(refused<w8>(w).code == errc::non_finite);
        w.at(row, col) = before;
    }
}

TEST_CASE("in a row, the first column is named", "[errors][quantize]") {
    weights w{2, 70};
    w.at(1, 69) = not_a_number;
    w.at(1, 40) = infinity;
    w.at(1, 41) = not_a_number;
    CHECK(refused<w4>(w).what == "quantize: w: infinity at row 1, column 40");
    CHECK(refused<w8>(w).what == "quantize: w: infinity at row 1, column 40");
    CHECK(refused<blocks3>(w).what == "quantize: w: infinity at row 1, column 40");
}

TEST_CASE("infinite fp16 and bf16 weights are found", "[errors][quantize]") {
    std::vector<fp16> half(40, fp16(1.0f));
    half[33] = fp16::from_bits(0xFC00u);
    CHECK(of(try_quantize<w4>(matrix_view{half.data(), 2, 20})).what ==
          "quantize: w: infinity at row 1, column 13");
    std::vector<bf16> brain(40, bf16(1.0f));
    brain[2] = bf16::from_bits(0xFFC1u);
    CHECK(of(try_quantize<w4>(transposed(matrix_view{brain.data(), 2, 20}))).what ==
          "quantize: w: NaN at row 2, column 0");
}

TEST_CASE("when several rows fail on several threads, the lowest is reported",
          "[errors][quantize][threads]") {
    weights w{600, 512};
    for (std::size_t r = 143; r < 600; r += 7) w.at(r, r % 512) = not_a_number;
    thread_pool pool(7);
    const any_executor parallel = std::ref(pool);
    const any_executor backwards = [](std::size_t count, task f) {
        for (std::size_t i = count; i-- > 0;) f(i);
    };
    const std::string expected = "quantize: w: NaN at row 143, column 143";
    for (int round = 0; round < 5; ++round) {
        CHECK(refused<w4>(w, parallel).what == expected);
        CHECK(refused<blocks3>(w, parallel).what == expected);
    }
    CHECK(refused<w4>(w, backwards).what == expected);
    CHECK(refused<blocks3>(w, backwards).what == expected);

    // Whatever the kind of failure.
    w.at(120, 3) = 1e30f;
    CHECK(refused<w4>(w, parallel).code == errc::scale_overflow);
    CHECK(refused<w4>(w, backwards).code == errc::scale_overflow);
}

TEST_CASE("a scale that its type cannot hold is an error", "[errors][quantize]") {
    weights w{3, 70};
    w.at(2, 40) = 65519.0f * 8; // scale 65519, which rounds to 65504
    CHECK(try_quantize<w4>(w.view()));
    w.at(2, 40) = 65520.0f * 8;
    const outcome failed = refused<w4>(w);
    CHECK(failed.code == errc::scale_overflow);
    CHECK(failed.what.find("row 2, column 32") != std::string::npos);
    w.at(2, 40) = -65520.0f * 8;
    CHECK(refused<w4>(w).code == errc::scale_overflow);

    // A minimum, too.
    w.at(2, 40) = -65519.0f;
    CHECK(try_quantize<minimum4>(w.view()));
    w.at(2, 40) = -65520.0f;
    CHECK(refused<minimum4>(w).code == errc::scale_overflow);

    // A block of rows is named by its first.
    using shared = scheme<int4, symmetric, block_wise<2, 32>, fp16>;
    CHECK(try_quantize<shared>(w.view()));
    w.at(2, 40) = 1e9f;
    CHECK(refused<shared>(w).what.find("row 2, column 32") != std::string::npos);
}

TEST_CASE("a scale whose levels leave float's range is an error", "[errors][quantize]") {
    constexpr float largest = std::numeric_limits<float>::max();
    using midrise8 = scheme<int8, midrise, per_channel, float>;
    using asymmetric8 = scheme<int8, asymmetric, per_channel, float>;
    using minimum8 = scheme<int8, asymmetric_min, per_channel, float>;
    using brain4 = scheme<int4, symmetric, per_channel, bf16>;
    weights w{1, 40};
    w.at(0, 7) = largest;
    CHECK(try_quantize<w8>(w.view()));                      // −128 · (−largest / 128)
    CHECK(refused<brain4>(w).code == errc::scale_overflow); // the scale rounds upward
    w.at(0, 8) = -largest;
    CHECK(try_quantize<w8>(w.view()));
    // The range of these two is twice what a float holds.
    CHECK(refused<asymmetric8>(w).code == errc::scale_overflow);
    CHECK(refused<minimum8>(w).code == errc::scale_overflow);
    w.at(0, 7) = largest / 4;
    w.at(0, 8) = -largest / 4;
    CHECK(try_quantize<asymmetric8>(w.view()));
    CHECK(try_quantize<minimum8>(w.view()));
    CHECK(try_quantize<midrise8>(w.view()));
    CHECK(try_quantize<brain4>(w.view()));
}

TEST_CASE("quantize refuses views without elements, data or a possible size",
          "[errors][quantize]") {
    const auto code = [](matrix_view<const float> view) {
        const outcome first = of(try_quantize<w4>(view));
        CHECK(of(try_quantize_packed<w4>(view)).code == first.code);
        CHECK(of(try_quantize<blocks3>(view)).code == first.code);
        CHECK(first.what.starts_with("quantize: w: "));
        return first.code;
    };
    const float one = 1;
    CHECK(code({}) == errc::empty);
    CHECK(code({&one, 0, 5}) == errc::empty);
    CHECK(code({&one, 5, 0}) == errc::empty);
    CHECK(code({nullptr, 5, 5}) == errc::null_data);
    CHECK(code({&one, beyond_half, beyond_half}) == errc::size_overflow);
}

TEST_CASE("a cancelled call says so", "[errors][quantize]") {
    const weights w{600, 512};
    std::atomic<bool> cancel{true};
    quantize_options options;
    options.cancel = &cancel;
    thread_pool pool(3);
    CHECK(of(try_quantize<w4>(w.view(), options)).code == errc::cancelled);
    CHECK(of(try_quantize<w4>(w.view(), options, pool)).code == errc::cancelled);
    CHECK(of(try_quantize<blocks3>(w.view(), options)).code == errc::cancelled);
    CHECK(of(try_quantize_packed<w4>(w.view(), options, pool)).code == errc::cancelled);
    cancel = false;
    CHECK(try_quantize<w4>(w.view(), options, pool));

    // Half way, from the progress callback.
    options.progress = [&](std::size_t, std::size_t) { cancel = true; };
    const any_executor split = [](std::size_t count, task f) { serial(count, f); };
    CHECK(of(try_quantize<w4>(w.view(), options, split)).code == errc::cancelled);
}

TEST_CASE("progress counts only grow and end at all rows", "[quantize][threads]") {
    const weights w{1000, 300};
    thread_pool pool(7);
    const auto counts_of = [&](auto&& call) {
        std::vector<std::size_t> counts;
        std::atomic<int> inside{0};
        quantize_options options;
        options.progress = [&](std::size_t done, std::size_t of_rows) {
            CHECK(++inside == 1);
            CHECK(of_rows == 1000);
            counts.push_back(done);
            --inside;
        };
        call(options);
        REQUIRE_FALSE(counts.empty());
        CHECK(counts.back() == 1000);
        for (std::size_t i = 1; i < counts.size(); ++i) CHECK(counts[i - 1] < counts[i]);
        return counts.size();
    };
    const auto plain = [&](const quantize_options& o) { CHECK(try_quantize<w4>(w.view(), o)); };
    const auto pooled = [&](const quantize_options& o) {
        CHECK(try_quantize<w4>(w.view(), o, pool));
    };
    const auto packed = [&](const quantize_options& o) {
        CHECK(try_quantize_packed<w4>(w.view(), o, pool));
    };
    const auto shared = [&](const quantize_options& o) {
        CHECK(try_quantize<blocks3>(w.view(), o, pool));
    };
    counts_of(plain);
    CHECK(counts_of(pooled) > 1);
    CHECK(counts_of(packed) > 1);
    CHECK(counts_of(shared) > 1);
}

TEST_CASE("a progress callback that throws is an error, not a crash", "[errors][quantize]") {
    const weights w{40, 40};
    quantize_options options;
    options.progress = [](std::size_t, std::size_t) { throw std::runtime_error("window closed"); };
    const outcome failed = of(try_quantize<w4>(w.view(), options));
    CHECK(failed.code == errc::executor_failed);
    CHECK(failed.what == "quantize: w: window closed");
}

TEST_CASE("dequantize refuses outputs that do not fit", "[errors][dequantize]") {
    const weights w{4, 6};
    const auto q = quantize<w4>(w.view());
    std::vector<float> out(100);
    const auto code = [&](const quantized_matrix<w4>& from, matrix_view<float> to) {
        const outcome failed = of(try_dequantize(from, to));
        CHECK_THROWS_AS(dequantize(from, to), error);
        CHECK(failed.what.starts_with("dequantize: "));
        return failed.code;
    };
    CHECK(code(q, {out.data(), 4, 7}) == errc::shape_mismatch);
    CHECK(code(q, {out.data(), 6, 4}) == errc::shape_mismatch);
    CHECK(code(q, {out.data(), 4, 6, 5}) == errc::invalid_stride);
    CHECK(code(q, transposed(matrix_view{out.data(), 6, 4})) == errc::invalid_stride);
    CHECK(code(q, {nullptr, 4, 6}) == errc::null_data);
    CHECK(code(q, {}) == errc::empty);
    CHECK(code({}, {out.data(), 4, 6}) == errc::empty);

    // Rows farther apart than they are long: what lies between is not touched.
    out.assign(100, -7.0f);
    CHECK(try_dequantize(q, matrix_view{out.data(), 4, 6, 9}));
    for (std::size_t i = 0; i < 36; ++i) CHECK((out[i] == -7.0f) == (i % 9 >= 6));
    CHECK(out[36] == -7.0f);
}

TEST_CASE("a matrix from given codes is checked", "[errors][quantized_matrix]") {
    using asym3 = scheme<int3, asymmetric, group_wise<4>, float>;
    using min3 = scheme<int3, asymmetric_min, group_wise<4>, fp16>;
    std::vector<std::uint8_t> codes(2 * 6, 7), zeros(4, 7);
    std::vector<float> scales(4, 1.0f);
    std::vector<fp16> halves(4, fp16(1.0f)), minimums(4, fp16(-2.0f));
    const auto make = [&](std::size_t rows = 2, std::size_t cols = 6) {
        return quantized_matrix<asym3>::try_from(rows, cols, codes, scales, zeros);
    };
    const auto make_min = [&] {
        return quantized_matrix<min3>::try_from(2, 6, codes, halves, minimums);
    };
    REQUIRE(make());
    REQUIRE(make_min());
    CHECK(make()->rows() == 2);
    CHECK(make()->groups_per_row() == 2);

    CHECK(of(make(0, 6)).code == errc::empty);
    CHECK(of(make(2, 0)).code == errc::empty);
    CHECK(of(make(beyond_half, beyond_half)).code == errc::size_overflow);
    CHECK(of(make(SIZE_MAX, 2)).code == errc::size_overflow);
    // A shape that is wrong and huge is found to be wrong before memory is asked for.
    CHECK(of(make(two_to(20), two_to(has_endless_sizes ? 25 : 9))).code == errc::shape_mismatch);
    CHECK(of(make(2, 5)).code == errc::shape_mismatch);
    scales.pop_back();
    CHECK(of(make()).code == errc::shape_mismatch);
    scales.push_back(1.0f);
    zeros.push_back(0);
    CHECK(of(make()).what ==
          "quantized_matrix: 2 x 6 needs 12 codes, 4 scales, 4 offsets, not 12, 4, 5");
    zeros.pop_back();

    codes[7] = 8;
    CHECK(of(make()).what == "quantized_matrix: code 8 at row 1, column 1 exceeds 7");
    CHECK(of(make()).code == errc::code_out_of_range);
    codes[7] = 0;
    zeros[3] = 8;
    CHECK(of(make()).what == "quantized_matrix: zero point 8 at scale row 1, group 1 exceeds 7");
    CHECK(of(make()).code == errc::code_out_of_range);
    zeros[3] = 0;
    scales[2] = infinity;
    CHECK(of(make()).what == "quantized_matrix: scale at scale row 1, group 0 is not finite");
    CHECK(of(make()).code == errc::non_finite);
    halves[1] = fp16::from_bits(0x7E00u);
    CHECK(of(make_min()).code == errc::non_finite);
    halves[1] = fp16(0.0f);
    minimums[3] = fp16::from_bits(0xFC00u);
    CHECK(of(make_min()).what == "quantized_matrix: minimum at scale row 1, group 1 is not finite");

    // A scheme without offsets takes none; the constructor throws what try_from returns.
    using plain = scheme<int8, symmetric, per_tensor, float>;
    const std::vector<float> one(1, 0.25f);
    CHECK_NOTHROW(quantized_matrix<plain>(2, 6, codes, one));
    CHECK_THROWS_AS(quantized_matrix<plain>(2, 6, codes, one, zeros), error);
}

TEST_CASE("what mutable_ functions broke, validate and clone find", "[errors][quantized_matrix]") {
    const weights w{3, 40};
    auto q = quantize<minimum4>(w.view());
    CHECK(q.validate());
    CHECK(quantized_matrix<w4>().validate());
    q.mutable_codes()[41] = 16;
    CHECK(of(q.validate()).what == "quantized_matrix: code 16 at row 1, column 1 exceeds 15");
    CHECK(of(q.try_clone()).code == errc::code_out_of_range);
    CHECK_THROWS_AS(q.clone(), error);
    q.mutable_codes()[41] = 15;
    CHECK(q.validate());
    q.mutable_scales()[3] = fp16::from_bits(0x7C00u);
    CHECK(of(q.validate()).what == "quantized_matrix: scale at scale row 1, group 1 is not finite");
    q.mutable_scales()[3] = fp16(1.0f);
    q.mutable_offsets()[5] = fp16::from_bits(0xFE01u);
    CHECK(of(q.validate()).code == errc::non_finite);
}

TEST_CASE("an emptied quantized matrix is an empty one", "[quantized_matrix]") {
    using tensor4 = scheme<int4, asymmetric, per_tensor, float>;
    const weights w{5, 7};
    auto q = quantize<tensor4>(w.view());
    const auto copy = q.clone();
    CHECK(copy == q);
    CHECK(copy.nominal_bits() == 5 * 7 * 4 + 32 + 4);
    const auto taken = std::move(q);
    CHECK(taken == copy);
    CHECK(q == quantized_matrix<tensor4>());
    CHECK(q.rows() == 0);
    CHECK(q.cols() == 0);
    CHECK(q.codes().empty());
    CHECK(q.scales().empty());
    CHECK(q.offsets().empty());
    CHECK(q.nominal_bits() == 0);
    CHECK(q.clone() == q);
    CHECK(of(try_pack(q)).code == errc::empty);
    q = taken.clone();
    CHECK(q == copy);
    q = quantized_matrix<tensor4>();
    CHECK(q.rows() == 0);
}

TEST_CASE("memory that does not exist is an error", "[errors][memory]") {
    // Beyond any address space, within what a size can say.
    if (!has_endless_sizes) SKIP("sizes of 32 bits");
    for (const int power : {48, 55, 61}) {
        const std::size_t cols = two_to(power);
        CHECK(of(quantized_matrix<w8>::try_zero(1, cols, "here")).code == errc::out_of_memory);
        CHECK(of(packed_matrix<w8>::try_zero(1, cols, "here")).what.starts_with("here: "));
    }
    CHECK(of(packed_matrix<w8>::try_zero(1, two_to(48), "")).code == errc::out_of_memory);
    CHECK(of(packed_matrix<w8>::try_zero(1, two_to(61), "")).code == errc::size_overflow);
    const float one = 1;
    const matrix_view<const float> repeated{&one, 1, two_to(48), 0, 0};
    CHECK(of(try_quantize<w8>(repeated)).code == errc::out_of_memory);
    CHECK(of(try_quantize_packed<w8>(repeated)).code == errc::out_of_memory);
    CHECK_THROWS_AS(quantize<w8>(repeated), error);
}
