// Scales of least squared error: never worse than the min-max rule, near the best there are, and
// what importance means.
#include "scheme_cases.hpp"

#include <algorithm>
#include <limits>

using namespace quant;

namespace {

/// Groups in lanes and groups that are long; zero points, minimums, scales with a sign. Levels by
/// table take long to compile: their searches are those of quantized_bytes.cpp.
using schemes = std::tuple<scheme<int3, asymmetric, group_wise<16>, float>,
                           scheme<int2, asymmetric_min, per_channel, bf16>,
                           scheme<int2, symmetric, group_wise<300>, float>>;

float normal(cases::numbers& random) { // nearly
    float sum = 0;
    for (int i = 0; i < 12; ++i) sum += static_cast<float>(random.bits()) * 0x1p-32f - 0.5f;
    return sum;
}
float heavy_tailed(cases::numbers& random) {
    const float x = normal(random);
    return x * x * x;
}

/// Rows of every kind that a search may get wrong.
std::vector<float> some_rows(std::size_t cols, std::size_t& rows, bool wide_scales) {
    cases::numbers random(cols);
    std::vector<float> made;
    rows = 0;
    const auto row = [&](auto next) {
        ++rows;
        for (std::size_t c = 0; c < cols; ++c) made.push_back(next(c));
    };
    const auto any = [&](std::size_t) { return normal(random); };
    for (int i = 0; i < 6; ++i) row(any);
    for (int i = 0; i < 6; ++i) row([&](std::size_t) { return heavy_tailed(random); });
    row([](std::size_t) { return 0.0f; });
    row([](std::size_t) { return -0.375f; });
    row([&](std::size_t) { return 3 + 0.01f * normal(random); });
    row([&](std::size_t) { return -normal(random) * normal(random) - 2; });
    row([&](std::size_t c) { return c % 16 == 7 ? 900.0f : normal(random); });
    row([&](std::size_t c) { return c % 5 == 0 ? 1.0f : -1.0f; });
    row([&](std::size_t c) { return c == 0 ? -1.0f : 0.0f; });
    if (!wide_scales) return made;
    for (const float unit :
         {0x1p-149f, 0x1p-130f, 0x1p-120f, 0x1p-75f, 0x1p-50f, 0x1p60f, 0x1p124f}) {
        row([&](std::size_t) { return normal(random) * unit; });
    }
    constexpr float largest = std::numeric_limits<float>::max();
    row([&](std::size_t c) { return c % 2 == 0 ? 0.4f * largest : -0.45f * largest; });
    row([&](std::size_t c) { return c == 3 ? 0.9f * largest : 0.0f; });
    return made;
}

/// Σ v·(w − ŵ)² of columns first … last − 1, relative to `unit`.
double error_of(const float* w, const float* back, const float* importance, std::size_t first,
                std::size_t last, double unit) {
    double sum = 0;
    for (std::size_t c = first; c < last; ++c) {
        const double off = static_cast<double>(w[c]) / unit - static_cast<double>(back[c]) / unit;
        sum += (importance == nullptr ? 1.0 : static_cast<double>(importance[c])) * off * off;
    }
    return sum;
}

template <class S>
std::vector<float> there_and_back(const std::vector<float>& w, std::size_t rows, std::size_t cols,
                                  const quantize_options& options) {
    std::vector<float> back(w.size());
    dequantize(quantize<S>(matrix_view<const float>{w.data(), rows, cols}, options),
               matrix_view<float>{back.data(), rows, cols});
    return back;
}

} // namespace

TEMPLATE_LIST_TEST_CASE("mse is never worse than min-max, mse_optimal than mse", "[mse]",
                        cases::sample<schemes>) {
    using S = TestType;
    CAPTURE(to_string(describe<S>()));
    for (const std::size_t cols : {1u, 7u, 33u, 172u, 600u}) {
        std::size_t rows = 0;
        const auto w = some_rows(cols, rows, sizeof(typename S::scale_type) == 4);
        cases::numbers random(9);
        std::vector<float> importance(cols);
        for (float& v : importance) v = random.bits() % 4 == 0 ? 0.0f : heavy_tailed(random);
        for (float& v : importance) v = std::fabs(v);
        for (const bool weighted : {false, true}) {
            quantize_options options;
            if (weighted) options.importance = importance;
            const auto min_max = there_and_back<S>(w, rows, cols, options);
            options.range = range_estimator::mse;
            const auto mse = there_and_back<S>(w, rows, cols, options);
            options.range = range_estimator::mse_optimal;
            const auto optimal = there_and_back<S>(w, rows, cols, options);
            const float* v = weighted ? importance.data() : nullptr;
            for (std::size_t r = 0; r < rows; ++r) {
                for (std::size_t c = 0; c < cols; c += S::group_size(cols)) {
                    const std::size_t end = std::min(cols, c + S::group_size(cols));
                    const float* row = w.data() + r * cols;
                    double unit = std::numeric_limits<double>::min();
                    for (std::size_t i = c; i < end; ++i) {
                        unit = std::max(unit, std::fabs(static_cast<double>(row[i])));
                    }
                    const double was = error_of(row, min_max.data() + r * cols, v, c, end, unit);
                    const double is = error_of(row, mse.data() + r * cols, v, c, end, unit);
                    CAPTURE(cols, weighted, r, c);
                    REQUIRE(is <= was * (1 + 1e-5) + 1e-12);
                    const double least = error_of(row, optimal.data() + r * cols, v, c, end, unit);
                    REQUIRE(least <= is * (1 + 1e-5) + 1e-12);
                }
            }
        }
    }
}

namespace {

/// The least error of a group of sixteen for any scale (and offset), by trying many.
template <class S>
double best_error(const float* w, double first_share) {
    constexpr std::size_t n = 16;
    const auto [lowest, highest] = std::minmax_element(w, w + n);
    const double low = std::min(0.0, static_cast<double>(*lowest));
    const double high = std::max(0.0, static_cast<double>(*highest));
    const double widest = S::has_offset
                              ? (high - low) / S::max_code
                              : std::max(-low, high) / static_cast<double>(S::greatest_step);
    double best = std::numeric_limits<double>::infinity();
    const auto offer = [&](double scale, int point) {
        double wq = 0, qq = 0, ww = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const double x = static_cast<double>(w[i]);
            const double t =
                std::clamp(std::nearbyint(x / scale), static_cast<double>(S::least_step) - point,
                           static_cast<double>(S::greatest_step) - point);
            wq += x * t;
            qq += t * t;
            ww += x * x;
        }
        if (qq > 0) best = std::min(best, ww - wq * wq / qq);
    };
    for (int i = 0; i < 1000; ++i) {
        const double scale = widest * (first_share + (1.15 - first_share) * i / 999);
        if constexpr (S::has_zero_point) {
            for (int point = 0; point <= S::max_code; ++point) offer(scale, point);
        } else {
            offer(scale, 0);
            offer(-scale, 0);
        }
    }
    return best;
}

/// How much more error mse has than there must be, over many groups of sixteen.
template <class S>
double excess_over_best() {
    constexpr std::size_t groups = 150, n = 16;
    cases::numbers random(5);
    std::vector<float> w(groups * n);
    for (std::size_t i = 0; i < w.size(); ++i) {
        w[i] = i % (2 * n) < n ? normal(random) : heavy_tailed(random);
    }
    const auto error_with = [&](range_estimator range) {
        quantize_options options;
        options.range = range;
        const auto back = there_and_back<S>(w, groups, n, options);
        double sum = 0;
        for (std::size_t g = 0; g < groups; ++g) {
            double norm = 0;
            for (std::size_t i = 0; i < n; ++i)
                norm += std::pow(static_cast<double>(w[g * n + i]), 2);
            sum += error_of(w.data() + g * n, back.data() + g * n, nullptr, 0, n, 1) / norm;
        }
        return sum;
    };
    double best = 0;
    for (std::size_t g = 0; g < groups; ++g) {
        double norm = 0;
        for (std::size_t i = 0; i < n; ++i) norm += std::pow(static_cast<double>(w[g * n + i]), 2);
        best += best_error<S>(w.data() + g * n, 0.2) / norm;
    }
    return error_with(range_estimator::mse) / best - 1;
}

} // namespace

TEST_CASE("mse is near the least error that there is", "[mse]") {
    // Of all zero points, too, of which three are tried.
    CHECK(excess_over_best<std::tuple_element_t<2, schemes>>() < 0.01);
    CHECK(excess_over_best<std::tuple_element_t<0, schemes>>() < 0.04);
}

TEMPLATE_LIST_TEST_CASE("columns of importance 0 do not matter", "[mse]", cases::sample<schemes>) {
    using S = TestType;
    CAPTURE(to_string(describe<S>()));
    constexpr std::size_t rows = 8, cols = 333;
    cases::numbers random(11);
    std::vector<float> w(rows * cols), importance(cols);
    for (float& x : w) x = normal(random);
    for (std::size_t c = 0; c < cols; ++c) importance[c] = c % 4 == 1 ? 0.0f : 1.0f;
    quantize_options options;
    options.range = range_estimator::mse;
    options.importance = importance;
    const auto error = [&](float outlier) {
        for (std::size_t i = 0; i < w.size(); ++i) {
            if (i % cols % 4 == 1) w[i] = i % 8 == 1 ? outlier : -0.7f * outlier;
        }
        const auto back = there_and_back<S>(w, rows, cols, options);
        double sum = 0;
        for (std::size_t r = 0; r < rows; ++r) {
            sum += error_of(w.data() + r * cols, back.data() + r * cols, importance.data(), 0, cols,
                            1);
        }
        return sum;
    };
    const double without = error(0);
    CHECK(error(200) < 1.05 * without);

    // What counts of importance is how it is distributed.
    const auto quantized = [&] {
        return quantize<S>(matrix_view<const float>{w.data(), rows, cols}, options);
    };
    const auto as_it_was = quantized();
    for (const float factor : {0x1p-100f, 0x1p-40f, 0x1p20f, 0x1p120f}) {
        for (std::size_t c = 0; c < cols; ++c) importance[c] = c % 4 == 1 ? 0.0f : factor;
        CHECK(quantized() == as_it_was);
    }
    importance.assign(cols, 4.0f);
    const auto all_alike = quantized();
    options.importance = {};
    CHECK(quantized() == all_alike);
}

TEST_CASE("weights that do not count stay finite", "[mse]") {
    // The scale that suits the first weight alone has a level at -4e38 for the second.
    using S = scheme<int2, symmetric, group_wise<300>, float>;
    const std::vector<float> w{2e38f, -3.3e38f}, importance{1, 0};
    quantize_options options;
    options.range = range_estimator::mse;
    options.importance = importance;
    for (const float x : there_and_back<S>(w, 1, 2, options)) CHECK(std::isfinite(x));
}
