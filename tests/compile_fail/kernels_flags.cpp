// expect-error: the compile flags allow another instruction set than the one that
#define QUANT_KERNELS_ISA avx512vnni
#include <quant/dispatch.hpp>

struct kernels {
    void (*run)();
};
static void run() {}
QUANT_KERNELS(kernels, run);
