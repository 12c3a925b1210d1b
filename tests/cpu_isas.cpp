// Prints the instruction sets of this CPU, separated by semicolons, in ascending order.
#include <quant/simd/cpu.hpp>

#include <cstdio>

int main() {
    const char* separator = "";
    for (int i = 0; i <= static_cast<int>(quant::instruction_set::neon_i8mm_bf16); ++i) {
        const auto isa = static_cast<quant::instruction_set>(i);
        if (!quant::cpu_has(isa)) continue;
        std::printf("%s%s", separator, to_string(isa));
        separator = ";";
    }
}
