// expect-error: cannot (convert|initialize)|invalid conversion
#define QUANT_KERNELS_ISA generic
#include <quant/dispatch.hpp>

struct kernels {
    void (*run)(int);
};
static void run(float*) {}
QUANT_KERNELS(kernels, run);
