// Products whose hot loops are compared with budgets.json; compiled for each instruction set, never
// run. Exported functions, so that no compiler drops them.
#include <quant/quant.hpp>

namespace {

using namespace quant;

template <int Bits, std::size_t Group, class Mapping = symmetric>
using grouped = scheme<int_code<Bits>, Mapping, group_wise<Group>, fp16>;
template <int Bits>
using by_channel = scheme<int_code<Bits>, symmetric, per_channel, float>;

using per_token_int8 = quant::activations::int8<per_token>;

template <class S, class A = per_token_int8>
bool product(const matrix_view<const float>& x, const void* w, const matrix_view<float>& y) {
    return try_matmul<A>(x, *static_cast<const packed_matrix<S>*>(w), y).has_value();
}

} // namespace

#define INSTANCE(name, ...) \
    extern bool name(const matrix_view<const float>&, const void*, const matrix_view<float>&); \
    bool name(const matrix_view<const float>& x, const void* w, const matrix_view<float>& y) { \
        return product<__VA_ARGS__>(x, w, y); \
    }

// What every instruction set is asked for; compilers take long over registers of 128 bits.
INSTANCE(w2_g64, grouped<2, 64>)
INSTANCE(w3_g64, grouped<3, 64>)
INSTANCE(w8_channel, by_channel<8>)
INSTANCE(w4_channel, by_channel<4>)
INSTANCE(w4_g32, grouped<4, 32>)
INSTANCE(w4_g32_minimum, grouped<4, 32, asymmetric_min>)
INSTANCE(w4_g32_x_fp32, grouped<4, 32>, quant::activations::fp32)

#if !defined(QUANT_FEW_INSTANCES)
// The other widths.
INSTANCE(w1_g64, grouped<1, 64, midrise>)
INSTANCE(w4_g64, grouped<4, 64>)
INSTANCE(w5_g64, grouped<5, 64>)
INSTANCE(w6_g64, grouped<6, 64>)
INSTANCE(w7_g64, grouped<7, 64>)
INSTANCE(w8_g64, grouped<8, 64>)
// Other groups, zero points.
INSTANCE(w4_g128, grouped<4, 128>)
INSTANCE(w8_g32, grouped<8, 32>)
INSTANCE(w4_g32_zero_point, grouped<4, 32, asymmetric>)
// Other activations.
INSTANCE(w4_g32_x_g32, grouped<4, 32>, default_activations<grouped<4, 32>>)
INSTANCE(w4_g32_x_int16, grouped<4, 32>, quant::activations::int16)
INSTANCE(w4_g32_x_bf16, grouped<4, 32>, quant::activations::bf16)
#endif
