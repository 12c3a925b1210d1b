// The activation functions keep the errors that their comments state, give the same bits on all
// instruction sets with fused multiply-add, and pass NaN and infinity on as limits say.
#include <quant/kernel/epilogue.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

using namespace quant;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr double least_normal = 0x1p-126;

double defined_silu(double y) { return y / (1 + std::exp(-y)); }
double defined_gelu(double y) { return y / 2 * std::erfc(-y / std::sqrt(2.0)); }
double defined_gelu_tanh(double y) {
    // (1 + tanh(u)) / 2 = 1 / (1 + exp(−2u)), which does not cancel.
    constexpr double root_of_2_by_pi = 0.79788456080286535588;
    return y / (1 + std::exp(-2 * root_of_2_by_pi * (y + 0.044715 * y * y * y)));
}

struct function {
    std::string_view name;
    simd::f32x16 (*apply)(const simd::f32x16&);
    double (*defined)(double);
    double relative, subnormal; ///< errors that are allowed, with fused multiply-add
    double relative_unfused, subnormal_unfused;
    std::uint64_t fingerprint; ///< of the results' bits, with fused multiply-add
};

template <class Stage>
simd::f32x16 applied(const simd::f32x16& y) {
    return Stage{}.apply(y, 0, 0, 16);
}

const function functions[] = {
    {"silu", applied<epilogue::silu>, defined_silu, 3e-7, 4e-45, 3e-7, 4e-45, 0x7572b23aa0d7fb5a},
    {"gelu", applied<epilogue::gelu>, defined_gelu, 6e-7, 5e-45, 6e-7, 5e-45, 0xf3c9168fe09b23f4},
    {"gelu_tanh", applied<epilogue::gelu_tanh>, defined_gelu_tanh, 3e-7, 4e-45, 1.5e-5, 2e-43,
     0x0afdf6e7dadb5004},
};

/// f(values[16], results[16]) over floats of all signs and exponents, evenly by their bits.
template <class F>
void for_each_float(const function& of, F f) {
    constexpr std::uint64_t step = 8191; // prime: low bits take all patterns
    for (std::uint64_t first = 0; first < 0x1'0000'0000u; first += 16 * step) {
        float values[16], results[16];
        for (std::size_t i = 0; i < 16; ++i) {
            values[i] =
                quant::core_detail::bit_cast<float>(static_cast<std::uint32_t>(first + i * step));
        }
        simd::store(results, of.apply(simd::load<float>(values)));
        for (std::size_t i = 0; i < 16; ++i) f(values[i], results[i]);
    }
}

bool same_bits(float a, float b) {
    return quant::core_detail::bit_cast<std::uint32_t>(a) ==
           quant::core_detail::bit_cast<std::uint32_t>(b);
}

float at(const function& f, float value) {
    float results[16];
    simd::store(results, f.apply(simd::broadcast(value)));
    return results[7];
}

} // namespace

TEST_CASE("activation functions are as exact as they say", "[epilogue][functions]") {
    for (const function& f : functions) {
        const bool fused = isa::current::fused_multiply_add;
        const double relative = fused ? f.relative : f.relative_unfused;
        const double subnormal = fused ? f.subnormal : f.subnormal_unfused;
        std::size_t failed = 0;
        for_each_float(f, [&](float value, float result) {
            if (!std::isfinite(value)) return;
            const double exact = f.defined(static_cast<double>(value));
            const double error = std::fabs(static_cast<double>(result) - exact);
            const double magnitude = std::fabs(exact);
            const bool good =
                magnitude < least_normal ? error <= subnormal : error <= relative * magnitude;
            if (!good) ++failed;
        });
        CAPTURE(f.name);
        CHECK(failed == 0);
    }
}

TEST_CASE("activation functions have the same bits wherever multiply-add is fused",
          "[epilogue][functions]") {
    if (!isa::current::fused_multiply_add) SKIP("multiply-add is not fused here");
    for (const function& f : functions) {
        std::uint64_t hash = 0xCBF29CE484222325u; // FNV-1a
        for_each_float(f, [&](float value, float result) {
            if (std::isnan(value)) return;
            hash = (hash ^ quant::core_detail::bit_cast<std::uint32_t>(result)) * 0x100000001B3u;
        });
        CAPTURE(f.name);
        CHECK(hash == f.fingerprint);
    }
}

TEST_CASE("activation functions of NaN, infinity and zero are their limits",
          "[epilogue][functions]") {
    for (const function& f : functions) {
        CAPTURE(f.name);
        CHECK(at(f, inf) == inf);
        CHECK(same_bits(at(f, -inf), -0.0f));
        CHECK(same_bits(at(f, 0.0f), 0.0f));
        CHECK(same_bits(at(f, -0.0f), -0.0f));
        CHECK(at(f, std::numeric_limits<float>::max()) == std::numeric_limits<float>::max());
        CHECK(same_bits(at(f, std::numeric_limits<float>::lowest()), -0.0f));
        for (const std::uint32_t nan : {0x7FC00000u, 0xFFC00000u, 0x7F800001u, 0xFF800001u}) {
            CHECK(std::isnan(at(f, quant::core_detail::bit_cast<float>(nan))));
        }
    }
}
