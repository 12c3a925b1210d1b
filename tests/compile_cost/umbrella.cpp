#include <quant/quant.hpp>
