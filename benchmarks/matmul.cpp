// Products against the machine's limits: each line is a ratio to what a loop of dot products
// (or multiply-adds) on registers reaches, or to reading as many bytes as the weights have.
#include "limits.hpp"

#include <quant/quant.hpp>

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

using namespace quant;

namespace {

constexpr std::size_t outputs = 4096, inputs = 4096;

std::vector<float> some_numbers(std::size_t n) {
    std::vector<float> made(n);
    std::uint32_t state = 1;
    for (float& x : made) {
        state = state * 1664525u + 1013904223u;
        x = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-31f;
    }
    return made;
}

template <class S, class A>
void product(benchmark::State& state) {
    const auto tokens = static_cast<std::size_t>(state.range(0));
    static const auto weights = some_numbers(outputs * inputs);
    static const auto packed =
        quantize_packed<S>(matrix_view<const float>{weights.data(), outputs, inputs});
    const auto x = some_numbers(tokens * inputs);
    std::vector<float> y(tokens * outputs);
    const matrix_view<const float> x_view{x.data(), tokens, inputs};
    const matrix_view<float> y_view{y.data(), tokens, outputs};
    double best = 1e30;
    for (auto _ : state) {
        best = std::min(best, limits::best_seconds(1, [&] { matmul<A>(x_view, packed, y_view); }));
        benchmark::DoNotOptimize(y.data());
    }
    const double operations = 2.0 * static_cast<double>(tokens * outputs) * inputs / best;
    const double bytes = packed.nominal_bits() / 8 / best;
    state.counters["GOPS"] = operations * 1e-9;
    state.counters["GB/s"] = bytes * 1e-9;
    if (tokens == 1) {
        static const double limit = limits::read_bandwidth(packed.bytes().size());
        state.counters["%read"] = 100 * bytes / limit;
    } else if (is_integer_activation<A>) {
        static const double limit = limits::dot_product_peak();
        state.counters["%dot"] = 100 * operations / limit;
    } else {
        static const double limit = limits::multiply_add_peak();
        state.counters["%fma"] = 100 * operations / limit;
    }
}

template <class S, class A = default_activations<S>>
void add(const std::string& activations) {
    const std::string name = to_string(describe<S>()) + " x " + activations;
    benchmark::RegisterBenchmark(name.c_str(), product<S, A>)
        ->Arg(1)
        ->Arg(4)
        ->Arg(16)
        ->Arg(64)
        ->Unit(benchmark::kMicrosecond);
}

} // namespace

int main(int argc, char** argv) {
    using g32 = group_wise<32>;
    using token = activations::int8<per_token>;
    add<scheme<int8, symmetric, per_channel, float>>("int8 per token");
    add<scheme<int8, symmetric, g32, fp16>>("int8 group 32");
    add<scheme<int4, symmetric, g32, fp16>>("int8 group 32");
    add<scheme<int4, symmetric, g32, fp16>, token>("int8 per token");
    add<scheme<int4, asymmetric, g32, fp16>, token>("int8 per token");
    add<scheme<int4, asymmetric_min, g32, fp16>, token>("int8 per token");
    add<scheme<int4, symmetric, group_wise<128>, fp16>, token>("int8 per token");
    add<scheme<int3, symmetric, g32, fp16>>("int8 group 32");
    add<scheme<int2, symmetric, g32, fp16>>("int8 group 32");
    add<scheme<int4, symmetric, g32, fp16>, activations::int16>("int16");
    add<scheme<int4, symmetric, g32, fp16>, activations::fp32>("fp32");
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::AddCustomContext("instruction set", isa::current::name);
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
