#include "quantize_to_impl.hpp"

namespace quantizer {

template struct quantize_to<type::q5_k>;
template struct quantize_to<type::q6_k>;
template struct quantize_to<type::iq4_xs>;

} // namespace quantizer
