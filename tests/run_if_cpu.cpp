// run_if_cpu ISA -- PROGRAM ARGUMENT...
//
// Runs the program if the CPU, and the operating system for the wide registers, have the
// instruction set. Otherwise says so and returns 4, as Catch2 does if all tests are skipped.
// Compiled for the baseline, so that it runs where the program would not.
#include <unistd.h>

#include <quant/simd/cpu.hpp>

#include <cstdio>
#include <optional>
#include <string_view>

namespace {

constexpr int exit_usage = 2;
constexpr int exit_skip = 4;

std::optional<quant::instruction_set> look_up(std::string_view name) {
    for (int i = 0; i <= static_cast<int>(quant::instruction_set::neon_i8mm_bf16); ++i) {
        const auto isa = static_cast<quant::instruction_set>(i);
        if (name == to_string(isa)) return isa;
    }
    return std::nullopt;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 4 || std::string_view(argv[2]) != "--") {
        std::fprintf(stderr, "usage: run_if_cpu ISA -- PROGRAM ARGUMENT...\n");
        return exit_usage;
    }
    const auto isa = look_up(argv[1]);
    if (!isa) {
        std::fprintf(stderr, "run_if_cpu: unknown instruction set %s\n", argv[1]);
        return exit_usage;
    }
    if (!quant::cpu_has(*isa)) {
        std::printf("skipped: this CPU lacks %s\n", argv[1]);
        return exit_skip;
    }
    std::fflush(nullptr);
    execv(argv[3], argv + 3);
    std::perror(argv[3]);
    return exit_usage;
}
