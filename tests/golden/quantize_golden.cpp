// Against the reference implementation of the formats that are compositions of ours: the same
// scales, and no larger error, on the rows in the shared data.
#include "golden_data.hpp"

#include <quant/quant.hpp>

#include <catch2/catch_test_macros.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

using namespace quant;

namespace {

constexpr std::size_t rows = 4, cols = 512;

std::vector<float> source() {
    auto w = read_floats("source.f32");
    if (w.empty()) SKIP("no golden data in " QUANT_SHARED_DATA);
    REQUIRE(w.size() == rows * cols);
    return w;
}

template <class S>
std::vector<float> round_trip(const std::vector<float>& w) {
    std::vector<float> out(w.size());
    dequantize(quantize<S>(matrix_view<const float>{w.data(), rows, cols}),
               matrix_view<float>{out.data(), rows, cols});
    return out;
}

double relative_rmse(const std::vector<float>& approximation, const std::vector<float>& w) {
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
        const double x = static_cast<double>(w[i]);
        error += std::pow(static_cast<double>(approximation[i]) - x, 2);
        norm += x * x;
    }
    return std::sqrt(error / norm);
}

} // namespace

TEST_CASE("a Q4_0-like scheme has its scales, and no larger error", "[golden]") {
    const auto w = source();
    using q4_0 = scheme<int4, symmetric, group_wise<32>, fp16>;
    const auto q = quantize<q4_0>(matrix_view<const float>{w.data(), rows, cols});
    const auto blocks = read_bytes("q4_0.blocks"); // 18 bytes each: fp16 scale, 16 bytes of codes
    for (std::size_t g = 0; g < q.scales().size(); ++g) {
        const auto bits = static_cast<std::uint16_t>(blocks[18 * g] | blocks[18 * g + 1] << 8);
        CHECK(q.scales()[g].bits == bits);
    }
    CHECK(relative_rmse(round_trip<q4_0>(w), w) <= relative_rmse(read_floats("q4_0.f32"), w));
}

TEST_CASE("schemes like Q4_1, Q5_0 and Q5_1 have no larger error", "[golden]") {
    const auto w = source();
    const auto check = [&]<class S>(std::type_identity<S>, const char* name) {
        CAPTURE(name);
        CHECK(relative_rmse(round_trip<S>(w), w) <=
              relative_rmse(read_floats(std::string(name) + ".f32"), w));
    };
    using g32 = group_wise<32>;
    check(std::type_identity<scheme<int4, asymmetric_min, g32, fp16>>{}, "q4_1");
    check(std::type_identity<scheme<int5, symmetric, g32, fp16>>{}, "q5_0");
    check(std::type_identity<scheme<int5, asymmetric_min, g32, fp16>>{}, "q5_1");
}
