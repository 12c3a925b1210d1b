// Estimators and roundings: what each promises, for every kind of mapping and granularity.
#include "equal_ranges.hpp"
#include "scheme_cases.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <string>

using namespace quant;

namespace {

using grouped = scheme<int4, symmetric, group_wise<32>, fp16>;
using with_minimum = scheme<int4, asymmetric_min, group_wise<32>, float>;
using with_point = scheme<int4, asymmetric, block_wise<4, 24>, float>;
using whole = scheme<int3, symmetric, per_tensor, float>;
using floating = scheme<fp4, symmetric, group_wise<32>, e8m0>;
using two_levels = scheme<int4, symmetric, group_wise<16>, two_level<signed_scale<6>, fp16, 8>>;
using kinds = std::tuple<grouped, with_minimum, with_point, whole, floating, two_levels>;

constexpr std::size_t rows = 12, cols = 200;

std::vector<float> some_weights() { return cases::numbers(11).vector(rows * cols); }

matrix_view<const float> view_of(const std::vector<float>& w) { return {w.data(), rows, cols}; }

template <class S>
std::vector<float> restored(const quantized_matrix<S>& q) {
    std::vector<float> w(q.rows() * q.cols());
    dequantize(q, matrix_view<float>{w.data(), q.rows(), q.cols()});
    return w;
}

double squared_error(const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
        sum += d * d;
    }
    return sum;
}

quantize_options with(range_estimator range) {
    quantize_options options;
    options.range = range;
    return options;
}

} // namespace

TEMPLATE_LIST_TEST_CASE("every estimator: the same bytes packed at once and on threads",
                        "[quantize][options]", cases::sample<kinds>) {
    const auto w = some_weights();
    thread_pool pool(3);
    for (const auto range :
         {range_estimator::mse, range_estimator::percentile, range_estimator::entropy,
          range_estimator::half_quadratic, range_estimator::mse_optimal}) {
        CAPTURE(static_cast<int>(range));
        auto options = with(range);
        options.percentile = 98;
        const auto q = quantize<TestType>(view_of(w), options);
        CHECK(quantize<TestType>(view_of(w), options, pool) == q);
        CHECK(quantize_packed<TestType>(view_of(w), options, pool) == pack(q));
        CHECK(q.validate());
    }
}

TEMPLATE_LIST_TEST_CASE("without options: the bytes and the errors of the defaults",
                        "[quantize][options]", kinds) {
    auto w = some_weights();
    thread_pool pool(3);
    const auto q = quantize<TestType>(view_of(w), {});
    CHECK(quantize<TestType>(view_of(w)) == q);
    CHECK(quantize<TestType>(view_of(w), pool) == q);
    CHECK(quantize_packed<TestType>(view_of(w)) == quantize_packed<TestType>(view_of(w), {}));
    CHECK(quantize_packed<TestType>(view_of(w), pool) == pack(q));

    w[7 * cols + 5] = std::numeric_limits<float>::infinity();
    const auto expected = try_quantize<TestType>(view_of(w), {});
    const auto found = try_quantize<TestType>(view_of(w));
    REQUIRE(!found);
    CHECK(found.failure().code() == expected.failure().code());
    CHECK(std::string(found.failure().what()) == expected.failure().what());
}

TEMPLATE_LIST_TEST_CASE("least squared error is never more than min-max's", "[quantize][options]",
                        cases::sample<kinds>) {
    const auto w = some_weights();
    const auto plain = restored(quantize<TestType>(view_of(w)));
    const auto searched = restored(quantize<TestType>(view_of(w), with(range_estimator::mse)));
    CHECK(squared_error(w, searched) <= squared_error(w, plain));
    const auto least = restored(quantize<TestType>(view_of(w), with(range_estimator::mse_optimal)));
    CHECK(squared_error(w, least) <= squared_error(w, searched) * (1 + 1e-6));
}

TEST_CASE("percentiles cut off what is rare", "[quantize][options]") {
    using S = scheme<int8, symmetric, per_channel, float>;
    std::vector<float> w(1000);
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(i % 100) * 0.01f;
    w[500] = -50;
    auto options = with(range_estimator::percentile);
    options.percentile = 99.5;
    const auto q = quantize<S>(matrix_view<const float>{w.data(), 1, w.size()}, options);
    // Of all magnitudes 99.5 % are at most 0.99; the extreme is negative, so the scale is positive.
    CHECK(static_cast<double>(q.scales()[0]) == static_cast<double>(99.0f * 0.01f / 128));
    CHECK(q.codes()[500] == 0);
    options.percentile = 100;
    const auto all_of_it = quantize<S>(matrix_view<const float>{w.data(), 1, w.size()}, options);
    CHECK(all_of_it == quantize<S>(matrix_view<const float>{w.data(), 1, w.size()}));

    // What does not count is not part of any percentage.
    std::vector<float> importance(w.size(), 1);
    importance[500] = 0;
    options.percentile = 100;
    options.importance = importance;
    const auto counted = quantize<S>(matrix_view<const float>{w.data(), 1, w.size()}, options);
    CHECK(static_cast<double>(counted.scales()[0]) == static_cast<double>(99.0f * 0.01f / 128));

    using M = scheme<int8, asymmetric_min, per_channel, float>;
    options = with(range_estimator::percentile);
    options.percentile = 99.81; // less than one weight at either end
    const auto line = quantize<M>(matrix_view<const float>{w.data(), 1, w.size()}, options);
    CHECK(static_cast<double>(line.offsets()[0]) == -50.0);
    options.percentile = 99;
    const auto shorter = quantize<M>(matrix_view<const float>{w.data(), 1, w.size()}, options);
    CHECK(static_cast<double>(shorter.offsets()[0]) == 0.0);
}

TEST_CASE("entropy takes the range that calibration finds", "[quantize][options]") {
    using S = scheme<int4, asymmetric_min, per_channel, float>;
    auto w = cases::numbers(5).vector(4000);
    w[17] = 60;
    const matrix_view<const float> row{w.data(), 1, w.size()};
    const auto q = quantize<S>(row, with(range_estimator::entropy));
    auto observer = histogram_observer::per_tensor();
    observer.observe(row);
    const value_range range = entropy_range(observer.histogram(), 16, range_symmetry::asymmetric);
    CHECK(static_cast<double>(q.offsets()[0]) == static_cast<double>(range.lowest));
    CHECK(static_cast<double>(q.scales()[0]) ==
          static_cast<double>(range.highest / 15 - range.lowest / 15));
    CHECK(range.highest < 60);
}

TEST_CASE("entropy counts weights by importance", "[quantize][options]") {
    using S = scheme<int4, symmetric, per_channel, float>;
    const auto w = cases::numbers(5).vector(4000);
    const matrix_view<const float> row{w.data(), 1, w.size()};
    auto options = with(range_estimator::entropy);
    const auto range_of = [&](std::vector<float> importance) {
        options.importance = importance;
        const float scale = quantize<S>(row, options).scales()[0];
        return std::abs(scale) * 8;
    };
    // Twice the importance is to be there twice.
    std::vector<float> importance(w.size(), 1);
    std::fill_n(importance.begin(), 1000, 2.0f);
    auto observer = histogram_observer::per_tensor();
    observer.observe(row);
    observer.observe(matrix_view<const float>{w.data(), 1, 1000});
    const value_range twice = entropy_range(observer.histogram(), 16);
    CHECK(static_cast<double>(range_of(importance)) == static_cast<double>(twice.max_abs()));
    // Importance 0 is not to be there; all alike is no importance, and so are zeros alone.
    std::fill_n(importance.begin(), 1000, 1.0f);
    std::fill(importance.begin() + 1000, importance.end(), 0.0f);
    auto first = histogram_observer::per_tensor();
    first.observe(matrix_view<const float>{w.data(), 1, 1000});
    const value_range without = entropy_range(first.histogram(), 16);
    CHECK(static_cast<double>(range_of(importance)) == static_cast<double>(without.max_abs()));
    const float unweighted = range_of({});
    CHECK(static_cast<double>(range_of(std::vector<float>(w.size(), 3.0f))) ==
          static_cast<double>(unweighted));
    CHECK(static_cast<double>(range_of(std::vector<float>(w.size(), 0.0f))) ==
          static_cast<double>(unweighted));
}

TEST_CASE("half-quadratic refinement is not led by outliers", "[quantize][options]") {
    using S = scheme<int3, asymmetric_min, group_wise<64>, float>;
    auto w = cases::numbers(9).vector(rows * cols);
    const auto mean_residual = [&](const quantized_matrix<S>& q) {
        const auto made = restored(q);
        double sum = 0;
        for (std::size_t i = 0; i < w.size(); ++i) {
            sum += std::abs(static_cast<double>(made[i]) - static_cast<double>(w[i]));
        }
        return sum;
    };
    const auto plain = quantize<S>(view_of(w));
    const auto refined = quantize<S>(view_of(w), with(range_estimator::half_quadratic));
    CHECK(equal_ranges(plain.scales(), refined.scales()));
    CHECK(mean_residual(refined) < mean_residual(plain));
}

TEMPLATE_LIST_TEST_CASE("stochastic rounding is right on average, and reproducible",
                        "[quantize][rounding]", cases::sample<kinds>) {
    const auto w = some_weights();
    quantize_options options;
    options.rounding = rounding_mode::stochastic;
    const auto nearest = restored(quantize<TestType>(view_of(w)));
    constexpr int draws = 200;
    std::vector<double> mean(w.size());
    for (int i = 0; i < draws; ++i) {
        options.seed = static_cast<std::uint64_t>(i);
        const auto made = restored(quantize<TestType>(view_of(w), options));
        for (std::size_t j = 0; j < w.size(); ++j) {
            mean[j] += static_cast<double>(made[j]) / draws;
        }
    }
    // The mean of draws lies nearer than one rounding does, but for what is clipped.
    double of_mean = 0;
    for (std::size_t j = 0; j < w.size(); ++j) {
        of_mean += std::pow(mean[j] - static_cast<double>(w[j]), 2);
    }
    CHECK(of_mean < 0.5 * squared_error(w, nearest));

    options.seed = 7;
    thread_pool pool(3);
    const auto once = quantize<TestType>(view_of(w), options);
    CHECK(quantize<TestType>(view_of(w), options, pool) == once);
    CHECK(quantize_packed<TestType>(view_of(w), options, pool) == pack(once));
    options.seed = 8;
    CHECK_FALSE(quantize<TestType>(view_of(w), options) == once);
}

TEST_CASE("diffused errors cancel along a row", "[quantize][rounding]") {
    using S = scheme<int8, asymmetric_min, per_channel, float>;
    const auto w = some_weights();
    quantize_options options;
    options.rounding = rounding_mode::error_diffusion;
    const auto q = quantize<S>(view_of(w), options);
    const auto made = restored(q);
    for (std::size_t r = 0; r < rows; ++r) {
        double sum = 0;
        const double step = static_cast<double>(q.scales()[r]);
        for (std::size_t c = 0; c < cols; ++c) {
            sum += static_cast<double>(made[r * cols + c]) - static_cast<double>(w[r * cols + c]);
            CHECK(std::abs(sum) < 0.6 * step);
        }
    }
}

TEST_CASE("options that mean nothing are refused", "[quantize][errors]") {
    const auto w = some_weights();
    const auto code_of = [&](const quantize_options& options) {
        return try_quantize<grouped>(view_of(w), options).failure().code();
    };
    quantize_options options;
    options.range = static_cast<range_estimator>(99);
    CHECK(code_of(options) == errc::invalid_argument);
    options = {};
    options.rounding = static_cast<rounding_mode>(3);
    CHECK(code_of(options) == errc::invalid_argument);
    for (const double percentile : {0.0, -1.0, 100.5, std::nan("")}) {
        options = {};
        options.percentile = percentile;
        CHECK(code_of(options) == errc::invalid_argument);
    }
    options = {};
    std::vector<float> importance(cols - 1, 1);
    options.importance = importance;
    CHECK(code_of(options) == errc::shape_mismatch);
    importance.assign(cols, 1);
    importance[3] = -1;
    options.importance = importance;
    const auto refused = try_quantize<grouped>(view_of(w), options);
    REQUIRE_FALSE(refused);
    CHECK(std::string(refused.failure().message()).find("column 3") != std::string::npos);
}
