// Epilogues: what happens to each output between the product and its store.
//
// An epilogue is data; the product applies its stages in the order in which they are given, in
// float, before the result is rounded to the output's type.
#pragma once

#include <quant/core/executor.hpp>
#include <quant/core/matrix_view.hpp>
#include <quant/simd/convert.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

namespace quant::inline QUANT_ABI {
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
struct scale : not_an_executor {
    float factor;

    explicit scale(float f) noexcept : factor(f) {}

    [[nodiscard]] result<void> check(std::size_t, std::size_t) const noexcept { return {}; }
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
        constexpr const char* where = "matmul: epilogue::residual";
        if (auto valid = detail::check_readable(values, where); !valid) return valid;
        if (values.rows() == tokens && values.cols() == outputs) return {};
        return detail::make_error(errc::shape_mismatch, where, "%zu x %zu for outputs of %zu x %zu",
                                  values.rows(), values.cols(), tokens, outputs);
    }
    [[nodiscard]] simd::f32x16 apply(const simd::f32x16& y, std::size_t token, std::size_t first,
                                     std::size_t n) const noexcept {
        const T* from = values.row(token) + first * values.col_stride();
        if (n == 16 && values.col_stride() == 1) return y + simd::load_as_float<T>(from);
        float elements[16] = {};
        for (std::size_t i = 0; i < n; ++i) {
            elements[i] = static_cast<float>(detail::load_element(from + i * values.col_stride()));
        }
        return y + simd::load<float>(elements);
    }
};
template <class T>
residual(matrix_view<T>) -> residual<std::remove_const_t<T>>;

/// y ← max(y, 0); NaN stays NaN.
struct relu : not_an_executor {
    [[nodiscard]] result<void> check(std::size_t, std::size_t) const noexcept { return {}; }
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
