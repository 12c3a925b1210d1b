// The presets of GGUF's formats against the reference implementation's quantizers: no larger error
// on the rows in the shared data; and the same numbers as blocks of a file.
#include "golden_data.hpp"

#include <quant/calibrate/metrics.hpp>
#include <quant/io/gguf/quantize.hpp>
#include <quant/policy/presets.hpp>
#include <quant/quantize/dequantize.hpp>
#include <quant/quantize/quantize.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstddef>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr std::size_t rows = 4, cols = 512;

/// Empty where there is no such data.
std::vector<float> source() {
    auto w = read_floats("source.f32");
    REQUIRE((w.empty() || w.size() == rows * cols));
    return w;
}

quant::matrix_view<const float> view(const std::vector<float>& values) {
    return {values.data(), rows, cols};
}

double error_of(const std::vector<float>& approximation, const std::vector<float>& w) {
    return quant::measure_error(view(w), view(approximation)).relative_rms();
}

/// A scheme and the type whose blocks hold it.
template <class S, quant::gguf::type T>
struct type_of {};

/// What a matrix quantized to a type's scheme S stands for. Checks that gguf::encode of it and
/// gguf::quantize are the same blocks, which decode to the same numbers, bit for bit.
template <class S, quant::gguf::type T>
std::vector<float> quantized(quant::matrix_view<const float> w, quant::range_estimator range) {
    namespace gguf = quant::gguf;
    quant::quantize_options options;
    options.range = range;
    const auto q = quant::quantize<S>(w, options);
    std::vector<float> out(w.rows() * w.cols()), decoded(out.size());
    quant::dequantize(q, quant::matrix_view<float>{out.data(), w.rows(), w.cols()});

    std::vector<std::byte> encoded(gguf::encoded_bytes(T, w.rows(), w.cols())), direct(encoded);
    gguf::encode(q, T, encoded);
    gguf::quantize<T>(w, direct, options);
    CHECK(encoded == direct);
    gguf::dequantize(T, encoded, decoded);
    CHECK(std::memcmp(decoded.data(), out.data(), out.size() * sizeof(float)) == 0);
    return out;
}

/// Numbers of many sizes in rows of two blocks, zeros among them.
template <class S, quant::gguf::type T>
void check_random_rows() {
    constexpr std::size_t some_rows = 5;
    const std::size_t some_cols = 2 * quant::gguf::block_size(T);
    std::mt19937 random(17);
    std::normal_distribution<float> normal;
    std::vector<float> w(some_rows * some_cols);
    for (std::size_t i = 0; i < w.size(); ++i) {
        const float number = normal(random);
        w[i] = i / some_cols == 3 ? 0.0f : std::ldexp(number, static_cast<int>(i / 50 % 20) - 12);
    }
    const quant::matrix_view<const float> all(w.data(), some_rows, some_cols);
    for (const auto range : {quant::range_estimator::min_max, quant::range_estimator::mse}) {
        (void)quantized<S, T>(all, range);
    }
}

/// `listed`: the relative error that the data's notes give for the reference's quantizer.
template <class S, quant::gguf::type T>
void check(type_of<S, T>, const char* name, double listed) {
    CAPTURE(name);
    check_random_rows<S, T>();
    const auto w = source();
    if (w.empty() || listed == 0) return;
    const auto theirs = read_floats(std::string(name) + ".f32");
    REQUIRE(theirs.size() == w.size());
    const double reference = error_of(theirs, w);
    CHECK(reference > listed - 0.00001);
    CHECK(reference < listed + 0.00001);
    CHECK(error_of(quantized<S, T>(view(w), quant::range_estimator::mse), w) <= reference);
}

} // namespace

TEST_CASE("scales of one level lose no more than the reference's", "[golden]") {
    using namespace quant::presets;
    using quant::gguf::type;
    check(type_of<q4_0, type::q4_0>(), "q4_0", .08679);
    check(type_of<q4_1, type::q4_1>(), "q4_1", .06958);
    check(type_of<q5_0, type::q5_0>(), "q5_0", .04583);
    check(type_of<q5_1, type::q5_1>(), "q5_1", .03330);
    check(type_of<q8_0, type::q8_0>(), "q8_0", .00577);
    check(type_of<iq4_nl, type::iq4_nl>(), "iq4_nl", .08121);
    check(type_of<tq2_0, type::tq1_0>(), "tq1_0", .74285);
    check(type_of<tq2_0, type::tq2_0>(), "tq2_0", .74285);
    check(type_of<mxfp4, type::mxfp4>(), "mxfp4", .13319);
    check(type_of<nvfp4, type::nvfp4>(), "nvfp4", .09975); // whose tensor factor is 1
    check(type_of<q1_0, type::q1_0>(), "q1_0", 0);         // the data has no error of these two
    check(type_of<q2_0, type::q2_0>(), "q2_0", 0);
}

TEST_CASE("scales of two levels lose no more than the reference's", "[golden]") {
    using namespace quant::presets;
    using quant::gguf::type;
    check(type_of<q2_k, type::q2_k>(), "q2_K", .25960);
    check(type_of<q3_k, type::q3_k>(), "q3_K", .13751);
    check(type_of<q4_k, type::q4_k>(), "q4_K", .06567);
    check(type_of<q5_k, type::q5_k>(), "q5_K", .03206);
    check(type_of<q6_k, type::q6_k>(), "q6_K", .01930);
    check(type_of<iq4_xs, type::iq4_xs>(), "iq4_xs", .08180);
}
