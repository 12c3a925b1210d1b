// Elements of any dtype as floats.
#pragma once

#include <quant/io/safetensors/tensor.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Calls f(T{}) with the type that elements of a dtype are read as; false if it has none.
template <class F>
bool st_with_type(safetensors::dtype which, const F& f) {
    using enum safetensors::dtype;
    switch (which) {
    case boolean: f(bool{}); return true;
    case u8: f(std::uint8_t{}); return true;
    case i8: f(std::int8_t{}); return true;
    case f8_e5m2: f(fp8_e5m2{}); return true;
    case f8_e4m3: f(fp8_e4m3{}); return true;
    case f8_e8m0: f(e8m0{}); return true;
    case i16: f(std::int16_t{}); return true;
    case u16: f(std::uint16_t{}); return true;
    case f16: f(fp16{}); return true;
    case safetensors::dtype::bf16: f(quant::bf16{}); return true;
    case i32: f(std::int32_t{}); return true;
    case u32: f(std::uint32_t{}); return true;
    case f32: f(float{}); return true;
    case f64: f(double{}); return true;
    case i64: f(std::int64_t{}); return true;
    case u64: f(std::uint64_t{}); return true;
    case f4:
    case f6_e2m3:
    case f6_e3m2:
    case c64: break;
    }
    return false;
}

/// Widens packed elements of fewer than 8 bits, the first in the lowest bits.
template <class T>
void st_widen_packed(std::span<const std::byte> from, std::span<float> out) noexcept {
    std::size_t bit = 0;
    for (float& value : out) {
        unsigned word = std::to_integer<unsigned>(from[bit / 8]);
        if (bit % 8 + T::width > 8) word |= std::to_integer<unsigned>(from[bit / 8 + 1]) << 8;
        const unsigned code = word >> bit % 8 & ((1u << T::width) - 1u);
        value = static_cast<float>(T::from_bits(static_cast<std::uint8_t>(code)));
        bit += T::width;
    }
}

} // namespace detail

namespace safetensors {

/// A tensor's elements as floats, in its order.
///
/// @param from of any dtype but c64. @param out elements() floats.
///
/// Exact for floating-point types but F64, and for integers of up to 16 bits; F64 and longer
/// integers are rounded to nearest, ties to even (a double beyond float's range becomes infinite).
/// NaN and infinity are reproduced. BOOL becomes 0 or 1. Packed elements are read from the lowest
/// bits of a byte on.
///
/// Errors: unsupported for c64; shape_mismatch for another number of elements.
[[nodiscard]] inline result<void> try_to_floats(const tensor& from, std::span<float> out) noexcept {
    constexpr const char* where = "safetensors::to_floats";
    if (out.size() != from.elements()) {
        return detail::make_error(errc::shape_mismatch, where,
                                  "room for %zu elements; \"%s\" has %zu", out.size(),
                                  detail::printable_name(from.name()).text, from.elements());
    }
    const auto widen = [&]<class T>(T) {
        for (std::size_t i = 0; i < out.size(); ++i) {
            const T value = detail::st_load<T>(from.data().data() + i * sizeof(T));
            out[i] = static_cast<float>(value);
        }
    };
    if (detail::st_with_type(from.dtype(), widen)) return {};
    switch (from.dtype()) {
    case dtype::f4: detail::st_widen_packed<fp4>(from.data(), out); return {};
    case dtype::f6_e2m3: detail::st_widen_packed<fp6_e2m3>(from.data(), out); return {};
    case dtype::f6_e3m2: detail::st_widen_packed<fp6_e3m2>(from.data(), out); return {};
    default: break;
    }
    return detail::make_error(errc::unsupported, where, "\"%s\" is %s",
                              detail::printable_name(from.name()).text, to_string(from.dtype()));
}

#if QUANT_HAS_EXCEPTIONS
/// @copydoc try_to_floats
/// @throws quant::error
inline void to_floats(const tensor& from, std::span<float> out) {
    try_to_floats(from, out).value();
}
#endif

} // namespace safetensors
} // namespace quant::inline QUANT_ABI
