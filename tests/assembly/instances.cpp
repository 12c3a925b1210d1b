// Kernels whose hot loops are compared with budgets.json; compiled for each instruction set, never
// run. Few of them: compilers take about a second for each.
#include <quant/quant.hpp>

#include <algorithm>
#include <cstddef>
#include <tuple>

namespace {

using namespace quant;

template <int Bits, std::size_t Group, class Mapping = symmetric>
using grouped = scheme<int_code<Bits>, Mapping, group_wise<Group>, fp16>;
template <int Bits>
using by_channel = scheme<int_code<Bits>, symmetric, per_channel, float>;

using per_token_int8 = activations::int8<per_token>;

/// Products of tiles of T tokens with as many panels as they meet.
template <class S, class A, std::size_t T>
constexpr auto tile = [] {
    constexpr std::size_t P = detail::tile_panels<S, A, T>;
    if constexpr (detail::takes_panels_in_turn<A, T>) {
        return &detail::multiply_tiles<S, A, T, P>;
    } else {
        return &detail::multiply_tile<S, A, T, P>;
    }
}();
template <class S, class A, std::size_t... T>
constexpr std::tuple tiles{tile<S, A, T>...};

/// Of as many tokens as fill the registers; and of one token, or four, too.
template <class S, class A = per_token_int8>
constexpr auto largest = tiles<S, A, detail::tile_tokens<A>>;
template <class S>
constexpr auto one_and_largest = tiles<S, per_token_int8, 1, detail::tile_tokens<per_token_int8>>;
template <class S>
constexpr auto four =
    tiles<S, per_token_int8, std::min<std::size_t>(4, detail::tile_tokens<per_token_int8>)>;

/// Products of P panels of a stretch of levels, decoded from any scheme like S.
template <class S, class A, std::size_t P = detail::float_panels>
constexpr std::tuple stretch{
    &detail::multiply_stretch<A, detail::has_long_steps<S, A>, S::has_minimum,
                              detail::tile_tokens<A>, P, 0, detail::float_panels>};

template <class A>
constexpr auto float_kernels =
    std::tuple_cat(tiles<grouped<4, 32>, A, 1>, stretch<grouped<4, 32>, A>,
                   stretch<grouped<4, 32>, A, std::min<std::size_t>(2, detail::float_panels)>,
                   stretch<grouped<4, 32, asymmetric_min>, A>, stretch<by_channel<8>, A>);

/// Products of P panels' operands that are made ahead, of any scheme like S; where they are.
template <class S, class A = per_token_int8, std::size_t P = detail::stretch_panels>
constexpr auto ahead = [] {
    if constexpr (detail::least_tiles_ahead<S, A> != 0) {
        return std::tuple(
            &detail::multiply_operands<A, detail::shape_of<S, A>, detail::tile_tokens<A>, P,
                                       0>);
    } else {
        return std::tuple<>();
    }
}();

/// Products of tiles of AMX, where builds have them.
template <class S, class A = per_token_int8>
constexpr auto by_amx = [] {
    if constexpr (detail::takes_rows<A, detail::product_plan<S, A>::section,
                                     detail::product_plan<S, A>::block>) {
        constexpr bool in_place = detail::operands_in_place<S>;
        return std::tuple(&detail::multiply_amx<A, detail::amx_shape_of<S, A, in_place>>);
    } else {
        return std::tuple<>();
    }
}();

// What every instruction set is asked for; compilers take long over registers of 128 bits.
[[gnu::used]] constexpr auto few =
    std::tuple_cat(one_and_largest<grouped<3, 64>>, one_and_largest<by_channel<8>>,
                   one_and_largest<grouped<4, 32>>, one_and_largest<grouped<4, 32, asymmetric_min>>,
                   float_kernels<activations::fp32>);

#if !defined(QUANT_FEW_INSTANCES)
[[gnu::used]] constexpr auto others = std::tuple_cat(
    four<by_channel<8>>, four<grouped<4, 32>>, largest<grouped<1, 64, midrise>>,
    largest<grouped<2, 64>>, largest<grouped<5, 64>>, largest<grouped<6, 64>>,
    largest<grouped<4, 32, asymmetric>>,
    largest<grouped<4, 32>, default_activations<grouped<4, 32>>>,
    largest<grouped<4, 32>, activations::int16>, float_kernels<activations::bf16>,
    ahead<by_channel<8>>, ahead<grouped<3, 64>>,
    ahead<grouped<7, 64>, per_token_int8, 2>, ahead<grouped<6, 64, asymmetric_min>>,
    ahead<grouped<4, 128, asymmetric>>, ahead<grouped<4, 32>, activations::int16>,
    ahead<grouped<8, 64>, activations::int8<group_wise<64>>>,
    by_amx<by_channel<8>>, by_amx<by_channel<4>>, by_amx<grouped<4, 128>>,
    by_amx<grouped<4, 32, asymmetric_min>, default_activations<grouped<4, 32>>>,
    by_amx<grouped<4, 64>, activations::int16>);
#endif

} // namespace
