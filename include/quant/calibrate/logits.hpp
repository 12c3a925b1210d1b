// How far a quantized model's predictions are from the reference's: divergence, agreement and
// perplexity, from logits.
#pragma once

#include <quant/core/buffer.hpp>
#include <quant/core/executor.hpp>
#include <quant/core/matrix_view.hpp>
#include <quant/core/row_ranges.hpp>
#include <quant/core/run_tasks.hpp>
#include <quant/simd/rows.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

namespace quant::inline QUANT_VOCABULARY {

/// Sums over positions of a text at which two models predicted; sums of several texts merge.
struct divergence_sums {
    std::uint64_t positions = 0;
    std::uint64_t agreeing = 0; ///< positions with the same most likely token
    double divergence = 0;      ///< Σ KL(reference ‖ model), in nats
    double largest = 0;         ///< the largest KL of a position

    QUANT_DETAIL_INLINE constexpr void merge(const divergence_sums& other) noexcept {
        positions += other.positions;
        agreeing += other.agreeing;
        divergence += other.divergence;
        largest = std::max(largest, other.largest);
    }
    /// Mean KL(reference ‖ model) in nats; NaN of no positions.
    [[nodiscard]] QUANT_DETAIL_INLINE constexpr double mean_divergence() const noexcept {
        if (positions == 0) return std::numeric_limits<double>::quiet_NaN();
        return divergence / static_cast<double>(positions);
    }
    /// Share of positions, 0 … 1, with the same most likely token; NaN of no positions.
    [[nodiscard]] QUANT_DETAIL_INLINE constexpr double top1_agreement() const noexcept {
        if (positions == 0) return std::numeric_limits<double>::quiet_NaN();
        return static_cast<double>(agreeing) / static_cast<double>(positions);
    }

    friend constexpr bool operator==(const divergence_sums&,
                                     const divergence_sums&) noexcept = default;
};

/// Sums over positions of a text whose next tokens a model predicted; sums of several texts merge.
struct likelihood_sums {
    std::uint64_t positions = 0;
    double negative_log_likelihood = 0; ///< Σ −log p(target), in nats

    QUANT_DETAIL_INLINE constexpr void merge(const likelihood_sums& other) noexcept {
        positions += other.positions;
        negative_log_likelihood += other.negative_log_likelihood;
    }
    /// Mean negative log-likelihood in nats, also called cross-entropy; NaN of no positions.
    [[nodiscard]] QUANT_DETAIL_INLINE constexpr double
    mean_negative_log_likelihood() const noexcept {
        if (positions == 0) return std::numeric_limits<double>::quiet_NaN();
        return negative_log_likelihood / static_cast<double>(positions);
    }
    /// exp of the mean negative log-likelihood; NaN of no positions, infinity above e^709.
    [[nodiscard]] QUANT_DETAIL_INLINE double perplexity() const noexcept {
        return std::exp(mean_negative_log_likelihood());
    }

    friend constexpr bool operator==(const likelihood_sums&,
                                     const likelihood_sums&) noexcept = default;
};

/// Integers that may number tokens.
template <class I>
concept token_index = std::integral<I> && !std::same_as<std::remove_cv_t<I>, bool>;

} // namespace quant::inline QUANT_VOCABULARY

namespace quant::inline QUANT_ABI {
namespace detail {

/// Index of the first of the largest logits; n if one is not finite.
[[nodiscard]] inline std::size_t most_likely(const float* logits, std::size_t n) noexcept {
    std::size_t best = 0;
    float largest = load_element(logits);
    bool finite = true;
    for (std::size_t i = 0; i < n; ++i) {
        const float one = load_element(logits + i);
        finite = finite && std::isfinite(one);
        if (one > largest) {
            largest = one;
            best = i;
        }
    }
    return finite ? best : n;
}

/// A logit below the largest, which is at `best`.
[[nodiscard]] inline double below(const float* logits, std::size_t i, std::size_t best) noexcept {
    return static_cast<double>(load_element(logits + i)) -
           static_cast<double>(load_element(logits + best));
}

/// KL(p ‖ q) with log p = a − log Σ e^a and a the logits below their largest; likewise b of q:
/// Σ e^a·(a − b) / Σ e^a − log Σ e^a + log Σ e^b. Nothing overflows: a ≤ 0, and each sum is
/// at least 1.
[[nodiscard]] inline double kl_divergence(const float* p, std::size_t p_best, const float* q,
                                          std::size_t q_best, std::size_t n) noexcept {
    double p_sum = 0, q_sum = 0, weighted = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const double a = below(p, i, p_best), b = below(q, i, q_best);
        const double likelihood = std::exp(a);
        p_sum += likelihood;
        q_sum += std::exp(b);
        weighted += likelihood * (a - b);
    }
    return std::max(weighted / p_sum - std::log(p_sum) + std::log(q_sum), 0.0);
}

/// −log softmax(logits)[target].
[[nodiscard]] inline double negative_log_likelihood(const float* logits, std::size_t best,
                                                    std::size_t target, std::size_t n) noexcept {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += std::exp(below(logits, i, best));
    return std::log(sum) - below(logits, target, best);
}

/// measure(r, scratch) for each row, in parallel, then made[0], made[1], … merged in this order.
template <class Sums, class Measure>
[[nodiscard]] result<Sums> sum_positions(std::size_t positions, std::size_t vocabulary,
                                         std::size_t scratch_floats, const executor_ref& run,
                                         const char* where, Measure&& measure) noexcept {
    auto made = buffer<Sums>::uninitialized(positions, where);
    if (!made) return made.failure();
    const std::size_t per_task = rows_per_task(positions, vocabulary, run.concurrency(), 1);
    auto done = for_each_row_range(
        run, positions, per_task, where, [&](std::size_t first, std::size_t last) -> result<void> {
            auto scratch = buffer<float>::uninitialized(scratch_floats, where);
            if (!scratch) return scratch.failure();
            for (std::size_t r = first; r < last; ++r) {
                result<Sums> one = measure(r, scratch->data());
                if (!one) return one.failure();
                made->data()[r] = *one;
            }
            return {};
        });
    if (!done) return done.failure();
    Sums sums;
    for (const Sums& one : made->span()) sums.merge(one);
    return sums;
}

} // namespace detail

/// Compares the logits of a model with the reference's, both positions × vocabulary:
/// Kullback-Leibler divergence KL(p ‖ q) = Σ p·(log p − log q) in nats, p = softmax(reference), q =
/// softmax(logits), and whether both find the same token most likely, the first of equals.
///
/// Computed in double by log-softmax: no logits overflow, equal rows give exactly 0, and what
/// rounds below 0 is 0. Absolute error of a position: at most (vocabulary + 8)·2^−53·(2 + D) and
/// what std::exp and std::log add, D the largest difference of a logit's distances from the largest
/// in either row. Positions are added in ascending order, so that results do not depend on the
/// number of threads.
///
/// @param reference  float, fp16 or bf16; any strides, any alignment
/// @param logits     likewise, of any of these types
/// @param run        executor; positions are split over it
///
/// Errors: empty, null_data, size_overflow, shape_mismatch; non_finite (names position and column);
/// out_of_memory; executor_failed. Complexity: two exponentials per logit.
template <real_element T, real_element U, executor E = const serial_executor&>
[[nodiscard]] result<divergence_sums>
try_compare_logits(matrix_view<T> reference, matrix_view<U> logits, E&& run = serial) noexcept {
    constexpr const char* p_where = "compare_logits: reference";
    constexpr const char* q_where = "compare_logits: logits";
    if (auto valid = detail::check_readable(reference, p_where); !valid) return valid.failure();
    if (auto valid = detail::check_readable(logits, q_where); !valid) return valid.failure();
    const std::size_t n = logits.cols();
    if (reference.rows() != logits.rows() || reference.cols() != n) {
        return detail::make_error(errc::shape_mismatch, q_where,
                                  "%zu x %zu, the reference is %zu x %zu", logits.rows(), n,
                                  reference.rows(), reference.cols());
    }
    return detail::sum_positions<divergence_sums>(
        logits.rows(), n, 2 * n, run, "compare_logits",
        [&](std::size_t r, float* scratch) noexcept -> result<divergence_sums> {
            const float* p = detail::row_as_floats(reference, r, scratch);
            const float* q = detail::row_as_floats(logits, r, scratch + n);
            const std::size_t p_best = detail::most_likely(p, n),
                              q_best = detail::most_likely(q, n);
            if (p_best == n) return detail::non_finite_element(p, n, r, 0, p_where, "position");
            if (q_best == n) return detail::non_finite_element(q, n, r, 0, q_where, "position");
            const double divergence = detail::kl_divergence(p, p_best, q, q_best, n);
            return divergence_sums{1, p_best == q_best ? 1u : 0u, divergence, divergence};
        });
}

/// The likelihood of known next tokens under a model: −log softmax(logits)[target], in nats, from
/// logits of positions × vocabulary.
///
/// Computed in double by log-softmax: no logits overflow. Error of a position's likelihood l: at
/// most (vocabulary + 8)·2^−53·(1 + l) and what std::exp and std::log add. Positions are added in
/// ascending order, so that results do not depend on the number of threads.
///
/// @param logits   float, fp16 or bf16; any strides, any alignment
/// @param targets  one token per position, 0 … vocabulary − 1
/// @param run      executor; positions are split over it
///
/// Errors: empty, null_data, size_overflow; shape_mismatch unless there are as many targets as
/// positions; invalid_argument for a target that is no token (names its position); non_finite
/// (names position and column); out_of_memory; executor_failed. Complexity: one exponential per
/// logit.
template <real_element T, token_index I, std::size_t N, executor E = const serial_executor&>
[[nodiscard]] result<likelihood_sums>
try_score_logits(matrix_view<T> logits, std::span<I, N> targets, E&& run = serial) noexcept {
    constexpr const char* where = "score_logits: logits";
    constexpr const char* targets_where = "score_logits: targets";
    if (auto valid = detail::check_readable(logits, where); !valid) return valid.failure();
    const std::size_t n = logits.cols();
    if (targets.size() != logits.rows()) {
        return detail::make_error(errc::shape_mismatch, targets_where,
                                  "%zu targets for %zu positions", targets.size(), logits.rows());
    }
    return detail::sum_positions<likelihood_sums>(
        logits.rows(), n, n, run, "score_logits",
        [&](std::size_t r, float* scratch) noexcept -> result<likelihood_sums> {
            const I target = targets[r];
            // Negative ones become the greatest; std::cmp_less takes no characters.
            if (static_cast<std::uint64_t>(target) >= n) {
                return detail::make_error(errc::invalid_argument, targets_where,
                                          "the target at position %zu is not one of %zu tokens", r,
                                          n);
            }
            const float* row = detail::row_as_floats(logits, r, scratch);
            const std::size_t best = detail::most_likely(row, n);
            if (best == n) return detail::non_finite_element(row, n, r, 0, where, "position");
            return likelihood_sums{
                1, detail::negative_log_likelihood(row, best, static_cast<std::size_t>(target), n)};
        });
}

#if QUANT_HAS_EXCEPTIONS
/// As try_compare_logits. @throws quant::error
template <real_element T, real_element U, executor E = const serial_executor&>
[[nodiscard]] divergence_sums compare_logits(matrix_view<T> reference, matrix_view<U> logits,
                                             E&& run = serial) {
    return try_compare_logits(reference, logits, run).value();
}
/// As try_score_logits. @throws quant::error
template <real_element T, token_index I, std::size_t N, executor E = const serial_executor&>
[[nodiscard]] likelihood_sums score_logits(matrix_view<T> logits, std::span<I, N> targets,
                                           E&& run = serial) {
    return try_score_logits(logits, targets, run).value();
}
#endif

} // namespace quant::inline QUANT_ABI
