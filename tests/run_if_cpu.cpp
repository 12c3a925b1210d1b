// run_if_cpu FEATURE... -- PROGRAM ARGUMENT...
//
// Runs the program if the CPU, and the operating system for the wide registers, have all features.
// Otherwise says what is missing and returns 4, as Catch2 does if all tests are skipped. Compiled
// for the baseline, so that it runs where the program would not.
#include <unistd.h>

#include <cstdio>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace {

constexpr int exit_usage = 2;
constexpr int exit_skip = 4;

enum class answer { yes, no, unknown_name };

#if defined(__x86_64__)

enum class reg { eax, ebx, ecx, edx };

struct feature {
    std::string_view name;
    unsigned leaf;
    unsigned subleaf;
    reg where;
    unsigned bit;
    unsigned state; // bits of XCR0 that the operating system must have set
};

constexpr unsigned ymm_state = 0x06;
constexpr unsigned zmm_state = 0xe6;

constexpr feature features[] = {
    {"sse4.2", 1, 0, reg::ecx, 20, 0},
    {"fma", 1, 0, reg::ecx, 12, ymm_state},
    {"f16c", 1, 0, reg::ecx, 29, ymm_state},
    {"avx2", 7, 0, reg::ebx, 5, ymm_state},
    {"avxvnni", 7, 1, reg::eax, 4, ymm_state},
    {"avx512f", 7, 0, reg::ebx, 16, zmm_state},
    {"avx512dq", 7, 0, reg::ebx, 17, zmm_state},
    {"avx512ifma", 7, 0, reg::ebx, 21, zmm_state},
    {"avx512cd", 7, 0, reg::ebx, 28, zmm_state},
    {"avx512bw", 7, 0, reg::ebx, 30, zmm_state},
    {"avx512vl", 7, 0, reg::ebx, 31, zmm_state},
    {"avx512vbmi", 7, 0, reg::ecx, 1, zmm_state},
    {"avx512vbmi2", 7, 0, reg::ecx, 6, zmm_state},
    {"avx512vnni", 7, 0, reg::ecx, 11, zmm_state},
    {"avx512bf16", 7, 1, reg::eax, 5, zmm_state},
};

unsigned enabled_state() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    constexpr unsigned osxsave = 1u << 27;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & osxsave) == 0) return 0;
    asm("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return eax;
}

bool cpu_has(const feature& f) {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (f.subleaf != 0) { // the highest subleaf is in eax of subleaf 0
        if (__get_cpuid_count(f.leaf, 0, &eax, &ebx, &ecx, &edx) == 0 || eax < f.subleaf)
            return false;
    }
    if (__get_cpuid_count(f.leaf, f.subleaf, &eax, &ebx, &ecx, &edx) == 0) return false;
    const unsigned word = f.where == reg::eax   ? eax
                          : f.where == reg::ebx ? ebx
                          : f.where == reg::ecx ? ecx
                                                : edx;
    return ((word >> f.bit) & 1u) != 0 && (enabled_state() & f.state) == f.state;
}

answer look_up(std::string_view name) {
    for (const feature& f : features)
        if (f.name == name) return cpu_has(f) ? answer::yes : answer::no;
    return answer::unknown_name;
}

#else

answer look_up(std::string_view) { return answer::no; }

#endif

} // namespace

int main(int argc, char** argv) {
    bool missing = false;
    int i = 1;
    for (; i < argc && std::string_view(argv[i]) != "--"; ++i) {
        switch (look_up(argv[i])) {
        case answer::yes: break;
        case answer::no:
            std::printf("skipped: this CPU lacks %s\n", argv[i]);
            missing = true;
            break;
        case answer::unknown_name:
            std::fprintf(stderr, "run_if_cpu: unknown feature %s\n", argv[i]);
            return exit_usage;
        }
    }
    if (i + 1 >= argc) {
        std::fprintf(stderr, "usage: run_if_cpu FEATURE... -- PROGRAM ARGUMENT...\n");
        return exit_usage;
    }
    if (missing) return exit_skip;
    std::fflush(nullptr);
    execv(argv[i + 1], argv + i + 1);
    std::perror(argv[i + 1]);
    return exit_usage;
}
