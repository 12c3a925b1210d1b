// Error metrics of tensors: sums against their definition, edges, errors, and reports.
#include "sizes.hpp"

#include <quant/calibrate/report.hpp>
#include <quant/core/thread_pool.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

using namespace quant;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

class generator {
public:
    /// −1 … 1.
    float next() {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<float>(static_cast<std::int32_t>(state_ >> 32)) * 0x1p-31f;
    }

private:
    std::uint64_t state_ = 11;
};

std::vector<float> random_numbers(std::size_t n, float scale = 1.0f) {
    generator numbers;
    std::vector<float> made(n);
    for (float& x : made) x = scale * numbers.next();
    return made;
}

/// The documented order, in scalar code; `volatile` keeps products from being fused.
error_sums defined_row(const float* w, const float* q, std::size_t n) {
    double lanes[4][8] = {};
    error_sums sums;
    sums.count = n;
    for (std::size_t c = 0; c < n; ++c) {
        const double a = static_cast<double>(w[c]), b = static_cast<double>(q[c]);
        const double d = a - b;
        volatile double square = d * d;
        lanes[0][c % 8] += square;
        lanes[1][c % 8] += a * a;
        lanes[2][c % 8] += b * b;
        lanes[3][c % 8] += a * b;
        sums.max_abs_error = std::max(sums.max_abs_error, std::fabs(d));
    }
    const auto sum = [](const double(&v)[8]) {
        return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
    };
    sums.squared_error = sum(lanes[0]);
    sums.squared_reference = sum(lanes[1]);
    sums.squared_approximation = sum(lanes[2]);
    sums.product = sum(lanes[3]);
    return sums;
}

error_sums defined(const std::vector<float>& w, const std::vector<float>& q, std::size_t cols) {
    error_sums total = defined_row(w.data(), q.data(), cols);
    for (std::size_t at = cols; at < w.size(); at += cols) {
        total.merge(defined_row(w.data() + at, q.data() + at, cols));
    }
    return total;
}

matrix_view<const float> view(const std::vector<float>& v, std::size_t cols) {
    return {v.data(), v.size() / cols, cols};
}

error_sums measured(const std::vector<float>& w, const std::vector<float>& q) {
    return measure_error(view(w, w.size()), view(q, q.size()));
}

template <class T>
std::vector<T> narrowed(const std::vector<float>& from) {
    std::vector<T> made;
    for (const float x : from) made.push_back(T(x));
    return made;
}

/// Runs the last task first.
struct backwards {
    void operator()(std::size_t count, task work) const {
        for (std::size_t i = count; i-- > 0;) work(i);
    }
};

template <class F>
void check_fails(errc code, const char* part, F f) {
    const auto outcome = f();
    REQUIRE_FALSE(outcome.has_value());
    CHECK(outcome.failure().code() == code);
    INFO(outcome.failure().what());
    CHECK(std::string(outcome.failure().what()).find(part) != std::string::npos);
}

} // namespace

TEST_CASE("sums have the bits of their definition, for every width, executor and stride") {
    thread_pool pool(3);
    for (const std::size_t cols : {1u, 7u, 8u, 15u, 16u, 17u, 31u, 64u, 100u, 1003u}) {
        for (const std::size_t rows : {1u, 2u, 5u, 70u}) {
            CAPTURE(rows, cols);
            const auto w = random_numbers(rows * cols, 3.0f);
            auto q = w;
            generator noise;
            for (float& x : q) x += 0.01f * noise.next();
            const error_sums expected = defined(w, q, cols);
            REQUIRE(measure_error(view(w, cols), view(q, cols)) == expected);
            REQUIRE(measure_error(view(w, cols), view(q, cols), pool) == expected);
            REQUIRE(measure_error(view(w, cols), view(q, cols), backwards{}) == expected);

            // The same numbers with other strides.
            std::vector<float> by_columns(rows * cols), apart(rows * cols * 2 + 5);
            for (std::size_t r = 0; r < rows; ++r) {
                for (std::size_t c = 0; c < cols; ++c) {
                    by_columns[c * rows + r] = w[r * cols + c];
                    apart[(r * cols + c) * 2 + 1] = q[r * cols + c];
                }
            }
            const auto transposed_w = transposed(matrix_view(by_columns.data(), cols, rows));
            const matrix_view<const float> apart_q(apart.data() + 1, rows, cols, 2 * cols, 2);
            REQUIRE(measure_error(transposed_w, view(q, cols)) == expected);
            REQUIRE(measure_error(view(w, cols), apart_q) == expected);
            REQUIRE(measure_error(transposed_w, apart_q, pool) == expected);
        }
    }
}

TEST_CASE("all element types are measured as the floats that they hold") {
    const std::size_t cols = 37;
    const auto w = random_numbers(5 * cols);
    const auto halves = narrowed<fp16>(w);
    const auto brains = narrowed<bf16>(w);
    std::vector<float> from_halves, from_brains;
    for (const fp16 x : halves) from_halves.push_back(static_cast<float>(x));
    for (const bf16 x : brains) from_brains.push_back(static_cast<float>(x));
    const matrix_view<const fp16> h(halves.data(), 5, cols);
    const matrix_view<const bf16> b(brains.data(), 5, cols);
    CHECK(measure_error(view(w, cols), h) == defined(w, from_halves, cols));
    CHECK(measure_error(h, b) == defined(from_halves, from_brains, cols));
    CHECK(measure_error(b, h) == defined(from_brains, from_halves, cols));
    std::vector<float> first_column, second;
    for (std::size_t r = 0; r < 5; ++r) first_column.push_back(from_halves[r * cols]);
    CHECK(measure_error(matrix_view<const fp16>(halves.data(), 1, 5, 1, cols),
                        view(first_column, 5)) == defined(first_column, first_column, 5));
}

TEST_CASE("metrics are what their names say") {
    const error_sums sums = measured({3, 4, 0, 0}, {3, 3, 1, 0});
    CHECK(sums.count == 4);
    CHECK(sums.mse() == 0.5);
    CHECK_THAT(sums.relative_rms(), WithinRel(std::sqrt(2.0 / 25.0), 1e-15));
    CHECK_THAT(sums.sqnr_db(), WithinRel(10 * std::log10(12.5), 1e-15));
    CHECK(sums.max_abs_error == 1.0);
    CHECK_THAT(sums.cosine_similarity(), WithinRel(21.0 / (5 * std::sqrt(19.0)), 1e-15));
}

TEST_CASE("edges are defined") {
    SECTION("equality") {
        for (const std::size_t n : {1u, 3u, 16u, 1000u}) {
            const auto w = random_numbers(n, 7.3f);
            const error_sums same = measured(w, w);
            CHECK(same.mse() == 0.0);
            CHECK(same.relative_rms() == 0.0);
            CHECK(same.sqnr_db() == infinity);
            CHECK(same.cosine_similarity() == 1.0);
        }
    }
    SECTION("zeros of both signs") {
        const error_sums zeros = measured({0.0f, -0.0f, 0.0f}, {-0.0f, 0.0f, 0.0f});
        CHECK(zeros == measured({0, 0, 0}, {0, 0, 0}));
        CHECK(zeros.relative_rms() == 0.0);
        CHECK(zeros.sqnr_db() == infinity);
        CHECK(zeros.cosine_similarity() == 1.0);
    }
    SECTION("a zero reference") {
        const error_sums sums = measured({0, 0}, {0, 2});
        CHECK(sums.mse() == 2.0);
        CHECK(sums.relative_rms() == infinity);
        CHECK(sums.sqnr_db() == -infinity);
        CHECK(sums.cosine_similarity() == 0.0);
    }
    SECTION("a zero approximation") {
        const error_sums sums = measured({0, 2}, {0, 0});
        CHECK(sums.relative_rms() == 1.0);
        CHECK(sums.sqnr_db() == 0.0);
        CHECK(sums.cosine_similarity() == 0.0);
    }
    SECTION("the opposite") {
        const error_sums sums = measured({1, -2}, {-1, 2});
        CHECK(sums.cosine_similarity() == -1.0);
        CHECK(sums.relative_rms() == 2.0);
    }
    SECTION("the largest floats, whose squares no float holds") {
        const error_sums sums = measured({FLT_MAX, -FLT_MAX}, {-FLT_MAX, FLT_MAX});
        CHECK(sums.max_abs_error == 2.0 * static_cast<double>(FLT_MAX));
        CHECK_THAT(sums.mse(), WithinRel(4 * std::pow(static_cast<double>(FLT_MAX), 2), 1e-15));
        CHECK(sums.relative_rms() == 2.0);
        CHECK(sums.cosine_similarity() == -1.0);
        CHECK_THAT(sums.sqnr_db(), WithinAbs(-10 * std::log10(4.0), 1e-12));
    }
    SECTION("the least floats, whose squares no float holds either") {
        const float least = std::numeric_limits<float>::denorm_min();
        const error_sums sums = measured({least, -least, 2 * least}, {0.0f, -least, least});
        CHECK(sums.max_abs_error == static_cast<double>(least));
        CHECK_THAT(sums.relative_rms(), WithinRel(std::sqrt(1.0 / 3), 1e-15));
        CHECK_THAT(sums.cosine_similarity(), WithinRel(3 / std::sqrt(12.0), 1e-15));
    }
    SECTION("sums of nothing") {
        const error_sums nothing;
        CHECK(nothing.mse() == 0.0);
        CHECK(nothing.relative_rms() == 0.0);
        CHECK(nothing.sqnr_db() == infinity);
        CHECK(nothing.cosine_similarity() == 1.0);
    }
}

TEST_CASE("sums are as exact as is documented") {
    for (const std::size_t n : {10u, 1000u, 100000u}) {
        const auto w = random_numbers(n, 1e3f), q = random_numbers(n, 0.97e3f);
        long double error = 0, reference = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const auto a = static_cast<long double>(w[i]), b = static_cast<long double>(q[i]);
            error += (a - b) * (a - b);
            reference += a * a;
        }
        const error_sums sums = measured(w, q);
        const double bound = static_cast<double>((n + 7) / 8 + 5) * 0x1p-53;
        CHECK_THAT(sums.squared_error, WithinRel(static_cast<double>(error), bound));
        CHECK_THAT(sums.squared_reference, WithinRel(static_cast<double>(reference), bound));
    }
}

TEST_CASE("sums of parts merge into those of the whole") {
    const std::size_t cols = 50;
    const auto w = random_numbers(6 * cols);
    const auto q = random_numbers(6 * cols, 0.9f);
    error_sums merged =
        measure_error(matrix_view(w.data(), 1, cols), matrix_view(q.data(), 1, cols));
    for (std::size_t r = 1; r < 6; ++r) {
        merged.merge(measure_error(matrix_view(w.data() + r * cols, 1, cols),
                                   matrix_view(q.data() + r * cols, 1, cols)));
    }
    CHECK(merged == measure_error(view(w, cols), view(q, cols)));
}

TEST_CASE("what cannot be measured is refused, with the place") {
    std::vector<float> w(3 * 20, 1.0f), q = w;
    const auto good = view(w, 20);
    using float_view = matrix_view<const float>;
    check_fails(errc::empty, "reference", [&] { return try_measure_error(float_view(), good); });
    check_fails(errc::empty, "approximation",
                [&] { return try_measure_error(good, float_view(w.data(), 3, 0)); });
    check_fails(errc::null_data, "approximation",
                [&] { return try_measure_error(good, float_view(nullptr, 3, 20)); });
    check_fails(errc::shape_mismatch, "20 x 3, the reference is 3 x 20",
                [&] { return try_measure_error(good, float_view(w.data(), 20, 3)); });
    check_fails(errc::size_overflow, "reference", [&] {
        return try_measure_error(float_view(w.data(), 3, 20, two_to(size_bits - 2)), good);
    });
    check_fails(errc::executor_failed, "executor ran", [&] {
        std::vector<float> large(1 << 18);
        return try_measure_error(view(large, 1 << 10), view(large, 1 << 10),
                                 [](std::size_t, task) {});
    });

    thread_pool pool(2);
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
        const char* name = std::isnan(bad) ? "NaN" : "infinity";
        std::vector<float> broken = w;
        broken[1 * 20 + 17] = bad;
        broken[2 * 20 + 3] = bad;
        const std::string place = std::string(name) + " at row 1, column 17";
        check_fails(errc::non_finite, ("reference: " + place).c_str(),
                    [&] { return try_measure_error(view(broken, 20), good, pool); });
        check_fails(errc::non_finite, ("approximation: " + place).c_str(),
                    [&] { return try_measure_error(good, view(broken, 20)); });
        check_fails(errc::non_finite, ("reference: " + place).c_str(),
                    [&] { return try_measure_error(view(broken, 20), view(broken, 20)); });
        check_fails(errc::non_finite, "row 3, column 2", [&] {
            return try_measure_error(transposed(good), transposed(view(broken, 20)));
        });
    }
    CHECK_THROWS_AS(measure_error(good, float_view()), quant::error);
    CHECK_THROWS_AS(tensor_report::measure("w", good, float_view()), quant::error);
}

TEST_CASE("a report has the sums of every row, whatever the executor") {
    const std::size_t rows = 90, cols = 700;
    const auto w = random_numbers(rows * cols);
    const auto q = random_numbers(rows * cols, 0.99f);
    thread_pool pool(3);
    const tensor_report one = tensor_report::measure("one", view(w, cols), view(q, cols));
    const tensor_report many = tensor_report::measure("many", view(w, cols), view(q, cols), pool);
    CHECK(one.name() == "one");
    CHECK(one.rows() == rows);
    CHECK(one.cols() == cols);
    CHECK(one.total() == many.total());
    CHECK(one.total() == defined(w, q, cols));
    for (std::size_t r = 0; r < rows; ++r) {
        REQUIRE(one.by_row()[r] == defined_row(&w[r * cols], &q[r * cols], cols));
        REQUIRE(many.by_row()[r] == one.by_row()[r]);
    }
}

TEST_CASE("tables are aligned") {
    std::vector<tensor_report> reports;
    const std::vector<float> w = {1, 2, 3, 4}, q = {1, 2, 3, 4.5f};
    reports.push_back(tensor_report::measure("short", view(w, 2), view(q, 2)));
    reports.push_back(tensor_report::measure("a\nlonger\x1b name", view(w, 4), view(w, 4)));
    CHECK(to_table(reports) ==
          "tensor          shape     mse  rel. rms  sqnr dB  max error  cosine\n"
          "short           2 x 2  0.0625  0.091287    20.79        0.5  0.9983\n"
          "a?longer? name  1 x 4       0         0      inf          0       1\n");
    CHECK(to_table(reports[0], report_detail::rows) ==
          "tensor   shape     mse  rel. rms  sqnr dB  max error   cosine\n"
          "short    2 x 2  0.0625  0.091287    20.79        0.5   0.9983\n"
          "  row 0  1 x 2       0         0      inf          0        1\n"
          "  row 1  1 x 2   0.125       0.1       20        0.5  0.99846\n");
}

TEST_CASE("JSON is valid whatever the names and numbers") {
    const std::vector<float> zeros = {0, 0}, w = {1, 0};
    const auto report =
        tensor_report::measure("q\"\\\n\x01\xC3\xA9\xFF\x7F", view(zeros, 1), view(w, 1));
    CHECK(
        to_json(report, report_detail::rows) ==
        "[\n  {\"name\": \"q\\\"\\\\\\u000a\\u0001\xC3\xA9\\ufffd\x7F\", \"rows\": 2, \"cols\": 1, "
        "\"mse\": 0.5, \"relative_rms\": null, \"sqnr_db\": null, \"max_abs_error\": 1, "
        "\"cosine_similarity\": 0, \"by_row\": [\n"
        "    {\"mse\": 1, \"relative_rms\": null, \"sqnr_db\": null, \"max_abs_error\": 1, "
        "\"cosine_similarity\": 0},\n"
        "    {\"mse\": 0, \"relative_rms\": 0, \"sqnr_db\": null, \"max_abs_error\": 0, "
        "\"cosine_similarity\": 1}]}\n]\n");
    CHECK(to_json(std::span<const tensor_report>()) == "[]\n");
    const std::vector<float> third = {1.0f / 3}, none = {0};
    const auto json = to_json(tensor_report::measure("", view(third, 1), view(none, 1)));
    CHECK(json.find("\"max_abs_error\": 0.3333333432674408,") != std::string::npos);
}
