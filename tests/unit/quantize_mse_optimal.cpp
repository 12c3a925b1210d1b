// range_estimator::mse_optimal: no number that can be stored has less error (with minimums, less by
// more than the tolerance). Every number of the scale's type is tried, or every set of codes.
#include "scheme_cases.hpp"

#include <quant/policy/presets.hpp>

#include <algorithm>
#include <atomic>
#include <limits>

using namespace quant;

namespace {

struct group {
    std::vector<float> weights, importance; ///< importance may be empty

    [[nodiscard]] double factor(std::size_t i) const {
        return importance.empty() ? 1.0 : static_cast<double>(importance[i]);
    }
    [[nodiscard]] detail::exact_group view() const {
        return {weights.data(), importance.empty() ? nullptr : importance.data(), weights.size()};
    }
    [[nodiscard]] double energy() const {
        double sum = 0;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            sum += factor(i) * static_cast<double>(weights[i]) * static_cast<double>(weights[i]);
        }
        return sum;
    }
};

/// Weights of every kind, every other time with importances, some of which are zero.
std::vector<group> some_groups(std::size_t n) {
    cases::numbers random(n);
    const auto normal = [&] {
        float sum = 0;
        for (int i = 0; i < 12; ++i) sum += static_cast<float>(random.bits()) * 0x1p-32f - 0.5f;
        return sum;
    };
    std::vector<group> made;
    const auto add = [&](auto next) {
        group one;
        for (std::size_t i = 0; i < n; ++i) one.weights.push_back(next(i));
        if (made.size() % 2 == 1) {
            for (std::size_t i = 0; i < n; ++i) {
                one.importance.push_back(random.bits() % 5 == 0 ? 0.0f : std::fabs(normal()));
            }
        }
        made.push_back(one);
    };
    for (int i = 0; i < 4; ++i) add([&](std::size_t) { return normal(); });
    add([&](std::size_t) { return std::pow(normal(), 3.0f); });
    add([&](std::size_t) { return std::pow(normal(), 3.0f); });
    add([&](std::size_t) { return 3 + 0.01f * normal(); });
    add([&](std::size_t) { return -0.25f * std::fabs(normal()) - 0.5f; });
    add([&](std::size_t) { return std::round(3 * normal()) * 0.125f; });
    add([&](std::size_t i) { return i % 3 == 0 ? 1.0f : -1.0f; });
    add([&](std::size_t) { return 2000 * normal(); });
    add([&](std::size_t) { return normal() * 0x1p-18f; });
    return made;
}

template <class S>
std::vector<double> levels_of() {
    std::vector<double> levels;
    for (int u = 0; u <= S::max_code; ++u) {
        if (S::is_level(u)) levels.push_back(static_cast<double>(S::step(u)));
    }
    std::sort(levels.begin(), levels.end());
    return levels;
}

/// Σ v·(w − s·(t − shift))², t the nearest.
double error_of(const group& of, const std::vector<double>& levels, double s, double shift) {
    double error = 0;
    for (std::size_t i = 0; i < of.weights.size(); ++i) {
        const double w = static_cast<double>(of.weights[i]);
        double off = std::fabs(w);
        if (s != 0) {
            const double y = w / s;
            const auto above = std::lower_bound(levels.begin(), levels.end(), y + shift);
            off = std::numeric_limits<double>::infinity();
            if (above != levels.end()) off = std::fabs(w - s * (*above - shift));
            if (above != levels.begin())
                off = std::min(off, std::fabs(w - s * (*(above - 1) - shift)));
        }
        error += of.factor(i) * off * off;
    }
    return error;
}

/// All numbers of a type that a scale may be, in units of steps.
template <class S>
std::vector<double> storable_scales() {
    using number = typename S::scale_type;
    std::vector<double> made;
    for (unsigned bits = 0; bits < 1u << (8 * sizeof(number)); ++bits) {
        using storage = decltype(number{}.bits);
        const float scale =
            static_cast<float>(number::from_bits(static_cast<storage>(bits))) * S::unit;
        if (!std::isfinite(scale) || std::fabs(scale) < 0x1p-126f) continue;
        if (scale < 0 && (!has_signed_scales<number> || S::has_zero_point)) continue;
        made.push_back(static_cast<double>(scale));
    }
    return made;
}

template <class S>
struct answer {
    float scale = 0;
    std::int32_t point = 0;
};

template <class S>
answer<S> optimum_of(const group& of) {
    answer<S> found;
    auto room = detail::sweep_room::make(of.weights.size(), S::max_code, "test");
    REQUIRE(room);
    REQUIRE(detail::optimize_scale<S>(of.view(), found.scale, found.point, &*room, nullptr));
    if (!S::has_zero_point) found.point = 0;
    return found;
}

using enumerable = std::tuple<
    scheme<int4, symmetric, group_wise<16>, fp16>, scheme<int8, symmetric, group_wise<16>, fp16>,
    scheme<binary, symmetric, group_wise<16>, fp16>, scheme<binary, midrise, group_wise<16>, bf16>,
    scheme<int3, midrise, group_wise<16>, fp16>, scheme<int3, asymmetric, group_wise<16>, fp16>,
    scheme<int2, asymmetric, group_wise<16>, bf16>, scheme<nf4, symmetric, group_wise<16>, fp16>,
    presets::iq4_nl, presets::mxfp4, presets::nvfp4, presets::mxint8,
    scheme<int3, asymmetric, group_wise<16>, e8m0>,
    scheme<fp6_e3m2, symmetric, group_wise<16>, bf16>,
    scheme<fp8_e5m2, symmetric, group_wise<16>, fp8_e4m3>>;

} // namespace

TEMPLATE_LIST_TEST_CASE("no scale that can be stored has less error", "[mse_optimal]", enumerable) {
    using S = TestType;
    CAPTURE(to_string(describe<S>()));
    const auto levels = levels_of<S>();
    const auto scales = storable_scales<S>();
    for (const group& of : some_groups(11)) {
        double least = std::numeric_limits<double>::infinity();
        for (const double s : scales) {
            for (int z = 0; z <= (S::has_zero_point ? S::max_code : 0); ++z) {
                least = std::min(least, error_of(of, levels, s, z));
            }
        }
        const auto found = optimum_of<S>(of);
        const double error = error_of(of, levels, static_cast<double>(found.scale), found.point);
        REQUIRE(std::fabs(error - least) <= 1e-11 * of.energy());
    }
}

namespace {

/// The least error of all real scales: that of every set of codes there is.
template <class S>
double least_real_error(const group& of) {
    const auto levels = levels_of<S>();
    double least = of.energy();
    for (const double sign : {1.0, -1.0}) {
        for (int z = 0; z <= (S::has_zero_point ? S::max_code : 0); ++z) {
            std::vector<double> places{1e-6};
            for (const float weight : of.weights) {
                for (std::size_t k = 0; k + 1 < levels.size(); ++k) {
                    const double middle = (levels[k] + levels[k + 1]) / 2 - z;
                    const double x = middle / (sign * static_cast<double>(weight));
                    if (std::isfinite(x) && x > 0) places.push_back(x);
                }
            }
            std::sort(places.begin(), places.end());
            places.push_back(places.back() * 2);
            for (std::size_t p = 0; p + 1 < places.size(); ++p) {
                const double x = (places[p] + places[p + 1]) / 2;
                long double a = 0, q = 0;
                for (std::size_t i = 0; i < of.weights.size(); ++i) {
                    const double w = sign * static_cast<double>(of.weights[i]), y = w * x + z;
                    const auto above = std::lower_bound(levels.begin(), levels.end(), y);
                    double t = above == levels.end() ? levels.back() : *above;
                    if (above != levels.begin() && y - *(above - 1) < std::fabs(t - y)) {
                        t = *(above - 1);
                    }
                    t -= z;
                    a += static_cast<long double>(of.factor(i) * w) * static_cast<long double>(t);
                    q += static_cast<long double>(of.factor(i) * t) * static_cast<long double>(t);
                }
                if (q > 0 && a > 0) {
                    const long double gain = a * a / q;
                    least = std::min(
                        least, static_cast<double>(static_cast<long double>(of.energy()) - gain));
                }
            }
        }
    }
    return least;
}

using continuous = std::tuple<
    scheme<int4, symmetric, per_channel, float>, scheme<int8, symmetric, per_channel, float>,
    scheme<int4, asymmetric, per_channel, float>, presets::bitnet,
    scheme<nf4, symmetric, per_channel, float>, scheme<fp8_e4m3, symmetric, per_channel, float>>;

} // namespace

TEMPLATE_LIST_TEST_CASE("no set of codes has less error", "[mse_optimal]", continuous) {
    using S = TestType;
    CAPTURE(to_string(describe<S>()));
    const auto levels = levels_of<S>();
    // The longer ones do not fit into a sweep: intervals are looked at.
    for (const std::size_t n : {9u, S::bits == 8 ? 70u : 30u}) {
        auto groups = some_groups(n);
        if (S::bits == 8 || S::has_zero_point) groups.resize(8);
        for (const group& of : groups) {
            const double least = least_real_error<S>(of);
            const auto found = optimum_of<S>(of);
            const double error =
                error_of(of, levels, static_cast<double>(found.scale), found.point);
            REQUIRE(std::fabs(error - least) <= 1e-11 * of.energy());
        }
    }
}

TEST_CASE("many weights that are alike count as often", "[mse_optimal]") {
    using S = scheme<int3, symmetric, per_tensor, float>;
    const group few{{1.0f, -0.8f, 0.31f, -0.05f, 0.62f}, {9000, 11000, 7000, 20000, 3000}};
    group many;
    for (std::size_t i = 0; i < few.weights.size(); ++i) {
        many.weights.insert(many.weights.end(), static_cast<std::size_t>(few.importance[i]),
                            few.weights[i]);
    }
    const double of_few = static_cast<double>(optimum_of<S>(few).scale);
    const double of_many = static_cast<double>(optimum_of<S>(many).scale);
    CHECK(std::fabs(of_few - of_many) <= 1e-6 * std::fabs(of_few));
}

TEST_CASE("an interval that is halved finds what a sweep finds", "[mse_optimal]") {
    using S = scheme<int5, symmetric, per_tensor, float>;
    // As many different weights as need halving, in pairs that count as one does.
    group once, twice;
    cases::numbers random(3);
    for (int i = 0; i < 500; ++i) once.weights.push_back(random.next());
    for (int i = 0; i < 40; ++i) {
        twice.weights.insert(twice.weights.end(), once.weights.begin(), once.weights.end());
    }
    REQUIRE(twice.weights.size() * S::max_code > 16384);
    const auto levels = levels_of<S>();
    const auto a = optimum_of<S>(once), b = optimum_of<S>(twice);
    const double least = error_of(once, levels, static_cast<double>(a.scale), 0);
    const double error = error_of(once, levels, static_cast<double>(b.scale), 0);
    CHECK(std::fabs(error - least) <= 1e-11 * once.energy());
    CHECK(std::fabs(least - least_real_error<S>(once)) <= 1e-11 * once.energy());
}

namespace {

/// The least error of all lines with a scale up to the range of the weights that use their least
/// code; scales of less than a 64th of it and minimums of less than 0.4 % of the range aside.
template <class S>
double least_line_error(const group& of) {
    std::vector<double> levels(static_cast<std::size_t>(S::max_code) + 1);
    for (std::size_t u = 0; u < levels.size(); ++u) levels[u] = static_cast<double>(u);
    double lowest = 1e300, highest = -1e300;
    for (std::size_t i = 0; i < of.weights.size(); ++i) {
        if (of.factor(i) == 0) continue;
        lowest = std::min(lowest, static_cast<double>(of.weights[i]));
        highest = std::max(highest, static_cast<double>(of.weights[i]));
    }
    const double range = highest - lowest;
    std::vector<double> scales, minimums;
    for (unsigned bits = 0; bits < 1u << 16; ++bits) {
        const auto x = static_cast<double>(
            static_cast<float>(S::scale_type::from_bits(static_cast<std::uint16_t>(bits))));
        if (x >= range / 64 && x <= range) scales.push_back(x);
        if (x == 0 || std::fabs(x) >= range / 256) {
            if (lowest - range / 2 <= x && x <= highest) minimums.push_back(x);
        }
    }
    double least = std::numeric_limits<double>::infinity();
    for (const double m : minimums) {
        group moved = of;
        std::vector<double> distance;
        for (const float w : of.weights) distance.push_back(static_cast<double>(w) - m);
        for (const double s : scales) {
            if (m < lowest - s / 2) continue;
            double error = 0;
            for (std::size_t i = 0; i < distance.size() && error < least; ++i) {
                const double u = std::clamp(std::round(distance[i] / s), 0.0, levels.back());
                const double off = distance[i] - s * u;
                error += of.factor(i) * off * off;
            }
            least = std::min(least, error);
        }
    }
    return least;
}

using lines = std::tuple<scheme<int4, asymmetric_min, group_wise<16>, bf16>,
                         scheme<int2, asymmetric_min, group_wise<16>, bf16>,
                         scheme<binary, asymmetric_min, group_wise<16>, bf16>,
                         scheme<int6, asymmetric_min, group_wise<16>, bf16>>;

template <class S>
double line_error(const group& of, float scale, float minimum) {
    double error = 0;
    for (std::size_t i = 0; i < of.weights.size(); ++i) {
        const double d = static_cast<double>(of.weights[i]) - static_cast<double>(minimum);
        const double s = static_cast<double>(scale);
        const double u = s > 0 ? std::clamp(std::round(d / s), 0.0, 1.0 * S::max_code) : 0.0;
        error += of.factor(i) * (d - s * u) * (d - s * u);
    }
    return error;
}

} // namespace

TEMPLATE_LIST_TEST_CASE("no line that can be stored has much less error", "[mse_optimal]", lines) {
    using S = TestType;
    CAPTURE(to_string(describe<S>()));
    for (const group& of : some_groups(6)) {
        auto room = detail::line_room::make(of.weights.size(), "test");
        REQUIRE(room);
        float scale = 0, minimum = *std::min_element(of.weights.begin(), of.weights.end());
        minimum = static_cast<float>(typename S::scale_type(minimum));
        REQUIRE(detail::optimize_line<S>(of.view(), scale, minimum, *room, nullptr));
        CHECK(static_cast<float>(typename S::scale_type(scale)) == scale);
        CHECK(static_cast<float>(typename S::scale_type(minimum)) == minimum);
        const double error = line_error<S>(of, scale, minimum);
        CHECK(error <=
              least_line_error<S>(of) * (1 + detail::line_tolerance) + 1e-11 * of.energy());
    }
}

TEST_CASE("the search for the optimum can be stopped", "[mse_optimal]") {
    using S = scheme<int8, asymmetric_min, per_tensor, float>;
    const std::size_t rows = 64, cols = 1024;
    const auto w = cases::numbers(1).vector(rows * cols);
    std::atomic<bool> cancel{true};
    quantize_options options;
    options.range = range_estimator::mse_optimal;
    options.cancel = &cancel;
    const auto stopped = try_quantize<S>(matrix_view<const float>{w.data(), rows, cols}, options);
    REQUIRE(!stopped);
    CHECK(stopped.failure().code() == errc::cancelled);
}

TEST_CASE("changes of levels are sorted by place, equal ones as they came", "[mse_optimal]") {
    constexpr std::size_t n = 3000;
    auto room = detail::sweep_room::make(n, 1, "test");
    REQUIRE(room);
    // How many places there are, from one for all to hardly any twice, and how near to each other.
    for (const std::uint32_t places : {1u, 2u, 7u, 1000u, 1u << 30}) {
        for (const double spread : {1.0, 1e-13}) {
            cases::numbers random(places);
            std::vector<detail::level_change> changes(n);
            for (std::size_t i = 0; i < n; ++i) {
                // Most lie next to each other, within one bucket.
                const double place = i == 0 ? 2.0 : 1.0 + spread * (random.bits() % places);
                changes[i] = {place, static_cast<double>(i), 0};
            }
            std::copy(changes.begin(), changes.end(), room->collected());
            const auto by_place = [](const auto& a, const auto& b) { return a.place < b.place; };
            std::stable_sort(changes.begin(), changes.end(), by_place);
            const auto* sorted = room->sorted(n, changes.front().place, changes.back().place);
            CHECK(std::equal(changes.begin(), changes.end(), sorted,
                             [](const auto& a, const auto& b) { return a.a == b.a; }));
        }
    }
}
