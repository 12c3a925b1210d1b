// fp16 and bf16: every widening exact, every narrowing to the nearest, ties to even.
#include <quant/core/half.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

using quant::bf16;
using quant::fp16;

namespace {

std::uint32_t bits_of(float value) { return quant::core_detail::bit_cast<std::uint32_t>(value); }

/// The number that a format of `exponent_bits` and `mantissa_bits` means by `bits`, from IEEE
/// 754's definition: (−1)^s · (hidden + mantissa) · 2^e.
double defined_value(std::uint32_t bits, int exponent_bits, int mantissa_bits) {
    const bool negative = (bits >> (exponent_bits + mantissa_bits)) != 0;
    const int exponent = static_cast<int>(bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
    const int mantissa = static_cast<int>(bits) & ((1 << mantissa_bits) - 1);
    const int bias = (1 << (exponent_bits - 1)) - 1;
    double value = 0;
    if (exponent == (1 << exponent_bits) - 1) {
        value = mantissa == 0 ? std::numeric_limits<double>::infinity()
                              : std::numeric_limits<double>::quiet_NaN();
    } else if (exponent == 0) {
        value = std::ldexp(mantissa, 1 - bias - mantissa_bits);
    } else {
        value = std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
    }
    return negative ? -value : value;
}

double fp16_value(std::uint32_t bits) { return defined_value(bits, 5, 10); }
double bf16_value(std::uint32_t bits) { return defined_value(bits, 8, 7); }

/// How many of the 65536 patterns fail a test: one assertion instead of as many.
template <class Test>
std::size_t failures(Test test) {
    std::size_t failed = 0;
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
        if (!test(static_cast<std::uint16_t>(bits))) ++failed;
    }
    return failed;
}

bool same_number(float a, double b) {
    if (std::isnan(b)) return std::isnan(a);
    return static_cast<double>(a) == b && std::signbit(a) == std::signbit(b);
}

/// Checks narrowing around the finite number `bits` and its neighbour of larger magnitude:
/// themselves, the midpoint (to even) and the floats beside it.
template <class Half, class Value>
bool rounds_between(std::uint32_t bits, std::uint32_t largest_finite, Value value) {
    const std::uint32_t sign = bits & 0x8000u;
    const double low = value(bits);
    const bool last = (bits & 0x7FFFu) == largest_finite;
    // Beyond the largest number lies, for rounding, what the next exponent would give.
    const double step = last ? low - value(bits - 1) : value(bits + 1) - low;
    const double exact_middle = low + step / 2;
    const auto middle = static_cast<float>(exact_middle);
    if (static_cast<double>(middle) != exact_middle) return false; // halves of steps are floats
    const float outwards = sign != 0 ? -INFINITY : INFINITY;
    const std::uint32_t even = (bits & 1u) == 0 ? bits : bits + 1;
    return Half(static_cast<float>(low)).bits == bits && Half(middle).bits == even &&
           Half(std::nextafterf(middle, -outwards)).bits == bits &&
           Half(std::nextafterf(middle, outwards)).bits == bits + 1;
}

} // namespace

TEST_CASE("fp16 widens every pattern to the number it stands for", "[core][half]") {
    CHECK(failures([](std::uint16_t bits) {
              return same_number(static_cast<float>(fp16::from_bits(bits)), fp16_value(bits));
          }) == 0);
}

TEST_CASE("bf16 widens every pattern to the number it stands for", "[core][half]") {
    CHECK(failures([](std::uint16_t bits) {
              return same_number(static_cast<float>(bf16::from_bits(bits)), bf16_value(bits));
          }) == 0);
}

TEST_CASE("what was widened narrows to itself", "[core][half]") {
    const auto is_nan = [](double value) { return std::isnan(value); };
    CHECK(failures([&](std::uint16_t bits) {
              return is_nan(fp16_value(bits)) ||
                     fp16(static_cast<float>(fp16::from_bits(bits))).bits == bits;
          }) == 0);
    CHECK(failures([&](std::uint16_t bits) {
              return is_nan(bf16_value(bits)) ||
                     bf16(static_cast<float>(bf16::from_bits(bits))).bits == bits;
          }) == 0);
}

TEST_CASE("NaN stays NaN, quiet, with sign and upper payload", "[core][half]") {
    CHECK(failures([](std::uint16_t bits) {
              if (!std::isnan(fp16_value(bits))) return true;
              const std::uint32_t wide = bits_of(static_cast<float>(fp16::from_bits(bits)));
              const auto quiet = static_cast<std::uint16_t>(bits | 0x200u);
              return wide == ((bits & 0x8000u) << 16 | 0x7FC00000u | (bits & 0x3FFu) << 13) &&
                     fp16(quant::core_detail::bit_cast<float>(wide)).bits == quiet;
          }) == 0);
    CHECK(failures([](std::uint16_t bits) {
              if (!std::isnan(bf16_value(bits))) return true;
              return bf16(static_cast<float>(bf16::from_bits(bits))).bits == (bits | 0x40u);
          }) == 0);
    // A payload in the bits that are cut away must not become infinity.
    CHECK(fp16(quant::core_detail::bit_cast<float>(0x7F800001u)).bits == 0x7E00u);
    CHECK(fp16(quant::core_detail::bit_cast<float>(0xFF800001u)).bits == 0xFE00u);
    CHECK(bf16(quant::core_detail::bit_cast<float>(0x7F800001u)).bits == 0x7FC0u);
    CHECK(bf16(quant::core_detail::bit_cast<float>(0xFFFFFFFFu)).bits == 0xFFFFu);
}

TEST_CASE("fp16 narrows to the nearest, ties to even, around every number", "[core][half]") {
    CHECK(failures([](std::uint16_t bits) {
              return !std::isfinite(fp16_value(bits)) ||
                     rounds_between<fp16>(bits, 0x7BFFu, fp16_value);
          }) == 0);
}

TEST_CASE("bf16 narrows to the nearest, ties to even, around every number", "[core][half]") {
    CHECK(failures([](std::uint16_t bits) {
              return !std::isfinite(bf16_value(bits)) ||
                     rounds_between<bf16>(bits, 0x7F7Fu, bf16_value);
          }) == 0);
}

TEST_CASE("fp16 overflows from 65520 on", "[core][half]") {
    CHECK(fp16(65504.0f).bits == 0x7BFFu);
    CHECK(fp16(std::nextafterf(65520.0f, 0.0f)).bits == 0x7BFFu);
    CHECK(fp16(65520.0f).bits == 0x7C00u);
    CHECK(fp16(-65520.0f).bits == 0xFC00u);
    CHECK(fp16(std::numeric_limits<float>::max()).bits == 0x7C00u);
    CHECK(fp16(-INFINITY).bits == 0xFC00u);
    CHECK(bf16(std::numeric_limits<float>::max()).bits == 0x7F80u);
    CHECK(bf16(quant::core_detail::bit_cast<float>(0x7F7F7FFFu)).bits == 0x7F7Fu);
}

TEST_CASE("fp16 keeps subnormals and rounds below the least to zero", "[core][half]") {
    CHECK(fp16(0x1p-24f).bits == 1);
    CHECK(fp16(0x1p-25f).bits == 0); // a tie, to even
    CHECK(fp16(std::nextafterf(0x1p-25f, 1.0f)).bits == 1);
    CHECK(fp16(0x3p-25f).bits == 2); // a tie, to even
    CHECK(fp16(0x1p-14f).bits == 0x0400u);
    CHECK(fp16(std::nextafterf(0x1p-14f, 0.0f)).bits == 0x0400u);
    CHECK(fp16(std::numeric_limits<float>::denorm_min()).bits == 0);
    CHECK(bf16(std::numeric_limits<float>::denorm_min()).bits == 0);
    CHECK(bf16(quant::core_detail::bit_cast<float>(0x00008001u)).bits == 1);
}

TEST_CASE("zeros keep their sign; equality is of bits", "[core][half]") {
    CHECK(fp16(0.0f).bits == 0);
    CHECK(fp16(-0.0f).bits == 0x8000u);
    CHECK(fp16(-0x1p-30f).bits == 0x8000u);
    CHECK(bf16(-0.0f).bits == 0x8000u);
    CHECK(std::signbit(static_cast<float>(fp16(-0.0f))));
    CHECK(fp16(0.0f) != fp16(-0.0f));
    CHECK(fp16::from_bits(0x7E00u) == fp16::from_bits(0x7E00u));
    CHECK(bf16(0.0f) != bf16(-0.0f));
}

// Conversions are constant expressions.
static_assert(fp16(1.0f).bits == 0x3C00u && static_cast<float>(fp16(1.0f)) == 1.0f);
static_assert(fp16(0.1f).bits == 0x2E66u);
static_assert(fp16(65520.0f).bits == 0x7C00u && fp16(0x1p-24f).bits == 1);
static_assert(static_cast<float>(fp16::from_bits(1)) == 0x1p-24f);
static_assert(bf16(1.0f).bits == 0x3F80u && static_cast<float>(bf16(-2.0f)) == -2.0f);
static_assert(fp16() == fp16(0.0f) && bf16() == bf16(0.0f));
