// matmul: y[tokens × out] = x[tokens × in] · wᵀ with quantized weights.
#pragma once

#include <quant/kernel/arguments.hpp>
#include <quant/kernel/epilogue.hpp>
#include <quant/kernel/multiply.hpp>
#include <quant/kernel/packed_activations.hpp>
#include <quant/kernel/prologue.hpp>
#include <quant/kernel/scratch_bytes.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <tuple>
#include <type_traits>

namespace quant::inline QUANT_ABI {

/// Stands for default_activations of the weights' scheme.
struct automatic {};

namespace detail {

template <class T>
inline constexpr bool is_matrix_view = false;
template <class T>
inline constexpr bool is_matrix_view<matrix_view<T>> = true;

template <class T>
inline constexpr bool is_packed_activations = false;
template <class A, std::size_t Section, std::size_t Block>
inline constexpr bool is_packed_activations<packed_activations<A, Section, Block>> = true;

/// What may follow x, w and y: an executor, a scratch, prologue and epilogue stages.
template <class T>
concept product_argument =
    executor<T> || scratch_argument<T> || prologue_stage<std::remove_cvref_t<T>> ||
    epilogue_stage<std::remove_cvref_t<T>> ||
    std::same_as<std::remove_cvref_t<T>, epilogue::accumulate>;

/// Checks shapes and epilogues of a product whose operands are valid by themselves.
template <quantization_scheme S, class Y, class... Stages>
[[nodiscard]] result<void> check_product(std::size_t tokens, std::size_t cols,
                                         const packed_view<S>& w, const matrix_view<Y>& y,
                                         const std::tuple<const Stages&...>& stages) noexcept {
    if (w.rows() == 0 || w.cols() == 0) {
        return error(errc::empty, "matmul: w", "the weights have no elements");
    }
    if (w.panels() == nullptr) return error(errc::null_data, "matmul: w", "null pointer");
    if (cols != w.cols()) {
        return make_error(errc::shape_mismatch, "matmul: x", "%zu columns, w has %zu", cols,
                          w.cols());
    }
    if (auto valid = check_writable(y, "matmul: y"); !valid) return valid;
    if (y.rows() != tokens || y.cols() != w.rows()) {
        return make_error(errc::shape_mismatch, "matmul: y",
                          "%zu x %zu, but x has %zu rows and w has %zu", y.rows(), y.cols(), tokens,
                          w.rows());
    }
    result<void> outcome;
    std::apply(
        [&](const auto&... stage) {
            static_cast<void>(((outcome = stage.check(tokens, w.rows())).has_value() && ...));
        },
        stages);
    return outcome;
}

/// The stage that an argument stands for; `previous` is what accumulate adds.
template <class Arg, class Previous>
[[nodiscard]] auto stage_or_nothing(const Arg& arg, const Previous& previous) noexcept {
    if constexpr (std::is_same_v<Arg, epilogue::accumulate>) {
        return std::tuple<const Previous&>(previous);
    } else if constexpr (epilogue_stage<Arg>) {
        return std::tuple<const Arg&>(arg);
    } else {
        return std::tuple<>();
    }
}

template <class A, class S>
using chosen_activations =
    std::conditional_t<std::is_same_v<A, automatic>, default_activations<S>, A>;

template <class A, quantization_scheme S, class X, class Y, class... Args>
[[nodiscard]] result<void> dispatch_product(const X& x, packed_view<S> w, matrix_view<Y> y,
                                            Args&... args) noexcept {
    static_assert(!std::is_const_v<Y>, "quant::matmul: the output view's elements are const");
    auto& run = find_executor(args...);
    const epilogue::residual<Y> previous(y);
    const auto stages = std::tuple_cat(stage_or_nothing(args, previous)...);
    if constexpr (is_packed_activations<X>) {
        static_cast<void>(find_scratch(args...)); // one at most; there is nothing to put in it
        static_assert(!(prologue_stage<Args> || ...),
                      "quant::matmul: x is packed already; give prologues to pack_activations");
        using packed = typename X::activation_type;
        static_assert(std::is_same_v<A, automatic> || std::is_same_v<A, packed>,
                      "quant::matmul: the activations were packed as another type");
        using plan = product_plan<S, packed>;
        static_assert(plan::fits, "quant::matmul: an activation group and a weight group must "
                                  "divide one another, in whole quads of columns");
        static_assert(plan::section == X::section && plan::block == X::block,
                      "quant::matmul: these activations were packed for other groups; use "
                      "pack_activations<A, S>(x) with the weights' scheme S");
        if (x.rows() == 0) return error(errc::empty, "matmul: x", "no packed activations");
        if (auto valid = check_product(x.rows(), x.cols(), w, y, stages); !valid) return valid;
        return multiply(x.view(), w, y, run, stages);
    } else {
        using chosen = chosen_activations<A, S>;
        static_assert(activation<chosen>, "quant::matmul: the template argument must be an "
                                          "activation, such as quant::activations::fp32");
        static_assert(product_plan<S, chosen>::fits,
                      "quant::matmul: an activation group and a weight group must divide one "
                      "another, in whole quads of columns");
        if (auto valid = check_readable(x, "matmul: x"); !valid) return valid;
        if (auto valid = check_product(x.rows(), x.cols(), w, y, stages); !valid) return valid;
        // Allocating would take as long as the smallest products.
        alignas(scratch_alignment) std::byte few[small_scratch_bytes];
        const scratch small{std::span(few)};
        const scratch* memory = find_scratch(args...);
        if (memory == nullptr &&
            fits_small_scratch<tiles_for<S, chosen>>(x.rows(), x.cols(), concurrency_of(run))) {
            memory = &small;
        }
        auto packed = activations_for<S, chosen>::try_from(x, run, find_prologue(args...), memory,
                                                           rows_rule_of<chosen, S>);
        if (!packed) return packed.failure();
        return multiply(packed->view(), w, y, run, stages);
    }
}

} // namespace detail

/// y[tokens × out] = x[tokens × in] · wᵀ, with packed weights w (out × in).
///
/// x is quantized to activations A on the way (default: default_activations of the scheme), or
/// comes from pack_activations. Arguments after y, in any order: one executor; one scratch, with
/// which nothing is allocated (see scratch_bytes); prologue stages, applied to each row of x before
/// it is quantized; epilogue stages, applied to y; each in the order given. Weights and outputs are
/// not copied; x, y and the scratch must not overlap.
///
/// Integer activations: the integer sums are exact and the float steps follow one order per
/// output (kernel/tile.hpp), so that results have the same bits whatever the batch, the executor
/// and, with fused multiply-add, the instruction set; docs/maths.md gives the error bound. A row of
/// x with NaN or infinity gives a row of NaN in y and leaves the others alone.
///
/// @param x  tokens × in, float, fp16 or bf16, any strides; or packed_activations
/// @param w  packed_matrix or packed_view
/// @param y  tokens × out, float, fp16 or bf16, columns side by side
///
/// Errors: empty, null_data, shape_mismatch, invalid_stride, size_overflow, out_of_memory (the
/// quantized activations), invalid_argument (a scratch that is too small), executor_failed; those
/// of the stages. On an error y is unspecified.
/// Complexity: tokens · in · out multiply-adds.
template <class A = automatic, class X, quantization_scheme S, real_element Y, class... Args>
    requires((detail::is_matrix_view<X> || detail::is_packed_activations<X>) &&
             (detail::product_argument<Args> && ...))
[[nodiscard]] result<void> try_matmul(const X& x, packed_view<S> w, matrix_view<Y> y,
                                      Args&&... args) noexcept {
    return detail::dispatch_product<A>(x, w, y, args...);
}
/// @copydoc try_matmul
template <class A = automatic, class X, quantization_scheme S, real_element Y, class... Args>
    requires((detail::is_matrix_view<X> || detail::is_packed_activations<X>) &&
             (detail::product_argument<Args> && ...))
[[nodiscard]] result<void> try_matmul(const X& x, const packed_matrix<S>& w, matrix_view<Y> y,
                                      Args&&... args) noexcept {
    return detail::dispatch_product<A>(x, w.view(), y, args...);
}

#if QUANT_HAS_EXCEPTIONS
/// As try_matmul. @throws quant::error
template <class A = automatic, class X, class W, real_element Y, class... Args>
    requires requires(const X& x, const W& w, matrix_view<Y> y, Args&&... args) {
        try_matmul<A>(x, w, y, args...);
    }
void matmul(const X& x, const W& w, matrix_view<Y> y, Args&&... args) {
    try_matmul<A>(x, w, y, args...).value();
}
#endif

} // namespace quant::inline QUANT_ABI
