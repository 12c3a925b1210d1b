// Epilogues: what happens to each output between the product and its store.
//
// An epilogue is data; the product applies its stages in the order in which they are given, in
// float, before the result is rounded to the output's type.
#pragma once

#include <quant/core/executor.hpp>
#include <quant/core/matrix_view.hpp>
#include <quant/simd/convert.hpp>
#include <quant/simd/math.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Base of stages that nothing can be wrong with.
struct stage_without_operands : not_an_executor {
    [[nodiscard]] result<void> check(std::size_t /*tokens*/,
                                     std::size_t /*outputs*/) const noexcept {
        return {};
    }
};

/// Checks a tokens × outputs matrix that a stage reads.
template <class T>
[[nodiscard]] result<void> check_operand(const matrix_view<const T>& operand, std::size_t tokens,
                                         std::size_t outputs, const char* where) noexcept {
    if (auto valid = check_readable(operand, where); !valid) return valid;
    if (operand.rows() == tokens && operand.cols() == outputs) return {};
    return make_error(errc::shape_mismatch, where, "%zu x %zu for outputs of %zu x %zu",
                      operand.rows(), operand.cols(), tokens, outputs);
}

/// Elements (token, first … first + n − 1), n ≤ 16.
template <class T>
[[nodiscard]] simd::f32x16 load_operand(const matrix_view<const T>& operand, std::size_t token,
                                        std::size_t first, std::size_t n) noexcept {
    const T* from = operand.row(token) + first * operand.col_stride();
    if (n == 16 && operand.col_stride() == 1) return simd::load_as_float<T>(from);
    float elements[16] = {};
    for (std::size_t i = 0; i < n; ++i) {
        elements[i] = static_cast<float>(load_element(from + i * operand.col_stride()));
    }
    return simd::load<float>(elements);
}

} // namespace detail

namespace epilogue {

/// y += b, one number per output feature (row of the weights).
struct bias : not_an_executor {
    std::span<const float> values;

    explicit bias(std::span<const float> b) noexcept : values(b) {}

    [[nodiscard]] result<void> check(std::size_t /*tokens*/, std::size_t outputs) const noexcept {
        if (values.size() == outputs && values.data() != nullptr) return {};
        if (values.size() == outputs) {
            return error(errc::null_data, "matmul: epilogue::bias", "null pointer");
        }
        return detail::make_error(errc::shape_mismatch, "matmul: epilogue::bias",
                                  "%zu numbers for %zu outputs", values.size(), outputs);
    }
    [[nodiscard]] simd::f32x16 apply(const simd::f32x16& y, std::size_t /*token*/,
                                     std::size_t first, std::size_t n) const noexcept {
        return y + (n == 16 ? simd::load<float>(values.data() + first)
                            : simd::load_partial<float>(values.data() + first, n));
    }
};

/// y ← factor · y.
struct scale : detail::stage_without_operands {
    float factor;

    explicit scale(float f) noexcept : factor(f) {}

    [[nodiscard]] simd::f32x16 apply(const simd::f32x16& y, std::size_t, std::size_t,
                                     std::size_t) const noexcept {
        return simd::rounded_product(y, simd::broadcast(factor));
    }
};

/// y += r, a tokens × outputs matrix of float, fp16 or bf16 (a residual connection). It may be the
/// output itself: each element is read before it is written.
template <real_element T>
struct residual : not_an_executor {
    matrix_view<const T> values;

    explicit residual(matrix_view<const T> r) noexcept : values(r) {}
    explicit residual(matrix_view<T> r) noexcept
        requires(!std::is_const_v<T>)
        : values(r) {}

    [[nodiscard]] result<void> check(std::size_t tokens, std::size_t outputs) const noexcept {
        return detail::check_operand(values, tokens, outputs, "matmul: epilogue::residual");
    }
    [[nodiscard]] simd::f32x16 apply(const simd::f32x16& y, std::size_t token, std::size_t first,
                                     std::size_t n) const noexcept {
        return y + detail::load_operand(values, token, first, n);
    }
};
template <class T>
residual(matrix_view<T>) -> residual<std::remove_const_t<T>>;

/// y += the output's previous contents: residual{y} without naming y again.
struct accumulate : not_an_executor {};

/// y ← y · g, a tokens × outputs matrix of float, fp16 or bf16. It may be the output itself: each
/// element is read before it is written. A gated unit (SwiGLU) is two products:
///
///     matmul(x, gate, y, epilogue::silu{});
///     matmul(x, up, y, epilogue::gate{y});
template <real_element T>
struct gate : not_an_executor {
    matrix_view<const T> values;

    explicit gate(matrix_view<const T> g) noexcept : values(g) {}
    explicit gate(matrix_view<T> g) noexcept
        requires(!std::is_const_v<T>)
        : values(g) {}

    [[nodiscard]] result<void> check(std::size_t tokens, std::size_t outputs) const noexcept {
        return detail::check_operand(values, tokens, outputs, "matmul: epilogue::gate");
    }
    [[nodiscard]] simd::f32x16 apply(const simd::f32x16& y, std::size_t token, std::size_t first,
                                     std::size_t n) const noexcept {
        return simd::rounded_product(y, detail::load_operand(values, token, first, n));
    }
};
template <class T>
gate(matrix_view<T>) -> gate<std::remove_const_t<T>>;

/// y ← low if y < low, high if y > high, else y; NaN stays NaN. low ≤ high, either may be infinite.
struct clamp : not_an_executor {
    float low, high;

    clamp(float least, float greatest) noexcept : low(least), high(greatest) {}

    [[nodiscard]] result<void> check(std::size_t, std::size_t) const noexcept {
        if (low <= high) return {};
        return detail::make_error(errc::invalid_argument, "matmul: epilogue::clamp",
                                  "%g to %g is no range", static_cast<double>(low),
                                  static_cast<double>(high));
    }
    [[nodiscard]] simd::f32x16 apply(const simd::f32x16& y, std::size_t, std::size_t,
                                     std::size_t) const noexcept {
        const auto least = simd::broadcast(low), greatest = simd::broadcast(high);
        const auto raised = simd::select_greater(least, y, least, y);
        return simd::select_greater(raised, greatest, greatest, raised);
    }
};

/// y ← max(y, 0); NaN stays NaN.
struct relu : detail::stage_without_operands {
    [[nodiscard]] simd::f32x16 apply(const simd::f32x16& y, std::size_t, std::size_t,
                                     std::size_t) const noexcept {
        // As integers, numbers below zero are negative and at most −infinity's bits; the bits of
        // NaN with a sign lie above those.
        const auto bits = simd::float_to_bits(y);
        const auto zero = simd::broadcast<std::int32_t>(0);
        const auto minus_infinity = simd::broadcast(static_cast<std::int32_t>(0xFF800000u));
        const auto signed_nan_or_zero = simd::select_greater(bits, minus_infinity, bits, zero);
        return simd::bits_to_float(simd::select_greater(zero, bits, signed_nan_or_zero, bits));
    }
};

/// y ← y·σ(y) = y / (1 + exp(−y)), also called swish. NaN stays NaN, −∞ gives −0.
/// Relative error 3e-7; where the result is subnormal, 4e-45 instead. The same bits on all
/// instruction sets with fused multiply-add.
struct silu : detail::stage_without_operands {
    [[nodiscard]] simd::f32x16 apply(const simd::f32x16& y, std::size_t, std::size_t,
                                     std::size_t) const noexcept {
        return simd::silu(y);
    }
};

/// y ← y/2 · (1 + erf(y/√2)). NaN stays NaN, −∞ gives −0.
/// Relative error 6e-7; where the result is subnormal, 5e-45 instead. The same bits on all
/// instruction sets with fused multiply-add.
struct gelu : detail::stage_without_operands {
    [[nodiscard]] simd::f32x16 apply(const simd::f32x16& y, std::size_t, std::size_t,
                                     std::size_t) const noexcept {
        return simd::gelu(y);
    }
};

/// y ← y/2 · (1 + tanh(√(2/π)·(y + 0.044715·y³))), gelu's common approximation. NaN stays NaN, −∞
/// gives −0.
/// Relative error 3e-7, without fused multiply-add 1.5e-5; where the result is subnormal, 4e-45 and
/// 2e-43 instead. The same bits on all instruction sets with fused multiply-add.
struct gelu_tanh : detail::stage_without_operands {
    [[nodiscard]] simd::f32x16 apply(const simd::f32x16& y, std::size_t, std::size_t,
                                     std::size_t) const noexcept {
        return simd::gelu_tanh(y);
    }
};

} // namespace epilogue

/// A stage that products apply to their outputs: a value with check(tokens, outputs) and
/// apply(y, token, first output, count ≤ 16). Users may write their own, derived from
/// not_an_executor.
template <class T>
concept epilogue_stage = std::derived_from<T, not_an_executor> &&
                         requires(const T& stage, const simd::f32x16& y, std::size_t n) {
                             { stage.check(n, n) } -> std::same_as<result<void>>;
                             { stage.apply(y, n, n, n) } -> std::same_as<simd::f32x16>;
                         };

} // namespace quant::inline QUANT_ABI
