// The presets of GGUF's formats against the reference implementation's quantizers: no larger error
// on the rows in the shared data.
#include <quant/calibrate/metrics.hpp>
#include <quant/policy/presets.hpp>
#include <quant/quantize/dequantize.hpp>
#include <quant/quantize/quantize.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <type_traits>
#include <vector>

namespace {

constexpr std::size_t rows = 4, cols = 512;

std::vector<float> read_floats(const std::string& name) {
    std::ifstream file(QUANT_SHARED_DATA "/gguf_golden/" + name, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    std::vector<float> values(bytes.size() / sizeof(float));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

std::vector<float> source() {
    auto w = read_floats("source.f32");
    if (w.empty()) SKIP("no golden data in " QUANT_SHARED_DATA);
    REQUIRE(w.size() == rows * cols);
    return w;
}

quant::matrix_view<const float> view(const std::vector<float>& values) {
    return {values.data(), rows, cols};
}

double error_of(const std::vector<float>& approximation, const std::vector<float>& w) {
    return quant::measure_error(view(w), view(approximation)).relative_rms();
}

template <class S>
double error_by_mse(const std::vector<float>& w) {
    quant::quantize_options options;
    options.range = quant::range_estimator::mse;
    std::vector<float> out(w.size());
    quant::dequantize(quant::quantize<S>(view(w), options),
                      quant::matrix_view<float>{out.data(), rows, cols});
    return error_of(out, w);
}

/// `listed`: the relative error that the data's notes give for the reference's quantizer.
template <class S>
void check(std::type_identity<S>, const char* name, double listed) {
    const auto w = source();
    CAPTURE(name);
    const auto theirs = read_floats(std::string(name) + ".f32");
    REQUIRE(theirs.size() == w.size());
    const double reference = error_of(theirs, w);
    CHECK(reference > listed - 0.00001);
    CHECK(reference < listed + 0.00001);
    CHECK(error_by_mse<S>(w) <= reference);
}

template <class S>
constexpr std::type_identity<S> as{};

} // namespace

TEST_CASE("scales of one level lose no more than the reference's", "[golden]") {
    using namespace quant::presets;
    check(as<q4_0>, "q4_0", .08679);
    check(as<q4_1>, "q4_1", .06958);
    check(as<q5_0>, "q5_0", .04583);
    check(as<q5_1>, "q5_1", .03330);
    check(as<q8_0>, "q8_0", .00577);
    check(as<iq4_nl>, "iq4_nl", .08121);
    check(as<tq2_0>, "tq2_0", .74285);
    check(as<mxfp4>, "mxfp4", .13319);
    check(as<nvfp4>, "nvfp4", .09975); // whose tensor factor is 1
}

TEST_CASE("scales of two levels lose no more than the reference's", "[golden]") {
    using namespace quant::presets;
    check(as<q2_k>, "q2_K", .25960);
    check(as<q3_k>, "q3_K", .13751);
    check(as<q4_k>, "q4_K", .06567);
    check(as<q5_k>, "q5_K", .03206);
    check(as<q6_k>, "q6_K", .01930);
    check(as<iq4_xs>, "iq4_xs", .08180);
}
