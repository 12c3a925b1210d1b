// Element-wise work from data that lie in L2, one thread: quantize, dequantize, pack, unpack.
//
// Best and median of many short calls, as 10^9 elements per second and as a share of the bandwidth
// at which this machine reads L2. The share counts the wider side of each operation: the floats
// that quantize reads and dequantize writes, the byte codes that pack reads and unpack writes.
// A call includes all that a user of it pays for, the allocation of its result too; but that comes
// from memory that the process keeps (glibc would give it back to the system and fault it in again
// at each call, which is the system's speed, not ours).
#include "limits.hpp"

#include <quant/quant.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace {

using namespace quant;

// 384 KiB of floats and at most 96 KiB of codes: within any L2 of 1 MiB, beyond any L1.
constexpr std::size_t rows = 64, cols = 1536, elements = rows * cols;

double l2_bandwidth() {
    static const double bandwidth = limits::read_bandwidth(elements * sizeof(float));
    return bandwidth;
}

template <class F>
void run(benchmark::State& state, std::size_t bytes_per_element, F&& f) {
    std::vector<double> seconds;
    for (auto _ : state) {
        const auto start = std::chrono::steady_clock::now();
        f();
        const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
        seconds.push_back(taken.count());
        state.SetIterationTime(taken.count());
    }
    if (seconds.empty()) return;
    std::sort(seconds.begin(), seconds.end());
    const auto n = static_cast<double>(elements);
    const auto bytes = n * static_cast<double>(bytes_per_element);
    const double best = seconds.front(), median = seconds[seconds.size() / 2];
    state.counters["best G/s"] = n / best * 1e-9;
    state.counters["median G/s"] = n / median * 1e-9;
    state.counters["best %L2"] = 100 * bytes / best / l2_bandwidth();
    state.counters["median %L2"] = 100 * bytes / median / l2_bandwidth();
}

std::vector<float> some_weights() {
    std::vector<float> w(elements);
    std::uint32_t state = 1;
    for (float& x : w) {
        state = state * 1664525u + 1013904223u;
        x = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-31f;
    }
    return w;
}

template <class S>
void quantize_rows(benchmark::State& state) {
    const auto w = some_weights();
    run(state, sizeof(float),
        [&] { limits::use(quantize<S>(matrix_view<const float>{w.data(), rows, cols})); });
}

template <class S>
void quantize_to_panels(benchmark::State& state) {
    const auto w = some_weights();
    run(state, sizeof(float),
        [&] { limits::use(quantize_packed<S>(matrix_view<const float>{w.data(), rows, cols})); });
}

template <class S>
void dequantize_rows(benchmark::State& state) {
    const auto w = some_weights();
    const auto q = quantize<S>(matrix_view<const float>{w.data(), rows, cols});
    std::vector<float> out(elements);
    run(state, sizeof(float), [&] { dequantize(q, matrix_view<float>{out.data(), rows, cols}); });
}

template <class S>
void dequantize_panels(benchmark::State& state) {
    const auto w = some_weights();
    const auto p = quantize_packed<S>(matrix_view<const float>{w.data(), rows, cols});
    std::vector<float> out(elements);
    run(state, sizeof(float), [&] { dequantize(p, matrix_view<float>{out.data(), rows, cols}); });
}

template <class S>
void pack_rows(benchmark::State& state) {
    const auto w = some_weights();
    const auto q = quantize<S>(matrix_view<const float>{w.data(), rows, cols});
    auto p = pack(q);
    run(state, 1, [&] { pack_into(q, p.mutable_bytes()); });
}

template <class S>
void unpack_rows(benchmark::State& state) {
    const auto w = some_weights();
    const auto p = quantize_packed<S>(matrix_view<const float>{w.data(), rows, cols});
    run(state, 1, [&] { limits::use(unpack(p)); });
}

template <class S>
void add(const char* name, void (*f)(benchmark::State&)) {
    const std::string title = std::string(name) + " / " + to_string(describe<S>());
    benchmark::RegisterBenchmark(title.c_str(), f)->UseManualTime()->MinTime(0.2);
}

template <class S>
void add_all() {
    add<S>("quantize", quantize_rows<S>);
    add<S>("quantize_packed", quantize_to_panels<S>);
    add<S>("dequantize", dequantize_rows<S>);
    add<S>("dequantize packed", dequantize_panels<S>);
}

template <int... B>
void add_packing(std::integer_sequence<int, B...>) {
    (add<scheme<int_code<B + 1>, symmetric, group_wise<32>, fp16>>(
         "pack", pack_rows<scheme<int_code<B + 1>, symmetric, group_wise<32>, fp16>>),
     ...);
    (add<scheme<int_code<B + 1>, symmetric, group_wise<32>, fp16>>(
         "unpack", unpack_rows<scheme<int_code<B + 1>, symmetric, group_wise<32>, fp16>>),
     ...);
}

} // namespace

int main(int argc, char** argv) {
#if defined(__GLIBC__)
    mallopt(M_MMAP_THRESHOLD, 1 << 28);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
    add_all<scheme<int8, symmetric, group_wise<32>, fp16>>();
    add_all<scheme<int8, symmetric, group_wise<32>, float>>();
    add_all<scheme<int4, symmetric, group_wise<32>, fp16>>();
    add_all<scheme<int4, symmetric, group_wise<32>, float>>();
    add_all<scheme<int4, asymmetric, group_wise<32>, fp16>>();
    add_all<scheme<int4, asymmetric_min, group_wise<32>, fp16>>();
    add_all<scheme<int2, midrise, group_wise<64>, bf16>>();
    add_all<scheme<int8, symmetric, per_channel, float>>();
    add_packing(std::make_integer_sequence<int, 8>{});
    benchmark::Initialize(&argc, argv);
    benchmark::AddCustomContext("L2 read, GB/s", std::to_string(l2_bandwidth() * 1e-9));
    benchmark::RunSpecifiedBenchmarks();
}
