#include "quantize_to_impl.hpp"

namespace quantizer {

template struct quantize_to<type::q2_k>;
template struct quantize_to<type::q3_k>;
template struct quantize_to<type::q5_k>;
template struct quantize_to<type::q6_k>;

} // namespace quantizer
