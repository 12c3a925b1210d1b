// What exact searches are made of: the numbers that a scale's type holds, one after the other, and
// a group's weights in double.
#pragma once

#include <quant/core/bit_cast.hpp>
#include <quant/policy/scale.hpp>
#include <quant/quantize/group.hpp>
#include <quant/simd/doubles.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace quant::inline QUANT_ABI {
namespace detail {

/// One of the two floats around a finite x that is in their range: x itself, or the one whose last
/// bit is odd. Rounded further to fewer bits, it goes where x would go.
[[nodiscard]] inline float odd_float(double x) noexcept {
    const auto nearest = static_cast<float>(x);
    const double back = static_cast<double>(nearest);
    const auto bits = core_detail::bit_cast<std::uint32_t>(nearest);
    if (back == x || (bits & 1u) != 0) return nearest;
    const bool away = x > 0 ? back > x : back < x;
    return core_detail::bit_cast<float>(away ? bits - 1 : bits + 1);
}

/// The finite numbers of float, fp16 or bf16, times a power of two.
struct number_line {
    enum class type : std::uint8_t { f32, f16, bf16 };
    type of = type::f32;
    double unit = 1;

    template <class T>
    [[nodiscard]] static constexpr number_line make(float times) noexcept {
        static_assert(sizeof(T) > 1);
        constexpr type kind = std::is_same_v<T, float>  ? type::f32
                              : std::is_same_v<T, fp16> ? type::f16
                                                        : type::bf16;
        return {kind, static_cast<double>(times)};
    }

    /// Their place in ascending order; 0 is that of zero.
    [[nodiscard]] std::int64_t nearest_place(double x) const noexcept {
        const double number = std::clamp(x / unit, -greatest(), greatest());
        switch (of) {
        case type::f16: return place_of(fp16(odd_float(number)).bits, 0x8000);
        case type::bf16: return place_of(quant::bf16(odd_float(number)).bits, 0x8000);
        case type::f32: break;
        }
        const auto bits = core_detail::bit_cast<std::uint32_t>(static_cast<float>(number));
        return place_of(bits, 0x80000000);
    }
    [[nodiscard]] double at(std::int64_t place) const noexcept {
        const auto bits = static_cast<std::uint32_t>(place < 0 ? -place : place);
        const auto half = static_cast<std::uint16_t>(bits);
        const float magnitude = of == type::f32 ? core_detail::bit_cast<float>(bits)
                                : of == type::f16
                                    ? static_cast<float>(fp16::from_bits(half))
                                    : static_cast<float>(quant::bf16::from_bits(half));
        const double number = unit * static_cast<double>(magnitude);
        return place < 0 ? 0.0 - number : number;
    }
    /// The one nearest to x.
    [[nodiscard]] double nearest(double x) const noexcept { return at(nearest_place(x)); }
    /// The first from x on, and the last up to x.
    [[nodiscard]] std::int64_t place_from(double x) const noexcept {
        const std::int64_t place = nearest_place(x);
        return at(place) < x ? place + 1 : place;
    }
    [[nodiscard]] std::int64_t place_to(double x) const noexcept {
        const std::int64_t place = nearest_place(x);
        return at(place) > x ? place - 1 : place;
    }

private:
    [[nodiscard]] static std::int64_t place_of(std::uint32_t bits, std::uint32_t sign) noexcept {
        const auto magnitude = static_cast<std::int64_t>(bits & (sign - 1));
        return (bits & sign) != 0 ? -magnitude : magnitude;
    }
    [[nodiscard]] double greatest() const noexcept {
        return of == type::f16   ? 65504.0
               : of == type::f32 ? static_cast<double>(std::numeric_limits<float>::max())
                                 : 0x1.fep127;
    }
};

/// Weights and importances of a group in double; weights mirrored if `sign` is −1.
struct exact_group {
    const float* weights = nullptr;
    const float* importance = nullptr; ///< null where all weights count alike
    std::size_t n = 0;
    double sign = 1;

    [[nodiscard]] QUANT_DETAIL_INLINE double weight(std::size_t i) const noexcept {
        return sign * static_cast<double>(load_element(weights + i));
    }
    [[nodiscard]] QUANT_DETAIL_INLINE double factor(std::size_t i) const noexcept {
        return importance == nullptr ? 1.0 : static_cast<double>(load_element(importance + i));
    }
};

/// What is known of the weights that count.
struct exact_extents {
    double lowest = 0, highest = 0;                                   ///< zero lies between them
    double least = std::numeric_limits<double>::infinity(), most = 0; ///< magnitudes, but zeros
    double energy = 0;                                                ///< Σ v·w²
    bool counts = false; ///< whether any weight has a factor above 0

    [[nodiscard]] static exact_extents of(const exact_group& group) noexcept {
        exact_extents made;
        for (std::size_t i = 0; i < group.n; ++i) {
            const double w = group.weight(i), v = group.factor(i);
            if (v == 0) continue;
            made.counts = true;
            made.lowest = std::min(made.lowest, w);
            made.highest = std::max(made.highest, w);
            const double magnitude = w < 0 ? 0.0 - w : w;
            if (w != 0) made.least = std::min(made.least, magnitude);
            made.energy += simd::rounded_product(simd::rounded_product(v, w), w);
        }
        made.most = std::max(made.highest, 0.0 - made.lowest);
        return made;
    }
    /// Whether exact searches are made for such weights: far from where floats end.
    [[nodiscard]] bool usual() const noexcept { return 0x1p-60 <= most && most <= 0x1p60; }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
