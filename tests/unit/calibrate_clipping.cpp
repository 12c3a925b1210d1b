// Clipped ranges against their definitions: quantiles of sorted numbers, integrated errors, and
// divergences of distributions written out.
#include <quant/calibrate/observers.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

using namespace quant;
using Catch::Matchers::WithinRel;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Numbers like a normal distribution's, by sums of uniform ones.
std::vector<float> bell(std::size_t n, float mean, float deviation) {
    std::uint64_t state = 9;
    std::vector<float> made(n, mean);
    for (float& x : made) {
        for (int i = 0; i < 12; ++i) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            const auto bits = static_cast<std::int32_t>(state >> 32);
            x += deviation * (static_cast<float>(bits) * 0x1p-32f);
        }
    }
    return made;
}

std::vector<float> with(std::vector<float> x, std::vector<float> more) {
    x.insert(x.end(), more.begin(), more.end());
    return x;
}

histogram_observer observed(const std::vector<float>& x, std::size_t bins = 2048) {
    auto made = histogram_observer::per_tensor(bins);
    made.observe(matrix_view<const float>(x.data(), 1, x.size()));
    return made;
}

/// What quantizing the numbers themselves costs.
double squared_error(const std::vector<float>& x, const value_range& range, unsigned levels) {
    const double low = static_cast<double>(range.lowest);
    const double step = (static_cast<double>(range.highest) - low) / (levels - 1);
    double sum = 0;
    for (const float number : x) {
        const double level =
            std::clamp(std::round((static_cast<double>(number) - low) / step), 0.0, levels - 1.0);
        sum += std::pow(static_cast<double>(number) - (low + level * step), 2);
    }
    return sum;
}

/// The same of a histogram, by many points in each bin.
double sampled_error(const histogram_view& h, double low, double high, unsigned levels) {
    constexpr int points = 2000;
    const double step = (high - low) / (levels - 1);
    double sum = 0;
    for (std::size_t i = 0; i < h.counts.size(); ++i) {
        const double begin = std::max(h.edge(i), static_cast<double>(h.range.lowest));
        const double end = std::min(h.edge(i + 1), static_cast<double>(h.range.highest));
        for (int p = 0; p < points; ++p) {
            const double x = begin + (end - begin) * (p + 0.5) / points;
            const double level = std::clamp(std::round((x - low) / step), 0.0, levels - 1.0);
            sum +=
                static_cast<double>(h.counts[i]) / points * std::pow(x - (low + level * step), 2);
        }
    }
    return sum;
}

/// KL(P ‖ Q) of a window, written out.
double defined_divergence(const std::vector<double>& counts, std::size_t begin, std::size_t end,
                          std::size_t groups) {
    std::vector<double> p(counts.begin() + static_cast<std::ptrdiff_t>(begin),
                          counts.begin() + static_cast<std::ptrdiff_t>(end));
    std::vector<double> q(p.size());
    for (std::size_t g = 0; g < groups; ++g) {
        const std::size_t from = p.size() * g / groups, to = p.size() * (g + 1) / groups;
        double sum = 0, used = 0;
        for (std::size_t i = from; i < to; ++i) {
            sum += p[i];
            used += p[i] > 0 ? 1 : 0;
        }
        for (std::size_t i = from; i < to; ++i) q[i] = p[i] > 0 ? sum / used : 0;
    }
    std::size_t first = 0, last = p.size() - 1;
    while (first < p.size() && p[first] <= 0) ++first;
    if (first == p.size()) return infinity;
    while (p[last] <= 0) --last;
    for (std::size_t i = 0; i < begin; ++i) p[first] += counts[i];
    for (std::size_t i = end; i < counts.size(); ++i) p[last] += counts[i];
    double p_sum = 0, q_sum = 0, divergence = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
        p_sum += p[i];
        q_sum += q[i];
    }
    for (std::size_t i = 0; i < p.size(); ++i) {
        if (p[i] <= 0) continue;
        divergence += p[i] / p_sum * std::log(p[i] / p_sum / (q[i] / q_sum));
    }
    return divergence;
}

std::size_t median_bin(const std::vector<double>& counts) {
    double all = 0, sum = 0;
    for (const double one : counts) all += one;
    std::size_t i = 0;
    while (sum + counts[i] < all / 2) sum += counts[i++];
    return i;
}

std::vector<std::vector<float>> samples() {
    return {bell(4000, 0, 1),
            with(bell(3000, 0, 1), {40, -25, 100}),
            bell(2000, 7, 0.5f),
            with(bell(1000, -3, 1), {0, 0, 0, 50}),
            with(bell(500, 0, 1e-40f), {}),
            with(bell(500, 0, 1e37f), {FLT_MAX, -FLT_MAX})};
}

template <class F>
void check_fails(errc code, F f) {
    const auto outcome = f();
    REQUIRE_FALSE(outcome.has_value());
    INFO(outcome.failure().what());
    CHECK(outcome.failure().code() == code);
}

} // namespace

TEST_CASE("percentiles hold their share and are within a bin of the quantile") {
    for (auto x : samples()) {
        const auto observer = observed(x, 512);
        const auto h = observer.histogram();
        std::vector<float> magnitudes;
        for (const float number : x) magnitudes.push_back(std::fabs(number));
        std::sort(x.begin(), x.end());
        std::sort(magnitudes.begin(), magnitudes.end());
        for (const double percent : {100.0, 99.9, 99.0, 90.0, 50.0, 1.0, 1e-300}) {
            CAPTURE(percent, x.size());
            const std::size_t n = x.size();
            const auto outside =
                std::min(n - 1, static_cast<std::size_t>(
                                    std::floor((100 - percent) / 100 * static_cast<double>(n))));
            const value_range around = percentile_range(h, percent);
            const double edge = static_cast<double>(around.highest);
            const auto quantile = static_cast<double>(magnitudes[n - 1 - outside]);
            REQUIRE(around.lowest == -around.highest);
            REQUIRE(edge >= quantile);
            REQUIRE(edge <= quantile + h.width());

            const value_range both = percentile_range(h, percent, range_symmetry::asymmetric);
            const auto low = static_cast<double>(x[outside / 2]);
            const auto high = static_cast<double>(x[n - 1 - outside / 2]);
            REQUIRE(static_cast<double>(both.lowest) <= low);
            REQUIRE(static_cast<double>(both.lowest) >= low - h.width());
            REQUIRE(static_cast<double>(both.highest) >= high);
            REQUIRE(static_cast<double>(both.highest) <= high + h.width());
        }
        CHECK(percentile_range(h, 100) == h.range.symmetrized());
        CHECK(percentile_range(h, 100, range_symmetry::asymmetric) == h.range);
    }
}

TEST_CASE("the error of rounding is integrated exactly") {
    const auto narrow = observed(bell(300, 1, 2), 16), wide = observed(bell(300, 1, 2), 300);
    for (const auto* observer : {&narrow, &wide}) {
        const auto h = observer->histogram();
        const detail::rounding_error error(h);
        for (const unsigned levels : {2u, 3u, 16u, 255u}) {
            for (const double low : {-20.0, -3.0, -0.7, 1.0}) {
                const double high = low + 4.3;
                CAPTURE(levels, low);
                CHECK_THAT(error(low / h.width(), high / h.width(), levels) * h.width() * h.width(),
                           WithinRel(sampled_error(h, low, high, levels), 2e-3));
            }
        }
    }
}

TEST_CASE("the mean squared error chooses the best of its candidates") {
    for (const auto& x : samples()) {
        const auto observer = observed(x, 256);
        const auto h = observer.histogram();
        const detail::rounding_error error(h);
        const auto of_range = [&](double low, double high, unsigned levels) {
            return error(low / h.width(), high / h.width(), levels);
        };
        for (const unsigned levels : {4u, 16u, 255u}) {
            const value_range best = mse_range(h, levels);
            const auto most = static_cast<double>(h.range.max_abs());
            const auto chosen = static_cast<double>(best.highest);
            CHECK(best.lowest == -best.highest);
            const double loss = of_range(-chosen, chosen, levels);
            for (int i = 0; i <= 160; ++i) {
                const double a = most * std::exp2(-i / 16.0);
                REQUIRE(loss <= of_range(-a, a, levels) * (1 + 1e-5));
            }
            const value_range both = mse_range(h, levels, range_symmetry::asymmetric);
            CHECK(both.lowest < both.highest);
            const double loss_of_both = of_range(static_cast<double>(both.lowest),
                                                 static_cast<double>(both.highest), levels);
            CHECK(loss_of_both <= of_range(static_cast<double>(h.range.lowest),
                                           static_cast<double>(h.range.highest), levels) *
                                      (1 + 1e-5));
        }
    }
}

TEST_CASE("clipping pays on the numbers themselves where there are outliers and few levels") {
    const auto x = with(bell(20000, 0, 1), {60, -40});
    const auto observer = observed(x);
    const auto h = observer.histogram();
    const double of_all = squared_error(x, h.range.symmetrized(), 15);
    CHECK(squared_error(x, mse_range(h, 15), 15) < 0.5 * of_all);
    CHECK(squared_error(x, mse_range(h, 15, range_symmetry::asymmetric), 15) < 0.5 * of_all);
    CHECK(squared_error(x, percentile_range(h, 99.9), 15) < of_all);
    CHECK(entropy_range(h, 255).highest < 20);
    CHECK(entropy_range(h, 255, range_symmetry::asymmetric).highest < 20);
    // 8 bits of a bell without outliers: nearly all of it.
    const auto plain = observed(bell(20000, 0, 1));
    CHECK(mse_range(plain.histogram(), 255).highest > 0.7f * plain.range().max_abs());
}

TEST_CASE("logarithms that are the same everywhere are right") {
    for (int e = -40; e <= 40; ++e) {
        for (int i = 0; i < 500; ++i) {
            const double x = std::ldexp(1 + i / 500.0, e);
            CHECK_THAT(detail::logarithm(x), WithinRel(std::log(x), 1e-15));
        }
    }
    CHECK(detail::logarithm(1.0) == 0.0);
}

TEST_CASE("entropy chooses the window of least divergence") {
    for (const auto& x : samples()) {
        for (const std::size_t bins : {30u, 200u}) {
            const auto observer = observed(x, bins);
            const auto h = observer.histogram();
            const std::vector<double> counts(h.counts.begin(), h.counts.end());
            auto errors = detail::entropy_error::make(counts.size(), "test");
            REQUIRE(errors.has_value());
            std::copy(h.counts.begin(), h.counts.end(), errors->counts().begin());
            errors->sum();
            for (const std::size_t groups : {1u, 4u, 15u}) {
                for (std::size_t begin = 0; begin + groups <= counts.size(); begin += 3) {
                    for (std::size_t end = begin + groups; end <= counts.size(); end += 5) {
                        CAPTURE(groups, begin, end);
                        const double expected = defined_divergence(counts, begin, end, groups);
                        const double made = errors->divergence(begin, end, groups);
                        REQUIRE((made == expected || std::fabs(made - expected) < 1e-12));
                    }
                }
            }
            // The window that was chosen; neither end has a better place.
            const value_range both = entropy_range(h, 4, range_symmetry::asymmetric);
            if (counts.size() <= 4) {
                CHECK(both == h.range);
                continue;
            }
            const auto place = [&](double edge) {
                return static_cast<std::size_t>(std::floor(edge / h.width()) -
                                                static_cast<double>(h.first));
            };
            const std::size_t begin = place(static_cast<double>(both.lowest));
            const std::size_t end = both.highest == h.range.highest
                                        ? counts.size()
                                        : place(static_cast<double>(both.highest));
            const double least = defined_divergence(counts, begin, end, 4);
            const std::size_t median = median_bin(counts);
            REQUIRE(begin <= median);
            REQUIRE(median < end);
            for (std::size_t i = 0; i <= std::min(median, end - 4); ++i) {
                REQUIRE(least <= defined_divergence(counts, i, end, 4) + 1e-12);
            }
            for (std::size_t i = std::max(begin + 4, median + 1); i <= counts.size(); ++i) {
                REQUIRE(least <= defined_divergence(counts, begin, i, 4) + 1e-12);
            }
        }
    }
    SECTION("symmetric windows are of magnitudes") {
        const auto observer = observed(with(bell(3000, 0, 1), {9, -12}), 256);
        const auto h = observer.histogram();
        std::vector<double> counts;
        for (std::int64_t k = 0; k <= detail::largest_magnitude(h); ++k) {
            counts.push_back(static_cast<double>(detail::count_of_magnitude(h, k)));
        }
        std::size_t best = counts.size();
        for (std::size_t end = counts.size(); end > std::max<std::size_t>(7, median_bin(counts));
             --end) {
            if (defined_divergence(counts, 0, end, 8) <
                defined_divergence(counts, 0, best, 8) - 1e-12) {
                best = end;
            }
        }
        REQUIRE(best < counts.size());
        CHECK(entropy_range(h, 15) ==
              value_range{static_cast<float>(-static_cast<double>(best) * h.width()),
                          static_cast<float>(static_cast<double>(best) * h.width())});
    }
}

TEST_CASE("constants, single numbers, and numbers far from zero") {
    for (const float value : {0.0f, 1.5f, -3.0f, FLT_MAX, -FLT_MAX, FLT_MIN / 8}) {
        CAPTURE(value);
        const auto observer = observed({value, value});
        const auto h = observer.histogram();
        const value_range point = {value, value}, around = point.symmetrized();
        CHECK(percentile_range(h, 50) == around);
        CHECK(percentile_range(h, 50, range_symmetry::asymmetric) == point);
        CHECK(mse_range(h, 255, range_symmetry::asymmetric) == point);
        CHECK(mse_range(h, 255).highest <= around.highest);
        CHECK(entropy_range(h, 255, range_symmetry::asymmetric) == point);
        CHECK(std::isfinite(entropy_range(h, 255).highest));
        CHECK(entropy_range(h, 255).highest <= around.highest);
    }
    const auto far = observed(bell(1000, 1e6f, 1));
    CHECK(entropy_range(far.histogram(), 255).highest >= 1e6f - 300);
    CHECK(mse_range(far.histogram(), 255).highest > 0.99e6f);
    CHECK(mse_range(far.histogram(), 255, range_symmetry::asymmetric).lowest > 0.99e6f);
}

TEST_CASE("arguments without meaning are refused") {
    const auto observer = observed(bell(100, 0, 1), 16);
    const auto good = observer.histogram();
    using ranged = std::function<result<value_range>(const histogram_view&)>;
    const std::vector<ranged> functions = {
        [](const auto& h) { return try_percentile_range(h, 99); },
        [](const auto& h) { return try_percentile_range(h, 99, range_symmetry::asymmetric); },
        [](const auto& h) { return try_mse_range(h, 255, range_symmetry::symmetric); },
        [](const auto& h) { return try_entropy_range(h, 255); }};
    for (const ranged& f : functions) {
        CHECK(f(good).has_value());
        check_fails(errc::empty, [&] { return f({}); });
        auto broken = good;
        broken.counts = {static_cast<const std::uint64_t*>(nullptr), 3};
        check_fails(errc::null_data, [&] { return f(broken); });
        const auto refused = [&](auto change) {
            auto changed = good;
            change(changed);
            check_fails(errc::invalid_argument, [&] { return f(changed); });
        };
        refused([](auto& h) { h.counts = h.counts.first(h.counts.size() - 1); });
        refused([](auto& h) { ++h.first; });
        refused([](auto& h) { ++h.exponent; });
        refused([](auto& h) { h.exponent = -2000; });
        refused([](auto& h) { h.exponent = 2000; });
        refused([](auto& h) { h.range.lowest = NAN; });
        refused([](auto& h) { h.range.highest = INFINITY; });
        refused([](auto& h) { std::swap(h.range.lowest, h.range.highest); });
        std::vector<std::uint64_t> counts(good.counts.begin(), good.counts.end());
        refused([&](auto& h) {
            counts.back() = 0;
            h.counts = counts;
        });
        counts.back() = counts.front() = ~std::uint64_t{0};
        broken = good;
        broken.counts = counts;
        check_fails(errc::size_overflow, [&] { return f(broken); });
    }
    for (const double percent : {0.0, -1.0, 100.1, static_cast<double>(NAN)}) {
        check_fails(errc::invalid_argument, [&] { return try_percentile_range(good, percent); });
    }
    for (const unsigned levels : {0u, 1u, 65537u}) {
        check_fails(errc::invalid_argument, [&] { return try_mse_range(good, levels); });
        check_fails(errc::invalid_argument, [&] { return try_entropy_range(good, levels); });
    }
    CHECK_THROWS_AS(percentile_range({}, 99), quant::error);
    CHECK_THROWS_AS(mse_range({}, 255), quant::error);
    CHECK_THROWS_AS(entropy_range({}, 255), quant::error);
}
