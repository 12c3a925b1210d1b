// quantized_matrix<S>: codes and scales, row-major, one byte per code: the form to look at, to
// edit and to exchange. Kernels want quant::pack of it.
#pragma once

#include <quant/core/buffer.hpp>
#include <quant/core/result.hpp>
#include <quant/policy/descriptor.hpp>
#include <quant/simd/convert.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Whether all bytes are below 2^Bits.
template <int Bits>
[[nodiscard]] bool all_below_power(std::span<const std::uint8_t> bytes) noexcept {
    if constexpr (Bits == 8) return true;
    constexpr auto above = static_cast<std::int32_t>((0xFFu << Bits & 0xFFu) * 0x01010101u);
    auto seen = simd::broadcast<std::int32_t>(0);
    std::size_t i = 0;
    for (; i + 64 <= bytes.size(); i += 64) {
        seen = seen | simd::load<std::int32_t>(bytes.data() + i);
    }
    const auto bad = simd::shift_right<1>(seen & simd::broadcast(above));
    bool below = !simd::any_greater(bad, simd::broadcast<std::int32_t>(0));
    for (; i < bytes.size(); ++i) below &= bytes[i] >> Bits == 0;
    return below;
}

/// Whether no number is NaN or infinite.
template <class T>
[[nodiscard]] bool all_numbers_finite(std::span<const T> numbers) noexcept {
    auto largest = simd::broadcast<std::int32_t>(0);
    std::size_t i = 0;
    for (; i + 16 <= numbers.size(); i += 16) {
        const auto magnitude = simd::abs(simd::load_as_float<T>(numbers.data() + i));
        largest = simd::max(largest, simd::float_to_bits(magnitude));
    }
    bool finite = !simd::any_greater(largest, simd::broadcast<std::int32_t>(0x7F7FFFFF));
    for (; i < numbers.size(); ++i) finite &= std::isfinite(static_cast<float>(numbers[i]));
    return finite;
}

/// Numbers of a row's groups: where its scales and what else there is begin.
template <quantization_scheme S, bool Writable>
struct row_numbers {
    template <class T>
    using part = std::conditional_t<Writable, T, const T>;

    part<typename S::scale_type>* scales = nullptr;
    part<typename S::offset_type>* offsets = nullptr;
    part<typename S::super_type>* supers = nullptr;
    part<typename S::super_type>* super_minimums = nullptr;

    operator row_numbers<S, false>() const noexcept
        requires Writable
    {
        return {scales, offsets, supers, super_minimums};
    }
};

} // namespace detail

/// A quantized matrix in row-major form.
///
/// codes()[r·cols + c], 0 … max_code; scales()[scale_row(r)·groups_per_row + c / group] and,
/// for mappings that have one, offsets() alike (zero points or minimums). Move only: copies are
/// large, and clone() can say when memory is short.
template <quantization_scheme S>
class quantized_matrix {
public:
    using scheme_type = S;
    using scale_type = typename S::scale_type;
    using offset_type = typename S::offset_type;
    using super_type = typename S::super_type;

    /// An empty 0 × 0 matrix, to assign to.
    quantized_matrix() noexcept = default;

    /// Takes given codes, scales, offsets (empty if S has none) and, if S has two levels of scales,
    /// super-scales and super-minimums.
    /// Errors: empty, size_overflow, shape_mismatch, code_out_of_range, non_finite (a scale or
    /// minimum), out_of_memory.
    [[nodiscard]] static result<quantized_matrix>
    try_from(std::size_t rows, std::size_t cols, std::span<const std::uint8_t> codes,
             std::span<const scale_type> scales, std::span<const offset_type> offsets = {},
             std::span<const super_type> super_scales = {},
             std::span<const super_type> super_minimums = {}) noexcept {
        constexpr const char* where = "quantized_matrix";
        const auto sizes = sizes_of(rows, cols, where);
        if (!sizes) return sizes.failure();
        // Before anything is allocated: a wrong shape may be a huge one.
        if (auto valid =
                check(*sizes, cols, codes, scales, offsets, super_scales, super_minimums, where);
            !valid) {
            return valid.failure();
        }
        auto made = try_uninitialized(rows, cols, where);
        if (!made) return made;
        std::copy(codes.begin(), codes.end(), made->codes_.data());
        std::copy(scales.begin(), scales.end(), made->scales_.data());
        std::copy(offsets.begin(), offsets.end(), made->offsets_.data());
        std::copy(super_scales.begin(), super_scales.end(), made->super_scales_.data());
        std::copy(super_minimums.begin(), super_minimums.end(), made->super_minimums_.data());
        return made;
    }

#if QUANT_HAS_EXCEPTIONS
    /// As try_from. @throws quant::error
    quantized_matrix(std::size_t rows, std::size_t cols, std::span<const std::uint8_t> codes,
                     std::span<const scale_type> scales, std::span<const offset_type> offsets = {},
                     std::span<const super_type> super_scales = {},
                     std::span<const super_type> super_minimums = {})
        : quantized_matrix(
              try_from(rows, cols, codes, scales, offsets, super_scales, super_minimums).value()) {}

    /// A copy. @throws quant::error out_of_memory
    [[nodiscard]] quantized_matrix clone() const { return try_clone().value(); }
#endif

    /// A copy. Errors: out_of_memory; those of validate.
    [[nodiscard]] result<quantized_matrix> try_clone() const noexcept {
        if (rows_ == 0) return quantized_matrix();
        return try_from(rows(), cols(), codes(), scales(), offsets(), super_scales(),
                        super_minimums());
    }

    /// Whether all codes and zero points are below 2^bits and all scales and minimums finite, as
    /// everything but the mutable_ functions keeps them.
    /// Errors: code_out_of_range, non_finite.
    [[nodiscard]] result<void> validate() const noexcept {
        if (rows_ == 0) return {};
        const counts sizes{codes().size(), scales().size(), offsets().size(), super_scales().size(),
                           super_minimums().size()};
        return check(sizes, cols(), codes(), scales(), offsets(), super_scales(), super_minimums(),
                     "quantized_matrix");
    }

    /// A matrix whose codes and scales are all zero bytes, for code that fills it.
    [[nodiscard]] static result<quantized_matrix> try_zero(std::size_t rows, std::size_t cols,
                                                           const char* where = "quantized_matrix") {
        auto made = try_uninitialized(rows, cols, where);
        if (!made) return made;
        std::memset(made->codes_.data(), 0, made->codes().size_bytes());
        std::memset(static_cast<void*>(made->scales_.data()), 0, made->scales().size_bytes());
        if constexpr (S::has_offset) {
            std::memset(static_cast<void*>(made->offsets_.data()), 0, made->offsets().size_bytes());
        }
        for (auto* supers : {&made->super_scales_, &made->super_minimums_}) {
            std::fill_n(supers->data(), supers->span().size(), super_type{});
        }
        return made;
    }

    [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
    [[nodiscard]] std::size_t cols() const noexcept { return cols_; }
    [[nodiscard]] std::size_t groups_per_row() const noexcept { return S::groups_per_row(cols_); }

    [[nodiscard]] std::span<const std::uint8_t> codes() const noexcept { return codes_.span(); }
    [[nodiscard]] std::span<const scale_type> scales() const noexcept { return scales_.span(); }
    [[nodiscard]] std::span<const offset_type> offsets() const noexcept { return offsets_.span(); }
    /// Two levels of scales: rows × supers_per_row numbers that groups' integers multiply; empty
    /// otherwise. Minimums have their own.
    [[nodiscard]] std::span<const super_type> super_scales() const noexcept {
        return super_scales_.span();
    }
    /// @copydoc super_scales
    [[nodiscard]] std::span<const super_type> super_minimums() const noexcept {
        return super_minimums_.span();
    }

    /// Unchecked writing, for code that fills a matrix from try_zero.
    [[nodiscard]] std::span<std::uint8_t> mutable_codes() noexcept { return codes_.span(); }
    /// @copydoc mutable_codes
    [[nodiscard]] std::span<scale_type> mutable_scales() noexcept { return scales_.span(); }
    /// @copydoc mutable_codes
    [[nodiscard]] std::span<offset_type> mutable_offsets() noexcept { return offsets_.span(); }

    /// @copydoc mutable_codes
    [[nodiscard]] std::span<super_type> mutable_super_scales() noexcept {
        return super_scales_.span();
    }
    /// @copydoc mutable_codes
    [[nodiscard]] std::span<super_type> mutable_super_minimums() noexcept {
        return super_minimums_.span();
    }

    /// Where a row's scales (and offsets) begin.
    [[nodiscard]] std::size_t first_group(std::size_t row) const noexcept {
        return S::scale_row(row) * groups_per_row();
    }

    /// Bits that this matrix needs in its format, padding not counted.
    [[nodiscard]] double nominal_bits() const noexcept {
        return rows_ == 0 ? 0 : S::nominal_bits(rows_, cols_);
    }

    /// Equal shapes and equal bytes.
    friend bool operator==(const quantized_matrix& a, const quantized_matrix& b) noexcept {
        return a.rows() == b.rows() && a.cols() == b.cols() &&
               same_bytes(a.codes(), b.codes()) && same_bytes(a.scales(), b.scales()) &&
               same_bytes(a.offsets(), b.offsets()) &&
               same_bytes(a.super_scales(), b.super_scales()) &&
               same_bytes(a.super_minimums(), b.super_minimums());
    }

    /// The numbers of a row, for code that works row by row.
    [[nodiscard]] detail::row_numbers<S, true> mutable_row_numbers(std::size_t row) noexcept {
        const std::size_t g = first_group(row), s = row * S::supers_per_row(cols_);
        return {scales_.data() + g, S::has_offset ? offsets_.data() + g : nullptr,
                S::is_two_level ? super_scales_.data() + s : nullptr,
                S::is_two_level && S::has_minimum ? super_minimums_.data() + s : nullptr};
    }
    /// @copydoc mutable_row_numbers
    [[nodiscard]] detail::row_numbers<S, false> row_numbers(std::size_t row) const noexcept {
        return const_cast<quantized_matrix*>(this)->mutable_row_numbers(row);
    }

private:
    friend struct detail::matrix_internals;

    [[nodiscard]] static result<quantized_matrix>
    try_uninitialized(std::size_t rows, std::size_t cols, const char* where) noexcept {
        const auto sizes = sizes_of(rows, cols, where);
        if (!sizes) return sizes.failure();
        auto codes = detail::buffer<std::uint8_t>::uninitialized(sizes->codes, where);
        if (!codes) return codes.failure();
        auto scales = detail::buffer<scale_type>::uninitialized(sizes->scales, where);
        if (!scales) return scales.failure();
        auto offsets = detail::buffer<offset_type>::uninitialized(sizes->offsets, where);
        if (!offsets) return offsets.failure();
        auto super_scales = detail::buffer<super_type>::uninitialized(sizes->super_scales, where);
        if (!super_scales) return super_scales.failure();
        auto super_minimums =
            detail::buffer<super_type>::uninitialized(sizes->super_minimums, where);
        if (!super_minimums) return super_minimums.failure();
        quantized_matrix made;
        made.rows_ = rows;
        made.cols_ = cols;
        made.codes_ = std::move(*codes);
        made.scales_ = std::move(*scales);
        made.offsets_ = std::move(*offsets);
        made.super_scales_ = std::move(*super_scales);
        made.super_minimums_ = std::move(*super_minimums);
        return made;
    }

    template <class T>
    static bool same_bytes(std::span<const T> a, std::span<const T> b) noexcept {
        return a.size() == b.size() &&
               (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
    }

    /// How many numbers of each kind a matrix holds.
    struct counts {
        std::size_t codes, scales, offsets, super_scales, super_minimums;
    };

    [[nodiscard]] static result<counts> sizes_of(std::size_t rows, std::size_t cols,
                                                 const char* where) noexcept {
        using detail::checked_mul;
        if (rows == 0 || cols == 0) {
            return detail::make_error(errc::empty, where, "%zu x %zu has no elements", rows, cols);
        }
        const auto elements = checked_mul(rows, cols);
        const auto groups = checked_mul(S::scale_rows(rows), S::groups_per_row(cols));
        if (!elements || !checked_mul(groups, sizeof(scale_type))) {
            return detail::make_error(errc::size_overflow, where,
                                      "%zu x %zu exceeds the address space", rows, cols);
        }
        const std::size_t supers = S::is_two_level ? rows * S::supers_per_row(cols) : 0;
        return counts{*elements, *groups, S::has_offset ? *groups : 0, supers,
                      S::has_minimum ? supers : 0};
    }

    [[nodiscard]] static result<void>
    check(const counts& sizes, std::size_t cols, std::span<const std::uint8_t> codes,
          std::span<const scale_type> scales, std::span<const offset_type> offsets,
          std::span<const super_type> super_scales, std::span<const super_type> super_minimums,
          const char* where) noexcept {
        if (super_scales.size() != sizes.super_scales ||
            super_minimums.size() != sizes.super_minimums) {
            return detail::make_error(errc::shape_mismatch, where,
                                      "%zu x %zu needs %zu super-scales, %zu super-minimums, not "
                                      "%zu, %zu",
                                      sizes.codes / cols, cols, sizes.super_scales,
                                      sizes.super_minimums, super_scales.size(),
                                      super_minimums.size());
        }
        if (codes.size() != sizes.codes || scales.size() != sizes.scales ||
            offsets.size() != sizes.offsets) {
            return detail::make_error(errc::shape_mismatch, where,
                                      "%zu x %zu needs %zu codes, %zu scales, %zu offsets, "
                                      "not %zu, %zu, %zu",
                                      sizes.codes / cols, cols, sizes.codes, sizes.scales,
                                      sizes.offsets, codes.size(), scales.size(), offsets.size());
        }
        if (auto valid = check_codes(cols, codes, where); !valid) return valid;
        if constexpr (S::is_two_level) {
            return check_two_levels(cols, scales, offsets, super_scales, super_minimums, where);
        } else {
            return check_numbers(S::groups_per_row(cols), scales, offsets, where);
        }
    }

    [[nodiscard]] static result<void>
    check_two_levels(std::size_t cols, std::span<const scale_type> scales,
                     std::span<const offset_type> offsets, std::span<const super_type> super_scales,
                     std::span<const super_type> super_minimums, const char* where) noexcept {
        const std::size_t groups = S::groups_per_row(cols), supers = S::supers_per_row(cols);
        for (std::size_t i = 0; i < super_scales.size(); ++i) {
            const bool finite =
                std::isfinite(static_cast<float>(super_scales[i])) &&
                (!S::has_minimum || std::isfinite(static_cast<float>(super_minimums[i])));
            if (finite) continue;
            return detail::make_error(errc::non_finite, where,
                                      "super-scale or super-minimum at row %zu, super-group %zu is "
                                      "not finite",
                                      i / supers, i % supers);
        }
        for (std::size_t i = 0; i < scales.size(); ++i) {
            const int value = S::scale_value(scales[i]);
            const bool fits = S::least_scale <= value && value <= S::greatest_scale &&
                              (!S::has_minimum || offsets[i] <= S::greatest_minimum);
            if (fits) continue;
            return detail::make_error(errc::code_out_of_range, where,
                                      "scale %d or minimum at row %zu, group %zu exceeds %d bits",
                                      value, i / groups, i % groups, S::scale_bits);
        }
        return {};
    }

    [[nodiscard]] static result<void>
    check_codes(std::size_t cols, std::span<const std::uint8_t> codes, const char* where) noexcept {
        constexpr bool all_codes_are_levels = [] {
            for (int u = 0; u < 1 << S::bits; ++u) {
                if (!S::is_level(u)) return false;
            }
            return true;
        }();
        if (all_codes_are_levels && detail::all_below_power<S::bits>(codes)) return {};
        for (std::size_t i = 0; i < codes.size(); ++i) {
            if (codes[i] > S::max_code) {
                return detail::make_error(errc::code_out_of_range, where,
                                          "code %d at row %zu, column %zu exceeds %d", codes[i],
                                          i / cols, i % cols, S::max_code);
            }
            if (!S::is_level(codes[i])) {
                return detail::make_error(errc::code_out_of_range, where,
                                          "code %d at row %zu, column %zu is not a finite number",
                                          codes[i], i / cols, i % cols);
            }
        }
        return {};
    }

    [[nodiscard]] static result<void> check_numbers(std::size_t groups,
                                                    std::span<const scale_type> scales,
                                                    std::span<const offset_type> offsets,
                                                    const char* where) noexcept {
        bool valid = detail::all_numbers_finite(scales);
        if constexpr (S::has_minimum) valid &= detail::all_numbers_finite(offsets);
        if constexpr (S::has_zero_point) valid &= detail::all_below_power<S::bits>(offsets);
        if (valid) return {};
        for (std::size_t i = 0; i < scales.size(); ++i) {
            if (!std::isfinite(static_cast<float>(scales[i]))) {
                return detail::make_error(errc::non_finite, where,
                                          "scale at scale row %zu, group %zu is not finite",
                                          i / groups, i % groups);
            }
        }
        for (std::size_t i = 0; i < offsets.size(); ++i) {
            if constexpr (S::has_minimum) {
                if (!std::isfinite(static_cast<float>(offsets[i]))) {
                    return detail::make_error(errc::non_finite, where,
                                              "minimum at scale row %zu, group %zu is not finite",
                                              i / groups, i % groups);
                }
            } else if (offsets[i] > S::max_code) {
                return detail::make_error(errc::code_out_of_range, where,
                                          "zero point %d at scale row %zu, group %zu exceeds %d",
                                          offsets[i], i / groups, i % groups, S::max_code);
            }
        }
        return {};
    }

    detail::moved_size rows_;
    detail::moved_size cols_;
    detail::buffer<std::uint8_t> codes_;
    detail::buffer<scale_type> scales_;
    detail::buffer<offset_type> offsets_;
    detail::buffer<super_type> super_scales_;
    detail::buffer<super_type> super_minimums_;
};

} // namespace quant::inline QUANT_ABI
