// buffer<T>: memory on cache lines whose allocation can fail without throwing.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/core/huge_pages.hpp>
#include <quant/core/result.hpp>

#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// A number that becomes zero when moved from, so that emptied matrices have no rows.
struct moved_size {
    std::size_t value = 0;

    moved_size() noexcept = default;
    moved_size(std::size_t size) noexcept : value(size) {}
    moved_size(moved_size&& other) noexcept : value(std::exchange(other.value, 0)) {}
    moved_size& operator=(moved_size&& other) noexcept {
        value = std::exchange(other.value, 0);
        return *this;
    }
    operator std::size_t() const noexcept { return value; }
};

/// What matrices do for the library's own functions alone.
struct matrix_internals {
    /// A matrix whose memory the caller writes before anybody reads it.
    template <class Matrix>
    [[nodiscard]] static result<Matrix> make(std::size_t rows, std::size_t cols,
                                             const char* where) noexcept {
        return Matrix::try_uninitialized(rows, cols, where);
    }
    /// Whether scales and offsets are what a matrix may hold; codes are known to be.
    template <class Matrix>
    [[nodiscard]] static result<void> check_numbers(const Matrix& matrix,
                                                    const char* where) noexcept {
        return Matrix::check_numbers(matrix.groups_per_row(), matrix.scales(), matrix.offsets(),
                                     where);
    }
};

/// An array of trivial elements on a 64-byte boundary, or on huge pages if it is large; move only.
template <class T>
class buffer {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

public:
    buffer() noexcept = default;
    buffer(buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    buffer& operator=(buffer&& other) noexcept {
        buffer taken(std::move(other)); // leaves `other` empty, frees what was here
        std::swap(data_, taken.data_);
        std::swap(size_, taken.size_);
        return *this;
    }
    ~buffer() {
        if (data_ != nullptr) deallocate_large(static_cast<void*>(data_), size_ * sizeof(T));
    }

    /// `size` elements of zero bytes, or why not. Size 0 allocates nothing.
    [[nodiscard]] static result<buffer> zeroed(std::size_t size, const char* where) noexcept {
        auto made = uninitialized(size, where);
        if (made && size > 0) std::memset(static_cast<void*>(made->data()), 0, size * sizeof(T));
        return made;
    }

    /// `size` elements that the caller writes before reading.
    [[nodiscard]] static result<buffer> uninitialized(std::size_t size,
                                                      const char* where) noexcept {
        buffer made;
        if (size == 0) return made;
        const maybe_size bytes = checked_mul(size, sizeof(T));
        if (!bytes) return make_error(errc::size_overflow, where, "%zu elements", size);
        made.data_ = static_cast<T*>(allocate_large(*bytes));
        if (made.data_ == nullptr) {
            return make_error(errc::out_of_memory, where, "%zu bytes", *bytes);
        }
        made.size_ = size;
        return made;
    }

    [[nodiscard]] T* data() noexcept { return data_; }
    [[nodiscard]] const T* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::span<T> span() noexcept { return {data_, size_}; }
    [[nodiscard]] std::span<const T> span() const noexcept { return {data_, size_}; }

private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
