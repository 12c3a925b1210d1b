// expect-error: quant::thread_pool: QUANT_NO_THREADS leaves it out
#define QUANT_NO_THREADS
#include <quant/core/thread_pool.hpp>

int main() { quant::thread_pool pool(2); }
