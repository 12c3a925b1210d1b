// expect-error: quant: min and max are macros; define NOMINMAX before windows.h is included
#define min(a, b) ((a) < (b) ? (a) : (b))
#include <quant/core/config.hpp>

int main() { return 0; }
