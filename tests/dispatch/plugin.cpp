// A library that is loaded at run time: all that it is linked from must be position-independent.
#include "report.hpp"

extern "C" int plugin() { return report_nx(); }
