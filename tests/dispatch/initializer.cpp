// What kernels must not have: code that runs when the program starts.
#include <cstdlib>

const char* home = std::getenv("HOME");
