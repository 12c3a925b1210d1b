// matrix_view: a rectangle of numbers in the caller's memory.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/core/half.hpp>
#include <quant/core/result.hpp>

#include <concepts>
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace quant::inline QUANT_VOCABULARY {

/// Element types that views of weights, activations and outputs may have.
template <class T>
concept real_element =
    std::same_as<std::remove_const_t<T>, float> || std::same_as<std::remove_const_t<T>, fp16> ||
    std::same_as<std::remove_const_t<T>, bf16>;

/// A rows × cols view; element (r, c) lies at data()[r·row_stride() + c·col_stride()].
///
/// Strides count elements. The pointer need not be aligned, not even to its own type: elements
/// are read and written by bytes. The view owns nothing and checks nothing; functions check the
/// views they are given.
template <real_element T>
class matrix_view {
public:
    using element_type = T;
    using value_type = std::remove_const_t<T>;

    QUANT_DETAIL_INLINE constexpr matrix_view() noexcept = default;

    /// Contiguous rows.
    QUANT_DETAIL_INLINE constexpr matrix_view(T* data, std::size_t rows, std::size_t cols) noexcept
        : matrix_view(data, rows, cols, cols) {}

    /// Rows row_stride elements apart, columns col_stride apart.
    QUANT_DETAIL_INLINE constexpr matrix_view(T* data, std::size_t rows, std::size_t cols,
                                              std::size_t row_stride,
                                              std::size_t col_stride = 1) noexcept
        : data_(data), rows_(rows), cols_(cols), row_stride_(row_stride), col_stride_(col_stride) {}

    /// A view to change is a view to read.
    template <class U>
        requires std::same_as<const U, T> && (!std::is_const_v<U>)
    QUANT_DETAIL_INLINE constexpr matrix_view(matrix_view<U> other) noexcept
        : matrix_view(other.data(), other.rows(), other.cols(), other.row_stride(),
                      other.col_stride()) {}

    [[nodiscard]] QUANT_DETAIL_INLINE constexpr T* data() const noexcept { return data_; }
    [[nodiscard]] QUANT_DETAIL_INLINE constexpr std::size_t rows() const noexcept { return rows_; }
    [[nodiscard]] QUANT_DETAIL_INLINE constexpr std::size_t cols() const noexcept { return cols_; }
    [[nodiscard]] QUANT_DETAIL_INLINE constexpr std::size_t row_stride() const noexcept {
        return row_stride_;
    }
    [[nodiscard]] QUANT_DETAIL_INLINE constexpr std::size_t col_stride() const noexcept {
        return col_stride_;
    }

    /// Address of the first element of a row.
    [[nodiscard]] QUANT_DETAIL_INLINE constexpr T* row(std::size_t r) const noexcept {
        return data_ + r * row_stride_;
    }

private:
    T* data_ = nullptr;
    std::size_t rows_ = 0;
    std::size_t cols_ = 0;
    std::size_t row_stride_ = 0;
    std::size_t col_stride_ = 1;
};

template <class T, class... Sizes>
matrix_view(T*, Sizes...) -> matrix_view<T>;

/// The same numbers with rows and columns exchanged; nothing moves.
template <real_element T>
[[nodiscard]] QUANT_DETAIL_INLINE constexpr matrix_view<T>
transposed(matrix_view<T> view) noexcept {
    return {view.data(), view.cols(), view.rows(), view.col_stride(), view.row_stride()};
}

namespace core_detail {

/// Reads an element at any address.
template <class T>
[[nodiscard]] QUANT_DETAIL_INLINE T load_element(const T* from) noexcept {
    T value;
    std::memcpy(static_cast<void*>(&value), static_cast<const void*>(from), sizeof value);
    return value;
}

/// Checks what every function asks of a view that it reads: rows and columns, data, a size that
/// fits. `where` names function and argument.
template <class T>
[[nodiscard]] result<void> check_readable(const matrix_view<T>& view, const char* where) noexcept {
    if (view.rows() == 0 || view.cols() == 0) {
        return make_error(errc::empty, where, "%zu x %zu has no elements", view.rows(),
                          view.cols());
    }
    if (view.data() == nullptr) {
        return make_error(errc::null_data, where, "null pointer for %zu x %zu elements",
                          view.rows(), view.cols());
    }
    const maybe_size last = checked_add(checked_mul(view.rows() - 1, view.row_stride()),
                                        checked_mul(view.cols() - 1, view.col_stride()));
    if (!checked_mul(checked_add(last, 1), sizeof(T)) ||
        !checked_mul(checked_mul(view.rows(), view.cols()), sizeof(float))) {
        return make_error(errc::size_overflow, where,
                          "%zu x %zu with strides %zu, %zu exceeds the address space", view.rows(),
                          view.cols(), view.row_stride(), view.col_stride());
    }
    return {};
}

/// Checks a view that a function writes: readable, contiguous rows that do not overlap.
template <class T>
[[nodiscard]] result<void> check_writable(const matrix_view<T>& view, const char* where) noexcept {
    static_assert(!std::is_const_v<T>, "quant: the output view's elements are const");
    if (auto readable = check_readable(view, where); !readable) return readable;
    const bool rows_apart = view.rows() == 1 || view.row_stride() >= view.cols();
    const bool columns_adjacent = view.cols() == 1 || view.col_stride() == 1;
    if (!rows_apart || !columns_adjacent) {
        return make_error(errc::invalid_stride, where,
                          "outputs need columns side by side and rows at least %zu apart, "
                          "not strides %zu, %zu",
                          view.cols(), view.row_stride(), view.col_stride());
    }
    return {};
}

} // namespace core_detail

} // namespace quant::inline QUANT_VOCABULARY
