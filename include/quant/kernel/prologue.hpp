// Prologues: what happens to a row of activations before it is quantized.
//
// A prologue is data; each task of the packing has one row in float in its cache, and applies the
// stages to it in the order in which they are given. No pass over memory is added.
#pragma once

#include <quant/core/executor.hpp>
#include <quant/core/matrix_view.hpp>
#include <quant/quantize/rows.hpp>
#include <quant/simd/lanes.hpp>

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <tuple>
#include <type_traits>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Checks that a stage has one number per column.
template <class T>
[[nodiscard]] result<void> check_per_column(std::span<const T> numbers, std::size_t cols,
                                            const char* where) noexcept {
    if (numbers.size() != cols) {
        return make_error(errc::shape_mismatch, where, "%zu numbers for %zu columns",
                          numbers.size(), cols);
    }
    if (numbers.data() == nullptr) return error(errc::null_data, where, "null pointer");
    return {};
}

} // namespace detail

namespace prologue {

/// x[k] ← x[k] · s[k], one factor per input feature (column of the weights), rounded to float.
///
/// Quantize w·diag(1/s) and give s here: weights or activations with outliers in some columns
/// become easier to quantize (AWQ, SmoothQuant). A factor that is not finite makes the outputs of
/// all tokens NaN.
struct column_scale : not_an_executor {
    std::span<const float> factors;

    explicit column_scale(std::span<const float> s) noexcept : factors(s) {}

    [[nodiscard]] result<void> check(std::size_t /*tokens*/, std::size_t cols) const noexcept {
        return detail::check_per_column(factors, cols, "matmul: prologue::column_scale");
    }
    void apply(std::span<float> row, std::span<float> /*scratch*/) const noexcept {
        const std::size_t whole = row.size() / 16 * 16;
        for (std::size_t k = 0; k < whole; k += 16) {
            simd::store(row.data() + k,
                        simd::load<float>(row.data() + k) * simd::load<float>(factors.data() + k));
        }
        for (std::size_t k = whole; k < row.size(); ++k) row[k] *= factors[k];
    }
};

/// x'[k] = x[p[k]], p a permutation of 0 … columns − 1: for weights whose columns were quantized in
/// the order p (act-order of GPTQ).
///
/// Every call checks p, in O(columns) up to 131072 of them, again for each further 131072.
/// Errors: invalid_argument for an index out of range or repeated.
struct permutation : not_an_executor {
    std::span<const std::uint32_t> indices;

    explicit permutation(std::span<const std::uint32_t> p) noexcept : indices(p) {}

    [[nodiscard]] result<void> check(std::size_t /*tokens*/, std::size_t cols) const noexcept {
        if (auto valid = detail::check_per_column(indices, cols, where); !valid) return valid;
        std::uint8_t seen[marks];
        const std::size_t bad = cols <= marks ? first_bad(seen) : first_bad_by_bits(seen);
        if (bad == cols) return {};
        return detail::make_error(errc::invalid_argument, where,
                                  indices[bad] < cols ? "index %zu at %zu for the second time"
                                                      : "index %zu at %zu exceeds the last column",
                                  std::size_t{indices[bad]}, bad);
    }
    void apply(std::span<float> row, std::span<float> scratch) const noexcept {
        std::memcpy(scratch.data(), row.data(), row.size_bytes());
        for (std::size_t k = 0; k < row.size(); ++k) row[k] = scratch[indices[k]];
    }

private:
    static constexpr const char* where = "matmul: prologue::permutation";

    static constexpr std::size_t marks = 16384;

    /// The first index that is out of range or repeats one before it; `seen` has a byte per column.
    [[nodiscard]] std::size_t first_bad(std::uint8_t* seen) const noexcept {
        const std::size_t cols = indices.size();
        bool in_range = true;
        for (const std::size_t index : indices) in_range = in_range & (index < cols);
        if (in_range) { // loops without branches; which one is wrong, if any, is found below
            std::memset(seen, 0, cols);
            for (const std::size_t index : indices) seen[index] = 1;
            std::size_t distinct = 0;
            for (std::size_t k = 0; k < cols; ++k) distinct += seen[k];
            if (distinct == cols) return cols;
        }
        std::memset(seen, 0, cols);
        std::size_t k = 0;
        while (indices[k] < cols && seen[indices[k]] == 0) seen[indices[k++]] = 1;
        return k;
    }
    /// The same for any number of columns, a bit for each of some columns at a time: checking
    /// allocates nothing.
    [[nodiscard]] std::size_t first_bad_by_bits(std::uint8_t* seen) const noexcept {
        const std::size_t cols = indices.size();
        constexpr std::size_t window = marks * 8;
        std::size_t bad = 0;
        while (bad < cols && indices[bad] < cols) ++bad;
        for (std::size_t first = 0; first < cols; first += window) {
            std::memset(seen, 0, marks);
            for (std::size_t k = 0; k < bad; ++k) {
                const std::size_t bit = std::size_t{indices[k]} - first; // huge if below
                if (bit >= window) continue;
                const auto mask = static_cast<std::uint8_t>(1u << bit % 8);
                if ((seen[bit / 8] & mask) != 0) bad = k;
                seen[bit / 8] = static_cast<std::uint8_t>(seen[bit / 8] | mask);
            }
        }
        return bad;
    }
};

/// Static quantization: integer activations take this scale, known from calibration (see
/// value_range::int8_scale), instead of one that is found per token or group. What exceeds
/// max_code · scale in magnitude becomes ±max_code. One at most; not for bf16 and fp32.
///
/// Errors: invalid_argument unless the scale is finite and at least 2^-126.
struct static_scale : not_an_executor {
    float scale;

    explicit static_scale(float s) noexcept : scale(s) {}

    [[nodiscard]] result<void> check(std::size_t /*tokens*/, std::size_t /*cols*/) const noexcept {
        if (scale >= 0x1p-126f && std::isfinite(scale)) return {};
        return detail::make_error(errc::invalid_argument, "matmul: prologue::static_scale",
                                  "%g is not a finite scale of at least 2^-126",
                                  static_cast<double>(scale));
    }
    void apply(std::span<float> row, std::span<float> /*scratch*/) const noexcept {
        // Codes are rounded to 32 bits before they are clamped; infinity stays what it is.
        const float limit = scale * 0x1p30f;
        for (float& x : row) {
            if (std::fabs(x) > limit && std::isfinite(x)) x = std::copysign(limit, x);
        }
    }
};

} // namespace prologue

/// A stage that products apply to rows of their activations: a value with check(tokens, columns)
/// and apply(row, scratch), which changes a row of floats in place and may write anything to the
/// scratch, which is as long. Users may write their own, derived from not_an_executor.
template <class T>
concept prologue_stage = std::derived_from<T, not_an_executor> &&
                         requires(const T& stage, std::span<float> floats, std::size_t n) {
                             { stage.check(n, n) } -> std::same_as<result<void>>;
                             { stage.apply(floats, floats) } -> std::same_as<void>;
                         };

namespace detail {

/// Prologue stages, by reference, in their order.
template <class... Stages>
using prologue_stages = std::tuple<const Stages&...>;

template <class Arg>
[[nodiscard]] auto prologue_or_nothing(const Arg& arg) noexcept {
    if constexpr (prologue_stage<Arg>) {
        return std::tuple<const Arg&>(arg);
    } else {
        return std::tuple<>();
    }
}

/// The prologue stages among the arguments of a product.
template <class... Args>
[[nodiscard]] auto find_prologue(const Args&... args) noexcept {
    return std::tuple_cat(prologue_or_nothing(args)...);
}

/// The scale that a prologue fixes, or 0.
template <class... Stages>
[[nodiscard]] float fixed_scale(const prologue_stages<Stages...>& stages) noexcept {
    constexpr std::size_t count =
        (std::size_t{0} + ... + std::size_t{std::is_same_v<Stages, prologue::static_scale>});
    static_assert(count <= 1, "quant: a product takes one prologue::static_scale");
    if constexpr (count == 1) return std::get<const prologue::static_scale&>(stages).scale;
    return 0;
}

template <class... Stages>
[[nodiscard]] result<void> check_prologue(std::size_t tokens, std::size_t cols,
                                          const prologue_stages<Stages...>& stages) noexcept {
    result<void> outcome;
    std::apply(
        [&](const auto&... stage) {
            static_cast<void>(((outcome = stage.check(tokens, cols)).has_value() && ...));
        },
        stages);
    return outcome;
}

/// Floats that prepared_row needs to work in.
template <class T, class... Stages>
[[nodiscard]] std::size_t prepared_row_scratch(const matrix_view<T>& x,
                                               const prologue_stages<Stages...>&) noexcept {
    if constexpr (sizeof...(Stages) == 0) {
        return rows_are_floats(x) ? 0 : x.cols();
    } else {
        return 2 * x.cols();
    }
}

/// Row r of activations as floats, after the prologue; in place if nothing changes it.
template <class T, class... Stages>
[[nodiscard]] const float* prepared_row(const matrix_view<T>& x, std::size_t r, float* scratch,
                                        const prologue_stages<Stages...>& stages) {
    const float* row = row_as_floats(x, r, scratch);
    if constexpr (sizeof...(Stages) > 0) {
        const std::size_t cols = x.cols();
        const auto* from = static_cast<const void*>(row);
        if (row != scratch) std::memcpy(scratch, from, cols * sizeof(float));
        std::apply(
            [&](const auto&... stage) {
                (stage.apply(std::span(scratch, cols), std::span(scratch + cols, cols)), ...);
            },
            stages);
        return scratch;
    } else {
        return row;
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
