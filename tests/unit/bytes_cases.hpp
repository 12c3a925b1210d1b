// Hashes of quantized and packed bytes: what every compiler, instruction set, optimization and
// number of threads must find.
#pragma once

#include "scheme_cases.hpp"

namespace cases {

inline std::uint64_t hash(std::span<const std::byte> bytes) { // FNV-1a
    std::uint64_t h = 14695981039346656037u;
    for (const std::byte b : bytes) h = (h ^ static_cast<std::uint64_t>(b)) * 1099511628211u;
    return h;
}

template <class S>
std::uint64_t packed_hash(std::size_t threads, const quant::quantize_options& options = {},
                          std::size_t rows = 83) {
    constexpr std::size_t cols = 333;
    const auto w = numbers(42).vector(rows * cols);
    quant::thread_pool pool(threads);
    return hash(quant::quantize_packed<S>(quant::matrix_view<const float>{w.data(), rows, cols},
                                          options, pool)
                    .bytes());
}

/// As packed_hash, with scales of least squared error: weighted, which is searched in floats, or
/// not, in fixed point.
template <class S>
std::uint64_t searched_hash(std::size_t threads, bool weighted,
                            quant::range_estimator range = quant::range_estimator::mse,
                            std::size_t rows = 83) {
    auto importance = numbers(43).vector(333);
    for (float& factor : importance) factor *= factor;
    quant::quantize_options options;
    options.range = range;
    if (weighted) options.importance = importance;
    return packed_hash<S>(threads, options, rows);
}

/// Of optimal scales, weighted and not, both in one; of fewer rows, since that takes long. Two
/// levels have none: 0.
template <class S>
std::uint64_t optimal_hash(std::size_t threads) {
    if (S::is_two_level) return 0;
    constexpr auto range = quant::range_estimator::mse_optimal;
    return searched_hash<S>(threads, true, range, 5) * 3 +
           searched_hash<S>(threads, false, range, 5);
}

/// Of the other rules for ranges, weighted, and of the other roundings, all in one.
template <class S>
std::uint64_t other_hash(std::size_t threads) {
    constexpr std::size_t rows = 13;
    std::uint64_t h = 0;
    for (const auto range : {quant::range_estimator::percentile, quant::range_estimator::entropy,
                             quant::range_estimator::half_quadratic}) {
        h = h * 3 + searched_hash<S>(threads, true, range, rows);
    }
    quant::quantize_options options;
    options.seed = 44;
    for (const auto rounding :
         {quant::rounding_mode::stochastic, quant::rounding_mode::error_diffusion}) {
        options.rounding = rounding;
        h = h * 3 + packed_hash<S>(threads, options, rows);
    }
    return h;
}

/// The hashes of a scheme: with the options that are default, of a weighted and of an unweighted
/// search, of optimal scales, and of all other options.
template <class S, std::uint64_t Default, std::uint64_t Weighted, std::uint64_t Unweighted,
          std::uint64_t Optimal = 0, std::uint64_t Others = 0>
struct hashed {
    using scheme = S;
    static constexpr std::uint64_t by_default = Default, weighted = Weighted,
                                   unweighted = Unweighted, optimal = Optimal, others = Others;
};

template <class Hashed>
void check_hashes() {
    using S = typename Hashed::scheme;
    for (const std::size_t threads : {1u, 2u, 7u}) {
        CHECK(packed_hash<S>(threads) == Hashed::by_default);
        CHECK(searched_hash<S>(threads, true) == Hashed::weighted);
        CHECK(searched_hash<S>(threads, false) == Hashed::unweighted);
        CHECK(optimal_hash<S>(threads) == Hashed::optimal);
        if (Hashed::others != 0) CHECK(other_hash<S>(threads) == Hashed::others);
    }
}

} // namespace cases
