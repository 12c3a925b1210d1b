// expect-error: missing (initializer for member .*product|field 'product' initializer)
#if defined(__x86_64__)
#define QUANT_KERNELS_ISA sse2
#elif defined(__aarch64__)
#define QUANT_KERNELS_ISA neon
#else
#define QUANT_KERNELS_ISA generic
#endif
#include <quant/dispatch.hpp>

struct kernels {
    int (*sum)();
    int (*product)();
};
static int sum() { return 0; }
QUANT_KERNELS(kernels, sum);
