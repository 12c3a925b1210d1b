// Codes by other rules than the nearest level: at random, or with the error handed on. Weight by
// weight; scales are known.
#pragma once

#include <quant/quantize/batch.hpp>
#include <quant/quantize/options.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// A number in [0, 1) that depends on nothing but these three: SplitMix64's mixing of a counter.
[[nodiscard]] inline float uniform_at(std::uint64_t seed, std::size_t row,
                                      std::size_t col) noexcept {
    std::uint64_t z = seed + 0x9E3779B97F4A7C15u * (static_cast<std::uint64_t>(row) + 1);
    for (int i = 0; i < 2; ++i) {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        if (i == 0) z += 0x9E3779B97F4A7C15u * (static_cast<std::uint64_t>(col) + 1);
    }
    return static_cast<float>(z >> 40) * 0x1p-24f;
}

/// The codes of a scheme's table in the order of their levels: what lies beside a level.
template <quantization_scheme S>
class ordered_levels {
public:
    ordered_levels() noexcept {
        for (int table = 0; table < S::tables; ++table) {
            std::size_t n = 0;
            auto& codes = codes_[static_cast<std::size_t>(table)];
            for (int u = 0; u <= S::max_code; ++u) {
                // −0 is no level beside 0.
                if (S::is_level(u) && (u == S::zero_code || S::step(u, table) != 0)) {
                    codes[n++] = static_cast<std::uint8_t>(u);
                }
            }
            std::sort(codes.begin(), codes.begin() + static_cast<std::ptrdiff_t>(n),
                      [table](std::uint8_t a, std::uint8_t b) {
                          return S::step(a, table) < S::step(b, table);
                      });
            count_ = n;
        }
    }
    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    [[nodiscard]] std::uint8_t code(std::size_t i, int table) const noexcept {
        return codes_[static_cast<std::size_t>(table)][i];
    }
    [[nodiscard]] float step(std::size_t i, int table) const noexcept {
        return S::step(code(i, table), table);
    }
    /// The last level at or below t, or the first of all.
    [[nodiscard]] std::size_t below(float t, int table) const noexcept {
        std::size_t low = 0, high = count_;
        while (high - low > 1) {
            const std::size_t middle = low + (high - low) / 2;
            (step(middle, table) <= t ? low : high) = middle;
        }
        return low;
    }
    /// How far apart level i and the next one are; behind the last, as far as the two before it.
    [[nodiscard]] float distance(std::size_t i, int table) const noexcept {
        const std::size_t lower = std::min(i, count_ - 2);
        return step(lower + 1, table) - step(lower, table);
    }

private:
    std::array<std::array<std::uint8_t, 256>, static_cast<std::size_t>(S::tables)> codes_{};
    std::size_t count_ = 0;
};

/// Codes of a row whose numbers are known, by options.rounding.
template <quantization_scheme S>
void round_row(const float* weights, std::size_t cols, std::size_t row,
               const row_numbers<S, false>& numbers, std::uint8_t* codes,
               const quantize_options& options) noexcept {
    const ordered_levels<S> levels;
    float carried = 0;
    for_each_batch<S>(cols, [&](std::size_t g, std::size_t groups, std::size_t c, std::size_t n) {
        const auto stored = stored_groups<S>::load(numbers, g, groups);
        group_grids grids, inverses;
        grids.set(stored, stored.scale);
        inverses.set(stored, inverse_of(stored.scale));
        const std::size_t size = S::group_size(n);
        for (std::size_t i = 0; i < n; ++i) {
            const std::size_t in = i / size;
            const float scale = grids.factor[in], inverse = inverses.factor[in];
            const int table = S::tables == 2 ? grids.zero_point[in] : 0;
            const float point = S::has_zero_point ? static_cast<float>(grids.zero_point[in]) : 0.0f;
            const float minimum = S::has_minimum ? grids.minimum[in] : 0.0f;
            const float wanted = load_element(weights + c + i) + carried;
            if (scale == 0) {
                codes[c + i] = static_cast<std::uint8_t>(S::zero_code);
                continue;
            }
            const float t = simd::rounded_product(wanted - minimum, inverse) + point;
            std::size_t at = levels.below(t, table);
            const float apart = levels.distance(at, table);
            if (at + 1 < levels.count()) {
                const float share = (t - levels.step(at, table)) / apart;
                const float edge = options.rounding == rounding_mode::stochastic
                                       ? uniform_at(options.seed, row, c + i)
                                       : 0.5f;
                if (share > edge) ++at;
            }
            codes[c + i] = levels.code(at, table);
            if (options.rounding == rounding_mode::error_diffusion) {
                const float made =
                    simd::rounded_product(scale, levels.step(at, table) - point) + minimum;
                // Not more than a step: what is clipped is lost, not handed on.
                const float step = std::fabs(scale) * apart;
                carried = std::min(std::max(wanted - made, 0.0f - step), step);
            }
        }
    });
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
