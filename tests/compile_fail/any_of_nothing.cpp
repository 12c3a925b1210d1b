// expect-error: quant::any_packed_matrix needs at least one scheme
#include <quant/quant.hpp>

quant::any_packed_matrix<> nothing;
