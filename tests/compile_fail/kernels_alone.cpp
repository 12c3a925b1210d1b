// expect-error: QUANT_KERNELS belongs in a source of quant_add_kernels\(\)
#include <quant/dispatch.hpp>

struct kernels {
    void (*run)();
};
static void run() {}
QUANT_KERNELS(kernels, run);
