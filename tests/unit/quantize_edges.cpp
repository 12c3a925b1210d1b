// Where quantizers may go wrong: levels at the end of a type, on one side of zero or far apart,
// importances that are all alike, and calls that are watched.
#include <quant/quantize/dequantize.hpp>
#include <quant/quantize/quantize.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

using namespace quant;

namespace {

using view = matrix_view<const float>;

/// −1 … 1, most of them small.
std::vector<float> numbers(std::size_t n) {
    std::uint64_t state = 5;
    std::vector<float> made(n);
    for (float& x : made) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        x = static_cast<float>(static_cast<std::int32_t>(state >> 32)) * 0x1p-31f;
        x *= std::fabs(x);
    }
    return made;
}

template <class S>
std::vector<float> restored(const quantized_matrix<S>& q) {
    std::vector<float> w(q.rows() * q.cols());
    dequantize(q, matrix_view<float>{w.data(), q.rows(), q.cols()});
    return w;
}

template <class S>
double relative_error(const std::vector<float>& w, std::size_t cols,
                      const quantize_options& options = {}) {
    const auto made = restored(quantize<S>(view{w.data(), w.size() / cols, cols}, options));
    double error = 0, power = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
        const auto x = static_cast<double>(w[i]), d = static_cast<double>(made[i]) - x;
        error += d * d;
        power += x * x;
    }
    return std::sqrt(error / power);
}

quantize_options with(range_estimator range) {
    quantize_options options;
    options.range = range;
    return options;
}

struct from_zero {
    static constexpr std::array<std::int8_t, 4> levels{0, 1, 2, 3};
};
template <class Scale>
using counting = scheme<codebook<from_zero>, symmetric, group_wise<16>, Scale>;

struct far_apart {
    static constexpr std::array<std::int8_t, 4> levels{-40, -9, 9, 40};
};

} // namespace

TEST_CASE("half-quadratic refinement leads to no infinite level", "[quantize][options]") {
    // Scales near the greatest fp16 number, which refinement would stretch.
    using S = scheme<int4, symmetric, group_wise<32>, fp16>;
    std::vector<float> w(64);
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = i % 3 == 0 ? 524100.0f : -524100.0f;
    const auto q = quantize<S>(view{w.data(), 1, 64}, with(range_estimator::half_quadratic));
    CHECK(q.validate());
    CHECK(q == quantize<S>(view{w.data(), 1, 64}));

    using F = scheme<int4, symmetric, block_wise<4, 16>, float>;
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = i % 3 == 0 ? FLT_MAX : -FLT_MAX;
    for (const float x :
         restored(quantize<F>(view{w.data(), 4, 16}, with(range_estimator::half_quadratic)))) {
        CHECK(std::isfinite(x));
    }
}

TEST_CASE("levels from zero on: scales reach the greatest weight", "[quantize][levels]") {
    auto w = numbers(16 * 64);
    for (float& x : w) x = std::max(x, 0.0f); // of each group zero is the least
    for (const auto range : {range_estimator::min_max, range_estimator::mse}) {
        CAPTURE(static_cast<int>(range));
        const double of_signed = relative_error<counting<float>>(w, 64, with(range));
        CHECK(of_signed < 0.25);
        CHECK(relative_error<counting<fp8_e4m3>>(w, 64, with(range)) < 1.05 * of_signed);
        CHECK(relative_error<counting<e8m0>>(w, 64, with(range)) < 2 * of_signed);
        using two = counting<two_level<signed_scale<8>, float, 4>>;
        CHECK(relative_error<two>(w, 64, with(range)) < 0.25);
    }
    // What lies below zero alone becomes zero where no scale has a sign.
    std::vector<float> below(16, -1.0f);
    for (const float x : restored(quantize<counting<e8m0>>(view{below.data(), 1, 16}))) {
        CHECK(static_cast<double>(x) == 0.0);
    }
}

TEST_CASE("minifloats under two levels of scales", "[quantize][levels]") {
    const auto w = numbers(4 * 256);
    using by_float = scheme<fp4, symmetric, group_wise<16>, float>;
    using by_unsigned =
        scheme<fp4, symmetric, group_wise<16>, two_level<unsigned_scale<8>, float, 16>>;
    using by_signed = scheme<fp4, symmetric, group_wise<16>, two_level<signed_scale<8>, float, 16>>;
    const double one_level = relative_error<by_float>(w, 256);
    CHECK(relative_error<by_unsigned>(w, 256) < one_level);
    CHECK(relative_error<by_signed>(w, 256) < one_level);
    using wide =
        scheme<fp8_e4m3, symmetric, group_wise<32>, two_level<unsigned_scale<8>, float, 8>>;
    CHECK(relative_error<wide>(w, 256) < 0.03);
}

TEST_CASE("errors are handed on however far levels are apart", "[quantize][rounding]") {
    using codes = scheme<codebook<far_apart>, symmetric, per_channel, float>;
    using floats = scheme<fp8_e5m2, symmetric, per_channel, e8m0>;
    const std::size_t cols = 500;
    const auto w = numbers(cols);
    quantize_options options;
    options.rounding = rounding_mode::error_diffusion;
    // Within the levels, the sum of all errors is that of the last weight: half a gap at most.
    const auto largest_sum = [&](const std::vector<float>& made) {
        double sum = 0, largest = 0;
        for (std::size_t i = 0; i < cols; ++i) {
            sum += static_cast<double>(made[i]) - static_cast<double>(w[i]);
            largest = std::max(largest, std::fabs(sum));
        }
        return largest;
    };
    const auto by_codes = quantize<codes>(view{w.data(), 1, cols}, options);
    CHECK(largest_sum(restored(by_codes)) <=
          16 * std::fabs(static_cast<double>(by_codes.scales()[0])));
    const auto by_floats = quantize<floats>(view{w.data(), 1, cols}, options);
    CHECK(largest_sum(restored(by_floats)) <= 0.13); // the greatest number's gap is a quarter of 1
}

TEST_CASE("importances that are all alike are none, also where rows share scales",
          "[quantize][options]") {
    using S = scheme<int4, symmetric, block_wise<3, 20>, float>;
    auto w = numbers(6 * 50);
    w[7] = 30;
    std::vector<float> importance(50, 3.5f);
    for (const auto range : {range_estimator::mse, range_estimator::percentile,
                             range_estimator::entropy, range_estimator::half_quadratic}) {
        CAPTURE(static_cast<int>(range));
        auto options = with(range);
        const auto plain = quantize<S>(view{w.data(), 6, 50}, options);
        options.importance = importance;
        CHECK(quantize<S>(view{w.data(), 6, 50}, options) == plain);
    }
}

TEST_CASE("one thread, too, reports on its way and can be stopped there", "[quantize][options]") {
    using S = scheme<int4, symmetric, group_wise<32>, fp16>;
    const std::size_t rows = 512, cols = 1024;
    const auto w = numbers(rows * cols);
    quantize_options options;
    std::vector<std::size_t> seen;
    options.progress = [&](std::size_t done, std::size_t of) {
        seen.push_back(done);
        CHECK(of == rows);
    };
    const auto q = quantize<S>(view{w.data(), rows, cols}, options);
    CHECK(seen.size() == 16); // as many as there is work worth a task
    CHECK(std::is_sorted(seen.begin(), seen.end()));
    CHECK(seen.back() == rows);
    CHECK(q == quantize<S>(view{w.data(), rows, cols}));

    std::atomic<bool> stop{false};
    options.cancel = &stop;
    options.progress = [&](std::size_t, std::size_t) { stop = true; };
    const auto stopped = try_quantize<S>(view{w.data(), rows, cols}, options);
    REQUIRE_FALSE(stopped);
    CHECK(stopped.failure().code() == errc::cancelled);
}

TEST_CASE("a stopped call does not fit scales that rows share", "[quantize][options]") {
    using S = scheme<int4, symmetric, block_wise<2, 8>, float>;
    auto w = numbers(8 * 8);
    std::atomic<bool> stop{true};
    quantize_options options;
    options.cancel = &stop;
    w[3] = NAN; // what fitting would see first
    const auto stopped = try_quantize<S>(view{w.data(), 8, 8}, options);
    REQUIRE_FALSE(stopped);
    CHECK(stopped.failure().code() == errc::cancelled);
}
