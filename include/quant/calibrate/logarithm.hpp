// A logarithm whose bits are the same everywhere, which those of the standard library are not.
#pragma once

#include <quant/core/bit_cast.hpp>
#include <quant/simd/doubles.hpp>

#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// log x for normal x > 0, to about 2^-51 of its magnitude: with x = 2^e·m, m between √½ and √2,
/// e·log 2 + 2·artanh z, z = (m − 1)/(m + 1), of whose series eleven terms matter, |z| < 0.172.
[[nodiscard]] inline double logarithm(double x) noexcept {
    using simd::rounded_product;
    constexpr std::int64_t root_half = 0x3FE6A09E667F3BCD; // as bits
    const auto bits = core_detail::bit_cast<std::int64_t>(x);
    const std::int64_t exponent = (bits - root_half) >> 52;
    const auto m = core_detail::bit_cast<double>(bits - exponent * (std::int64_t{1} << 52));
    const double z = (m - 1) / (m + 1), square = rounded_product(z, z);
    double series = 0;
    for (int k = 23; k >= 3; k -= 2) series = rounded_product(series + 1.0 / k, square);
    // log 2 in two parts, so that e times the first is exact.
    const auto e = static_cast<double>(exponent);
    const double high = rounded_product(e, 0x1.62E42FEFA38p-1);
    const double low = rounded_product(e, 0x1.EF35793C7673p-45);
    return high + (2 * z + (rounded_product(2 * z, series) + low));
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
