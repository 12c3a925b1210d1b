// The factor that a file has beside a tensor's blocks, and products that take it.
#include "gguf_image.hpp"

#include <quant/kernel/matmul.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace gguf_test;
namespace gguf = quant::gguf;

namespace {

constexpr std::size_t cols = 64, rows = 20;

/// Blocks of NVFP4 whose scales are numbers, and their weights by the format's definition.
std::vector<double> add_blocks(image& to, std::size_t count) {
    constexpr double e2m1[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    std::mt19937 random(3);
    std::vector<double> weights;
    for (std::size_t b = 0; b < count; ++b) {
        double scales[4];
        for (double& scale : scales) {
            const auto bits = static_cast<unsigned>(random() % 127);
            const unsigned exponent = bits >> 3, mantissa = bits & 7;
            scale = exponent == 0 ? mantissa / 512.0
                                  : std::ldexp(1 + mantissa / 8.0, static_cast<int>(exponent) - 7);
            to.u8(static_cast<std::uint8_t>(bits));
        }
        for (const double scale : scales) {
            double group[16];
            for (std::size_t j = 0; j < 8; ++j) {
                const auto pair = static_cast<unsigned>(random() & 255u);
                to.u8(static_cast<std::uint8_t>(pair));
                const auto value = [&](unsigned code) {
                    return scale * (code < 8 ? e2m1[code] : -e2m1[code & 7u]);
                };
                group[j] = value(pair & 15u);
                group[j + 8] = value(pair >> 4);
            }
            weights.insert(weights.end(), group, group + 16);
        }
    }
    return weights;
}

/// An NVFP4 tensor and the tensor of its factors.
struct scaled_file {
    scaled_file(std::string_view name, std::string_view scale_name,
                const std::vector<float>& scales, std::size_t experts = 1,
                type of_scales = type::f32) {
        const std::size_t bytes = rows * experts * cols / 64 * 36;
        made.header(2, 0);
        if (experts == 1) {
            made.tensor(name, {cols, rows}, type::nvfp4, 0);
        } else {
            made.tensor(name, {cols, rows, experts}, type::nvfp4, 0);
        }
        made.tensor(scale_name, {scales.size()}, of_scales, (bytes + 31) / 32 * 32).align();
        weights = add_blocks(made, rows * experts * cols / 64);
        made.align();
        for (const float scale : scales) made.put(scale);
    }
    [[nodiscard]] quant::result<float> ask(std::string_view name, std::size_t matrix = 0) const {
        const gguf::file file = gguf::file::parse(made.bytes());
        return gguf::try_scale_of(file, *file.find(name), matrix);
    }
    void refused(std::string_view name, std::size_t matrix, errc code,
                 std::string_view part) const {
        const auto answer = ask(name, matrix);
        REQUIRE_FALSE(answer.has_value());
        CHECK(answer.failure().code() == code);
        CHECK(answer.failure().where() == "gguf::scale_of: " + std::string(name));
        CHECK(std::string_view(answer.failure().message()).find(part) != std::string_view::npos);
    }
    image made;
    std::vector<double> weights;
};

} // namespace

TEST_CASE("gguf scale: a product takes the factor in its epilogue", "[gguf]") {
    // No scale's type holds this factor times an E4M3 number.
    constexpr float factor = 0x1.FFFFFEp-12f;
    const scaled_file made("up.weight", "up.scale", {factor});
    const gguf::file file = gguf::file::parse(made.made.bytes());
    const gguf::tensor& tensor = *file.find("up.weight");
    CHECK(gguf::scale_of(file, tensor) == factor);

    const auto weights = gguf::load<quant::presets::nvfp4>(tensor);
    std::vector<float> x(cols), y(rows), plain(rows);
    for (std::size_t k = 0; k < cols; ++k) x[k] = std::sin(static_cast<float>(k));
    const quant::matrix_view<const float> tokens(x.data(), 1, cols);
    quant::matmul<quant::activations::fp32>(tokens, weights, quant::matrix_view(y.data(), 1, rows),
                                            quant::epilogue::scale{gguf::scale_of(file, tensor)});
    quant::matmul<quant::activations::fp32>(tokens, weights,
                                            quant::matrix_view(plain.data(), 1, rows));
    for (std::size_t n = 0; n < rows; ++n) {
        double sum = 0, size = 0;
        for (std::size_t k = 0; k < cols; ++k) {
            const double term = made.weights[n * cols + k] * static_cast<double>(x[k]);
            sum += term;
            size += std::fabs(term);
        }
        CAPTURE(n);
        CHECK(std::fabs(static_cast<double>(y[n]) - sum * static_cast<double>(factor)) <=
              1e-5 * size * static_cast<double>(factor));
        CHECK(y[n] == plain[n] * factor); // rounded once
    }
}

TEST_CASE("gguf scale: where it is found", "[gguf]") {
    CHECK(scaled_file("a.weight", "a.scale", {3}).ask("a.weight").value() == 3.0f);
    CHECK(scaled_file("a.weight", "a.weight.scale", {3}).ask("a.weight").value() == 3.0f);
    CHECK(scaled_file("a", "a.scale", {3}).ask("a").value() == 3.0f);
    CHECK(scaled_file("a.weight", "b.scale", {3}).ask("a.weight").value() == 1.0f);
    CHECK(scaled_file("a.weight", "a", {3}).ask("a.weight").value() == 1.0f);
    // The longest name, and one that ends for C's functions before it ends.
    const std::string longest(64, 'n');
    CHECK(scaled_file(longest, "n.scale", {3}).ask(longest).value() == 1.0f);
    CHECK(scaled_file({"a\0b", 3}, "a.scale", {3}).ask({"a\0b", 3}).value() == 1.0f);

    const scaled_file experts("e.weight", "e.scale", {2, 4, 8}, 3);
    for (const std::size_t e : {0u, 1u, 2u}) {
        CHECK(experts.ask("e.weight", e).value() == static_cast<float>(2u << e));
    }
    experts.refused("e.weight", 3, errc::invalid_argument, "matrix 3 of 3");
    CHECK(scaled_file("e.weight", "e.scale", {2}, 3).ask("e.weight", 2).value() == 2.0f);
}

TEST_CASE("gguf scale: what is refused", "[gguf]") {
    scaled_file("a.weight", "a.scale", {1, 2})
        .refused("a.weight", 0, errc::shape_mismatch, "2 scales for 1 matrices");
    scaled_file("a.weight", "a.scale", {1, 2}, 3)
        .refused("a.weight", 0, errc::shape_mismatch, "2 scales for 3 matrices");
    scaled_file("a.weight", "a.scale", {1}, 1, type::i32)
        .refused("a.weight", 0, errc::unsupported, "its scale is i32");
    scaled_file("a.weight", "a.scale", {std::numeric_limits<float>::infinity()})
        .refused("a.weight", 0, errc::non_finite, "scale 0");
}
