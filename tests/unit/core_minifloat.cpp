// Minifloats and powers of two: every widening exact, every narrowing to the nearest; the
// vectorized conversions alike.
#include <quant/core/minifloat.hpp>
#include <quant/policy/descriptor.hpp>
#include <quant/simd/convert.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <tuple>
#include <vector>

using namespace quant;

namespace {

using minifloats = std::tuple<fp4, fp6_e2m3, fp6_e3m2, fp8_e4m3, fp8_e5m2>;

std::uint32_t bits_of(float value) { return quant::core_detail::bit_cast<std::uint32_t>(value); }

/// (hidden + mantissa) · 2^e, by the formats' definition; one past the last exponent, too.
template <class T>
double defined_magnitude(int bits) {
    const int exponent = bits >> T::mantissa_bits;
    const int mantissa = bits & ((1 << T::mantissa_bits) - 1);
    const int hidden = exponent == 0 ? 0 : 1 << T::mantissa_bits;
    return std::ldexp(hidden + mantissa, std::max(exponent, 1) - T::bias - T::mantissa_bits);
}

/// The finite number nearest to a magnitude, the even one of two; beyond the greatest there is, for
/// rounding, what the next bits would mean.
template <class T>
int nearest_magnitude(double value) {
    value = std::min(value, 2 * defined_magnitude<T>(T::greatest_bits + 1));
    int found = 0;
    for (int bits = 1; bits <= T::greatest_bits + 1; ++bits) {
        const double is = std::abs(defined_magnitude<T>(bits) - value);
        const double was = std::abs(defined_magnitude<T>(found) - value);
        if (is < was || (is == was && bits % 2 == 0)) found = bits;
    }
    return found;
}

/// Floats that rounding may get wrong: all numbers, what lies halfway, and their neighbours.
template <class T>
std::vector<float> critical_values() {
    std::vector<float> made{0, 1e-30f, 1e30f, std::numeric_limits<float>::max(),
                            std::numeric_limits<float>::denorm_min()};
    for (int bits = 0; bits <= T::greatest_bits; ++bits) {
        const double low = defined_magnitude<T>(bits), high = defined_magnitude<T>(bits + 1);
        for (const double exact : {low, (low + high) / 2, low + (high - low) / 4}) {
            const auto value = static_cast<float>(exact);
            made.insert(made.end(),
                        {value, std::nextafter(value, 0.0f), std::nextafter(value, INFINITY)});
        }
    }
    return made;
}

/// Lane by lane what a conversion of one number gives.
template <class T, class Convert>
void check_lanes(const std::vector<float>& values, Convert convert) {
    for (std::size_t i = 0; i + 16 <= values.size(); i += 16) {
        std::int32_t made[16];
        quant::simd::store(made, convert(quant::simd::load<float>(values.data() + i)));
        for (std::size_t j = 0; j < 16; ++j) {
            CAPTURE(values[i + j]);
            REQUIRE(made[j] == T(values[i + j]).bits);
        }
    }
}

} // namespace

TEMPLATE_LIST_TEST_CASE("minifloats widen exactly", "[core][minifloat]", minifloats) {
    using T = TestType;
    for (int bits = 0; bits < 2 * T::sign_bit; ++bits) {
        CAPTURE(bits);
        const auto value = static_cast<float>(T::from_bits(static_cast<std::uint8_t>(bits)));
        const int magnitude = bits & (T::sign_bit - 1);
        if (magnitude <= T::greatest_bits) {
            CHECK(static_cast<double>(std::fabs(value)) == defined_magnitude<T>(magnitude));
            CHECK(std::signbit(value) == ((bits & T::sign_bit) != 0));
        } else if (T::has_infinity && magnitude == T::greatest_bits + 1) {
            CHECK(std::isinf(value));
        } else {
            CHECK(std::isnan(value));
        }
    }
}

TEMPLATE_LIST_TEST_CASE("minifloats are rounded to the nearest", "[core][minifloat]", minifloats) {
    using T = TestType;
    for (const float magnitude : critical_values<T>()) {
        for (const float value : {magnitude, -magnitude}) {
            CAPTURE(value);
            const T made(value);
            const int nearest = nearest_magnitude<T>(static_cast<double>(magnitude));
            CHECK((made.bits & T::sign_bit) == (std::signbit(value) ? T::sign_bit : 0));
            if (nearest <= T::greatest_bits) {
                CHECK((made.bits & (T::sign_bit - 1)) == nearest);
            } else if (T::has_infinity) {
                CHECK(std::isinf(static_cast<float>(made)));
            } else if (T::has_nan) {
                CHECK(std::isnan(static_cast<float>(made)));
            } else {
                CHECK((made.bits & (T::sign_bit - 1)) == T::greatest_bits);
            }
        }
    }
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK((T::has_nan ? std::isnan(static_cast<float>(T(nan))) : T(nan).bits == 0));
    const T infinite(INFINITY);
    CHECK((T::has_infinity ? std::isinf(static_cast<float>(infinite))
           : T::has_nan    ? std::isnan(static_cast<float>(infinite))
                           : infinite.bits == T::greatest_bits));
}

TEMPLATE_LIST_TEST_CASE("sixteen minifloats at once", "[core][minifloat]", minifloats) {
    using T = TestType;
    constexpr int E = T::exponent_bits, M = T::mantissa_bits;
    for (int first = 0; first < 2 * T::sign_bit; first += 16) {
        std::int32_t bits[16];
        for (int i = 0; i < 16; ++i) bits[i] = first + i;
        float made[16];
        simd::store(made, simd::widen_finite<E, M>(simd::load<std::int32_t>(bits)));
        for (int i = 0; i < 16; ++i) {
            if ((bits[i] & (T::sign_bit - 1)) > T::greatest_bits) continue;
            const auto expected =
                static_cast<float>(T::from_bits(static_cast<std::uint8_t>(bits[i])));
            CHECK(bits_of(made[i]) == bits_of(expected));
        }
    }
    std::vector<float> inside;
    for (const float value : critical_values<T>()) {
        if (nearest_magnitude<T>(static_cast<double>(value)) > T::greatest_bits) continue;
        inside.insert(inside.end(), {value, -value});
    }
    check_lanes<T>(inside, [](const simd::f32x16& v) { return simd::narrow_finite<E, M>(v); });
}

TEST_CASE("powers of two in a byte", "[core][minifloat]") {
    for (int bits = 0; bits < 255; ++bits) {
        const auto power = e8m0::from_bits(static_cast<std::uint8_t>(bits));
        CHECK(static_cast<double>(static_cast<float>(power)) == std::ldexp(1.0, bits - 127));
        CHECK(e8m0(static_cast<float>(power)) == power);
    }
    CHECK(std::isnan(static_cast<float>(e8m0::from_bits(255))));
    CHECK(e8m0(0.0f).bits == 0);
    CHECK(e8m0(-0.0f).bits == 0);
    CHECK(e8m0(1e-45f).bits == 0);
    CHECK(e8m0(-1.0f).bits == 255);
    CHECK(e8m0(INFINITY).bits == 255);
    CHECK(e8m0(std::numeric_limits<float>::quiet_NaN()).bits == 255);
    CHECK(e8m0(0x1.7ffffep127f).bits == 254);
    CHECK(e8m0(0x1.8p127f).bits == 255);
    CHECK(e8m0(0x1.7ffffep0f).bits == 127);
    CHECK(e8m0(1.5f).bits == 128);
    CHECK(e8m0(std::nextafter(0x1.8p-127f, 0.0f)).bits == 0);
    CHECK(e8m0(0x1.8p-127f).bits == 1);
}

TEST_CASE("scales of a byte, sixteen at once", "[core][minifloat]") {
    std::vector<float> values{0,         -0.0f,    1e-45f,   0x1.8p-127f, 1.5f,     INFINITY,
                              -INFINITY, -1.0f,    464.0f,   464.0001f,   0x1p127f, 0x1.8p127f,
                              448.0f,    -1e-3f,   1e-9f,    240.5f,      NAN,      -464.5f,
                              0x1p-126f, 0x1p-10f, 0x1p-11f, 2.0f,        3.0f,     4.0f};
    for (const float value : critical_values<fp8_e4m3>()) values.push_back(value);
    values.resize(values.size() / 16 * 16);
    check_lanes<e8m0>(values, [](const simd::f32x16& v) { return simd::float_to_e8m0_bits(v); });
    check_lanes<fp8_e4m3>(values,
                          [](const simd::f32x16& v) { return simd::float_to_fp8_e4m3_bits(v); });
    for (std::size_t first = 0; first < 256; first += 16) {
        std::uint8_t bytes[16];
        for (std::size_t i = 0; i < 16; ++i) bytes[i] = static_cast<std::uint8_t>(first + i);
        float powers[16], numbers[16];
        simd::store(powers, simd::load_as_float<e8m0>(bytes));
        simd::store(numbers, simd::load_as_float<fp8_e4m3>(bytes));
        for (std::size_t i = 0; i < 16; ++i) {
            const auto power = static_cast<float>(e8m0::from_bits(bytes[i]));
            const auto number = static_cast<float>(fp8_e4m3::from_bits(bytes[i]));
            CHECK((bits_of(powers[i]) == bits_of(power) ||
                   (std::isnan(power) && std::isnan(powers[i]))));
            CHECK((bits_of(numbers[i]) == bits_of(number) ||
                   (std::isnan(number) && std::isnan(numbers[i]))));
        }
    }
}

TEST_CASE("codes name their levels", "[policy]") {
    using mx = scheme<fp4, symmetric, group_wise<32>, e8m0>;
    static_assert(mx::bits == 4 && mx::unit == 0.5f && mx::greatest_step == 12.0f);
    static_assert(mx::has_integer_steps && mx::zero_code == 0);
    static_assert(mx::nominal_bits(1, 32) == 32 * 4 + 8);
    using normal = scheme<nf4, symmetric, group_wise<64>, float>;
    static_assert(!normal::has_integer_steps && normal::unit == 1.0f && normal::zero_code == 7);
    using three = scheme<ternary, symmetric, group_wise<64>, fp16>;
    static_assert(three::bits == 2 && three::max_code == 2 && !three::is_level(3));
    using wide = scheme<fp8_e4m3, symmetric, per_channel, float>;
    static_assert(!wide::has_integer_steps && !wide::is_level(0x7F) && !wide::is_level(0xFF));
    static_assert(wide::greatest_step == 448.0f && wide::least_step == -448.0f);
    CHECK(to_string(describe<mx>()) == "e2m1 symmetric group_wise<32> e8m0");
    CHECK(to_string(describe<three>()).substr(0, 10) == "codebook2:");
    CHECK(describe<three>().levels != describe<normal>().levels);
}
