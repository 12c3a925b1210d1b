// Divergence, agreement and perplexity from logits, against their definitions in long double.
#include "check_fails.hpp"
#include "sizes.hpp"

#include <quant/calibrate/logits.hpp>
#include <quant/core/thread_pool.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

using namespace quant;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

using view = matrix_view<const float>;

std::vector<float> random_logits(std::size_t n, std::uint64_t state) {
    std::vector<float> made(n);
    for (float& x : made) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        x = static_cast<float>(static_cast<std::int32_t>(state >> 32)) * 0x1p-28f;
    }
    return made;
}

long double log_softmax(const float* logits, std::size_t i, std::size_t n) {
    long double largest = logits[0], sum = 0;
    for (std::size_t j = 0; j < n; ++j)
        largest = std::max(largest, static_cast<long double>(logits[j]));
    for (std::size_t j = 0; j < n; ++j) {
        sum += std::exp(static_cast<long double>(logits[j]) - largest);
    }
    return static_cast<long double>(logits[i]) - largest - std::log(sum);
}

double divergence(const float* p, const float* q, std::size_t n) {
    long double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const long double log_p = log_softmax(p, i, n);
        sum += std::exp(log_p) * (log_p - log_softmax(q, i, n));
    }
    return static_cast<double>(sum);
}

} // namespace

TEST_CASE("divergence, agreement and likelihood follow their definitions") {
    thread_pool pool(3);
    for (const std::size_t n : {1u, 2u, 17u, 200u}) {
        const std::size_t positions = 9;
        const auto p = random_logits(positions * n, 1), q = random_logits(positions * n, 2);
        divergence_sums expected;
        long double likelihood = 0;
        std::vector<int> targets;
        for (std::size_t r = 0; r < positions; ++r) {
            const double one = divergence(&p[r * n], &q[r * n], n);
            const auto best = [&](const std::vector<float>& v) {
                return std::max_element(&v[r * n], &v[r * n] + n) - &v[r * n];
            };
            expected.merge({1, best(p) == best(q) ? 1u : 0u, one, one});
            targets.push_back(static_cast<int>(r * 7 % n));
            likelihood -= log_softmax(&q[r * n], static_cast<std::size_t>(targets.back()), n);
        }
        const auto compared =
            compare_logits(view(p.data(), positions, n), view(q.data(), positions, n));
        CHECK(compared.positions == positions);
        CHECK(compared.agreeing == expected.agreeing);
        CHECK_THAT(compared.divergence, WithinAbs(expected.divergence, 1e-12));
        CHECK_THAT(compared.largest, WithinAbs(expected.largest, 1e-12));
        CHECK(compared ==
              compare_logits(view(p.data(), positions, n), view(q.data(), positions, n), pool));

        const view logits(q.data(), positions, n);
        const auto scored = score_logits(logits, std::span(targets));
        CHECK(scored.positions == positions);
        CHECK_THAT(scored.negative_log_likelihood,
                   WithinAbs(static_cast<double>(likelihood), 1e-12));
        CHECK(scored == score_logits(logits, std::span<const int>(targets), pool));

        // Strides and other types.
        std::vector<float> by_columns(positions * n);
        for (std::size_t i = 0; i < by_columns.size(); ++i) {
            by_columns[i % n * positions + i / n] = p[i];
        }
        CHECK(compared ==
              compare_logits(transposed(view(by_columns.data(), n, positions)), logits));
    }
    const std::vector<bf16> narrow = {bf16(1.0f), bf16(-2.5f)};
    const std::vector<float> wide = {1.0f, -2.5f};
    CHECK(compare_logits(matrix_view(narrow.data(), 1, 2), view(wide.data(), 1, 2)).divergence ==
          0.0);
}

TEST_CASE("means, and sums that merge") {
    divergence_sums summed{2, 1, 0.5, 0.4};
    summed.merge({2, 2, 0.25, 0.2});
    CHECK(summed == divergence_sums{4, 3, 0.75, 0.4});
    CHECK(summed.mean_divergence() == 0.1875);
    CHECK(summed.top1_agreement() == 0.75);
    likelihood_sums scored{1, 1.0};
    scored.merge({3, 3.0});
    CHECK(scored.mean_negative_log_likelihood() == 1.0);
    CHECK_THAT(scored.perplexity(), WithinRel(2.718281828459045, 1e-15));
    CHECK(std::isnan(divergence_sums().mean_divergence()));
    CHECK(std::isnan(divergence_sums().top1_agreement()));
    CHECK(std::isnan(likelihood_sums().perplexity()));
}

TEST_CASE("logits of any size: nothing overflows, equal rows are at no distance") {
    const auto compare = [](std::vector<float> p, std::vector<float> q) {
        return compare_logits(view(p.data(), 1, p.size()), view(q.data(), 1, q.size()));
    };
    const auto random = random_logits(1000, 5);
    CHECK(compare(random, random).divergence == 0.0);
    CHECK(compare({FLT_MAX, -FLT_MAX}, {FLT_MAX, -FLT_MAX}).divergence == 0.0);
    // All of p on token 0, which q has at e^(−2·FLT_MAX).
    const auto apart = compare({FLT_MAX, -FLT_MAX}, {-FLT_MAX, FLT_MAX});
    CHECK(apart.divergence == 2 * static_cast<double>(FLT_MAX));
    CHECK(apart.agreeing == 0);
    CHECK_THAT(compare({1000, 1000}, {1000, 1000 + 1}).divergence,
               WithinRel(std::log((1 + std::exp(1.0)) / 2) - 0.5, 1e-12));
    CHECK(compare({3}, {-7}) == divergence_sums{1, 1, 0.0, 0.0});
    // Of equals the first counts.
    CHECK(compare({2, 2, 1}, {2, 3, 3}).agreeing == 0);
    CHECK(compare({2, 3, 3}, {1, 3, 2}).agreeing == 1);
    // Rounding never makes a divergence negative.
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        auto q = random_logits(20, seed);
        const auto p = q;
        for (float& x : q) x = std::nextafter(x, 0.0f);
        CHECK(compare(p, q).divergence >= 0.0);
    }

    const std::vector<float> huge = {FLT_MAX, -FLT_MAX};
    const std::vector<std::uint8_t> second = {1}, first = {0};
    const auto scored = score_logits(view(huge.data(), 1, 2), std::span(second));
    CHECK(scored.negative_log_likelihood == 2 * static_cast<double>(FLT_MAX));
    CHECK(std::isinf(scored.perplexity()));
    CHECK(score_logits(view(huge.data(), 1, 2), std::span(first)).perplexity() == 1.0);
}

TEST_CASE("logits that cannot be measured are refused, with the place") {
    std::vector<float> p(2 * 3, 1.0f), q = p;
    const std::vector<int> targets = {0, 2};
    const view good(p.data(), 2, 3);
    check_fails(errc::empty, "reference", [&] { return try_compare_logits(view(), good); });
    check_fails(errc::null_data, "logits",
                [&] { return try_compare_logits(good, view(nullptr, 2, 3)); });
    check_fails(errc::shape_mismatch, "3 x 2, the reference is 2 x 3",
                [&] { return try_compare_logits(good, view(p.data(), 3, 2)); });
    check_fails(errc::size_overflow, "logits", [&] {
        return try_compare_logits(good, view(p.data(), 2, 3, two_to(size_bits - 2)));
    });
    check_fails(errc::empty, "score_logits: logits",
                [&] { return try_score_logits(view(), std::span(targets)); });
    check_fails(errc::shape_mismatch, "1 targets for 2 positions",
                [&] { return try_score_logits(good, std::span(targets).first(1)); });
    // Characters are integers, too.
    const std::vector<char> letters = {0, 2}, beyond = {0, static_cast<char>(-1)};
    CHECK(score_logits(good, std::span(letters)) == score_logits(good, std::span(targets)));
    check_fails(errc::invalid_argument, "position 1",
                [&] { return try_score_logits(good, std::span(beyond)); });
    for (const int bad : {-1, 3, 1 << 30}) {
        const std::vector<int> no_token = {0, bad};
        check_fails(errc::invalid_argument, "position 1 is not one of 3 tokens",
                    [&] { return try_score_logits(good, std::span(no_token)); });
    }
    q[4] = NAN;
    q[5] = INFINITY;
    check_fails(errc::non_finite, "logits: NaN at position 1, column 1",
                [&] { return try_compare_logits(good, view(q.data(), 2, 3)); });
    check_fails(errc::non_finite, "reference: NaN at position 1, column 1",
                [&] { return try_compare_logits(view(q.data(), 2, 3), good); });
    check_fails(errc::non_finite, "NaN at position 1, column 1",
                [&] { return try_score_logits(view(q.data(), 2, 3), std::span(targets)); });
    q[4] = -INFINITY;
    check_fails(errc::non_finite, "infinity at position 1, column 1",
                [&] { return try_compare_logits(good, view(q.data(), 2, 3)); });
    CHECK_THROWS_AS(compare_logits(good, view()), quant::error);
    CHECK_THROWS_AS(score_logits(view(), std::span(targets)), quant::error);
}
