// benchmark.quant: every case of the registry as a benchmark of Google Benchmark.
//
//     benchmark.quant [--quick] [--seconds=S] [--benchmark_filter=REGEX] [--benchmark_out=FILE]
//
// The counters of each: best and median rate; the limit's rate; percent of the limit, best and
// median; the target, if this build has one. The label says what the rate and the limit are.
#include "measure.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <string>

namespace {

const char* name_of(bench::limit which) {
    switch (which) {
    case bench::limit::none: return "none";
    case bench::limit::dot_product: return "dot_product";
    case bench::limit::bf16_dot_product: return "bf16_dot_product";
    case bench::limit::multiply_add: return "multiply_add";
    case bench::limit::stream: return "stream";
    case bench::limit::dot_or_stream: return "dot_or_stream";
    case bench::limit::l2_read: return "l2_read";
    case bench::limit::absolute: return "absolute";
    case bench::limit::other_case: return "other_case";
    case bench::limit::rise: return "rise";
    }
    return "";
}

/// A family and, once one of its cases was asked for, what was measured.
struct lazy_family {
    bench::family what;
    std::vector<bench::outcome> outcomes;
};

void report(benchmark::State& state, const std::shared_ptr<lazy_family>& family, std::size_t index,
            const bench::options& wanted) {
    if (family->outcomes.empty()) family->outcomes = bench::measure(family->what, wanted);
    const bench::one_case& c = family->what.cases[index];
    const bench::outcome& own = family->outcomes[index];
    if (!own.measured) {
        state.SkipWithError("needs more cores than this process may use");
        return;
    }
    for (auto _ : state) state.SetIterationTime(own.best > 0 && c.work > 0 ? c.work / own.best : 0);
    constexpr double giga = 1e-9;
    auto& counters = state.counters;
    if (own.best > 0) {
        counters["best"] = giga * own.best;
        counters["median"] = giga * own.median;
    }
    if (c.against != bench::limit::none) {
        if (own.limit > 0) counters["limit"] = giga * own.limit;
        counters["percent"] = own.percent;
        counters["percent_median"] = own.percent_median;
    }
    if (own.stream > 0) counters["stream"] = giga * own.stream;
    if (c.work_per_byte > 0) counters["work_per_byte"] = c.work_per_byte;
    if (c.target.here() > 0) counters["target"] = c.target.here();
    if (own.repetitions > 0) counters["samples"] = static_cast<double>(own.repetitions);
    state.SetLabel(bench::joined({c.unit, " vs ", name_of(c.against)}));
}

/// Takes our own options out of the arguments.
bench::options take_options(int& argc, char** argv) {
    bench::options wanted;
    int kept = 1;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--quick") {
            wanted.seconds = wanted.most_seconds = 0.03;
            wanted.repetitions = 2;
        } else if (word.rfind("--seconds=", 0) == 0) {
            wanted.seconds = std::atof(word.c_str() + 10);
            wanted.most_seconds = 6 * wanted.seconds;
            if (wanted.seconds < 0.1) wanted.repetitions = 3;
        } else {
            argv[kept++] = argv[i];
        }
    }
    argc = kept;
    return wanted;
}

std::string compiler() {
#if defined(__clang__)
    return bench::joined(
        {"clang ", std::to_string(__clang_major__), ".", std::to_string(__clang_minor__)});
#elif defined(__GNUC__)
    return bench::joined({"g++ ", std::to_string(__GNUC__), ".", std::to_string(__GNUC_MINOR__)});
#else
    return "unknown";
#endif
}

std::string kibibytes(std::size_t bytes) {
    return bench::joined({std::to_string(bytes >> 10), " KiB"});
}

} // namespace

int main(int argc, char** argv) {
    const bench::options wanted = take_options(argc, argv);
    auto& families = bench::registry::instance().families();
    std::sort(families.begin(), families.end(), [](const auto& a, const auto& b) {
        const bool a_is_limit = a.name.rfind("limits/", 0) == 0;
        const bool b_is_limit = b.name.rfind("limits/", 0) == 0;
        return a_is_limit != b_is_limit ? a_is_limit : a.name < b.name; // in no linker's order
    });
    for (bench::family& family : families) {
        const auto shared = std::make_shared<lazy_family>();
        shared->what = std::move(family);
        for (std::size_t i = 0; i < shared->what.cases.size(); ++i) {
            const std::string name =
                bench::joined({shared->what.name, "/", shared->what.cases[i].name});
            benchmark::RegisterBenchmark(
                name.c_str(),
                [shared, i, wanted](benchmark::State& state) { report(state, shared, i, wanted); })
                ->Iterations(1)
                ->UseManualTime()
                ->Unit(benchmark::kMicrosecond);
        }
    }
    families.clear();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::AddCustomContext("instruction_set", quant::isa::current::name);
    benchmark::AddCustomContext("compiler", compiler());
    benchmark::AddCustomContext("dot_product", limits::dot_product_source());
    benchmark::AddCustomContext("cpu", limits::cpu_class());
    benchmark::AddCustomContext("l2", kibibytes(limits::cache_bytes(2)));
    benchmark::AddCustomContext("l3", kibibytes(limits::cache_bytes(3)));
    benchmark::AddCustomContext("cores", std::to_string(limits::usable_cores()));
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
