#include "limits.hpp"

#include "huge_memory.hpp"
#include "peaks/peaks.hpp"
#include "registry.hpp"

#include <quant/quant.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>
#include <thread>
#include <utility>

#if defined(__linux__)
#include <sched.h>
#include <time.h>
#include <unistd.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace limits {
namespace {

/// A register of this build, in the compilers' own vector type: no limit depends on the library.
template <class T>
using native [[gnu::vector_size(quant::isa::current::vector_bytes)]] = T;

constexpr int rounds = 1 << 12;

/// The same value, of which the compiler knows nothing any more.
template <class V>
V opaque(V value) {
    asm volatile("" : "+m"(value));
    return value;
}

/// sums[i] ← step(sums[i]), all at once, `rounds` times, on registers.
template <class V, class Step, std::size_t... I>
double operations_of_chains(V start, const Step& step, double operations,
                            std::index_sequence<I...>) {
    V sums[] = {((void)I, opaque(start))...}; // equal ones would be computed once
    const double seconds = seconds_of([&] {
        for (int r = 0; r < rounds; ++r) {
            ((sums[I] = step(sums[I])), ...);
            asm volatile("" : "+r"(r)); // rounds stay apart
        }
    });
    // Not by the array's address: the sums would live in memory.
    V total = start;
    ((total += sums[I]), ...);
    asm volatile("" : : "m"(total));
    return operations * rounds * sizeof...(I) / seconds;
}

// Latency 4 or 5 times two instructions per cycle, within the registers that there are.
constexpr std::size_t chains = quant::isa::current::registers >= 32 ? 12 : 10;

double multiply_add() {
    const native<float> f = opaque(native<float>{} + 0.5f);
    return operations_of_chains(
        f, [f](native<float> sum) { return sum * f + f; }, 2.0 * sizeof(f) / 4,
        std::make_index_sequence<chains>{});
}

/// The dot product that this build has in place of vpdpbusd zmm; 0 if none is known here.
double own_dot_product() {
#if defined(__AVX512BW__) && !defined(__AVX512VNNI__)
    const __m512i codes = _mm512_set1_epi32(0x01020304), one = _mm512_set1_epi16(1);
    const auto step = [=](__m512i sum) {
        __m512i c = codes;
        asm volatile("" : "+v"(c)); // not the same product each time
        return _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(c, codes), one));
    };
    return operations_of_chains(codes, step, 128, std::make_index_sequence<chains>{});
#elif defined(__AVX2__) && !defined(__AVX512VNNI__)
    const __m256i codes = _mm256_set1_epi32(0x01020304), one = _mm256_set1_epi16(1);
    const auto step = [=](__m256i sum) {
        __m256i c = codes;
        asm volatile("" : "+x"(c));
        return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(c, codes), one));
    };
    return operations_of_chains(codes, step, 64, std::make_index_sequence<chains>{});
#elif defined(__ARM_FEATURE_DOTPROD)
    const int8x16_t codes = vdupq_n_s8(1);
    const auto step = [=](int32x4_t sum) { return vdotq_s32(sum, codes, codes); };
    return operations_of_chains(vdupq_n_s32(0), step, 32, std::make_index_sequence<chains>{});
#elif defined(__x86_64__) && defined(__AVX512VNNI__)
    return best(peak::dot_product);
#else
    return 0;
#endif
}

#if defined(__x86_64__)
/// The instruction with 512 bits.
bool has_vpdpbusd() { return __builtin_cpu_supports("avx512vnni") != 0; }

template <class F>
double operations_of_loop(F&& loop, double operations) {
    return operations * rounds * peaks::chains / seconds_of([&] { loop(rounds); });
}
#endif

/// Tiles of AMX multiplied with one another, two operands of 16 quads; 0 without it, or in builds
/// that do not use it.
double amx_products() {
#if QUANT_DETAIL_AMX
    namespace amx = quant::simd::amx;
    if (!amx::available()) return 0;
    const amx::registers_in_use registers(amx::register_rows);
    constexpr double operations = 2.0 * 16 * 16 * 64;
    constexpr int few = rounds / 16;
    const double seconds = seconds_of([] {
        for (int r = 0; r < few; ++r) {
            amx::multiply<0, amx::tokens_16, amx::weights_16, true>();
            amx::multiply<1, amx::tokens_16, amx::weights_16, true>();
            amx::multiply<2, amx::tokens_16, amx::weights_16, true>();
            amx::multiply<3, amx::tokens_16, amx::weights_16, true>();
        }
    });
    return operations * few * 4 / seconds;
#else
    return 0;
#endif
}

double& best_of(peak which) {
    static std::array<double, static_cast<std::size_t>(peak::count)> all{};
    return all[static_cast<std::size_t>(which)];
}

double run_loop(peak which) {
    switch (which) {
    case peak::dot_product:
#if defined(__x86_64__)
        if (has_vpdpbusd()) return operations_of_loop(peaks::vpdpbusd, 128);
#if defined(__FMA__)
        return 4 * multiply_add();
#endif
#endif
        return own_dot_product();
    case peak::own_dot_product: return own_dot_product();
    case peak::amx_products: return amx_products();
    case peak::bf16_dot_product:
#if defined(__x86_64__)
        if (__builtin_cpu_supports("avx512bf16")) return operations_of_loop(peaks::vdpbf16ps, 64);
#endif
        return multiply_add();
    default: return multiply_add();
    }
}

} // namespace

const char* dot_product_source() {
#if defined(__x86_64__)
    if (has_vpdpbusd()) return "vpdpbusd";
#if defined(__FMA__)
    return "4 x multiply_add, as this CPU lacks vpdpbusd";
#endif
#endif
    return "own_dot_product";
}

double thread_seconds() {
#if defined(__linux__)
    timespec now{};
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0) {
        return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
    }
#endif
    return 0;
}

double run(peak which) {
    const double rate = run_loop(which);
    best_of(which) = std::max(best_of(which), rate);
    return rate;
}

double best(peak which) {
    if (best_of(which) == 0) {
        for (int i = 0; i < 500; ++i) run(which);
    }
    return best_of(which);
}

double read(std::span<const std::byte> memory) {
    using words = native<std::uint32_t>;
    constexpr std::size_t n = 256 / sizeof(words), unrolled = n < 8 ? n : 8;
    constexpr std::size_t stride = unrolled * sizeof(words);
    words sums[unrolled] = {};
    const std::byte* from = memory.data();
    const double seconds = seconds_of([&] {
        for (std::size_t at = 0; at + stride <= memory.size(); at += stride) {
            for (std::size_t i = 0; i < unrolled; ++i) {
                words loaded;
                std::memcpy(&loaded, from + at + i * sizeof(words), sizeof loaded);
                sums[i] ^= loaded;
            }
#if defined(__clang__)
            // Else it reads from two strides in turns, and gets a third less from memory.
            asm volatile("" : : : "memory");
#endif
        }
        asm volatile("" : : "g"(&sums[0]) : "memory");
    });
    return seconds;
}

double read_bandwidth(std::size_t size, double seconds) {
    static std::map<std::size_t, double> best_rates;
    const huge_memory memory(size);
    std::memset(memory.data(), 1, size);
    double& best = best_rates[size];
    for (double spent = 0; spent < seconds;) {
        const int passes = size < (1u << 22) ? 16 : 1;
        double taken = 0;
        for (int i = 0; i < passes; ++i) taken += read({memory.data(), size});
        best = std::max(best, static_cast<double>(size) * passes / taken);
        spent += taken;
    }
    return best;
}

double l2_read() { return read_bandwidth(cache_bytes(2) / 2, 0.0002); }

std::size_t cache_bytes(int level) {
#if defined(__linux__)
    // Before sysconf, which tells the L3 of a whole socket even to a few cores of it.
    const std::string index = std::to_string(level);
    std::ifstream from(bench::joined({"/sys/devices/system/cpu/cpu0/cache/index", index, "/size"}));
    std::size_t kibibytes = 0;
    if (from >> kibibytes) return kibibytes << 10;
#endif
#if defined(_SC_LEVEL2_CACHE_SIZE) && defined(_SC_LEVEL3_CACHE_SIZE)
    const long known = sysconf(level == 2 ? _SC_LEVEL2_CACHE_SIZE : _SC_LEVEL3_CACHE_SIZE);
    if (known > 0) return static_cast<std::size_t>(known);
#endif
    return level == 2 ? std::size_t{1} << 20 : std::size_t{16} << 20;
}

std::string cpu_class() {
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(0, &a, &b, &c, &d) == 0) return "unknown";
    char vendor[13] = {};
    std::memcpy(vendor, &b, 4);
    std::memcpy(vendor + 4, &d, 4);
    std::memcpy(vendor + 8, &c, 4);
    __get_cpuid(1, &a, &b, &c, &d);
    const unsigned base = a >> 8 & 0xF, family = base == 0xF ? base + (a >> 20 & 0xFF) : base;
    const unsigned model = (a >> 4 & 0xF) | (a >> 12 & 0xF0);
    return bench::joined(
        {vendor, " family ", std::to_string(family), " model ", std::to_string(model)});
#elif defined(__aarch64__)
    return "AArch64";
#else
    return "unknown";
#endif
}

unsigned usable_cores() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(CPU_COUNT(&set));
#endif
    return std::max(1u, std::thread::hardware_concurrency());
}

namespace {

/// The limits as figures of their own.
const bench::registration here([](bench::registry& to) {
    const auto add = [&](const std::string& name, const char* unit, std::function<double()> rate) {
        to.add({.name = bench::joined({"limits/", name}),
                .cases = {{.name = "one_thread", .unit = unit, .figure = std::move(rate)}},
                .prepare = [] { return bench::prepared{.calls = {{}}}; }});
    };
    constexpr std::pair<const char*, peak> loops[] = {{"dot_product", peak::dot_product},
                                                      {"own_dot_product", peak::own_dot_product},
                                                      {"bf16_dot_product", peak::bf16_dot_product},
                                                      {"multiply_add", peak::multiply_add}};
    for (const auto& [name, which] : loops) add(name, "GOPS", [w = which] { return best(w); });
    if (quant::simd::amx::available()) {
        add("amx_products", "GOPS", [] { return best(peak::amx_products); });
    }
    add("l2_read", "GB/s", [] { return read_bandwidth(cache_bytes(2) / 2, 0.3); });
    add("l3_read", "GB/s", [] { return read_bandwidth(cache_bytes(3) / 4, 0.3); });
    add("dram_read", "GB/s", [] { return read_bandwidth(std::size_t{320} << 20, 0.5); });
});

} // namespace
} // namespace limits
