// A tensor of a safetensors file: name, dtype, shape, and the bytes in the file.
#pragma once

#include <quant/core/little_endian.hpp>
#include <quant/core/result.hpp>
#include <quant/core/utf8.hpp>
#include <quant/io/safetensors/dtype.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace quant::inline QUANT_ABI {

namespace detail {
class st_header;

/// The element whose bytes start at `from`.
template <class T>
[[nodiscard]] T st_load(const std::byte* from) noexcept {
    if constexpr (std::is_same_v<T, bool>) {
        return *from != std::byte{0};
    } else if constexpr (std::is_arithmetic_v<T>) {
        return load_le<T>(from);
    } else if constexpr (sizeof(T) == 2) {
        return T::from_bits(load_le<std::uint16_t>(from));
    } else {
        return T::from_bits(static_cast<std::uint8_t>(*from));
    }
}
} // namespace detail

namespace safetensors {

/// A tensor: a view into the file, valid as long as it.
class tensor {
public:
    /// Valid UTF-8, unique in its file; may be empty.
    [[nodiscard]] std::string_view name() const noexcept { return name_; }
    [[nodiscard]] safetensors::dtype dtype() const noexcept { return dtype_; }

    /// Elements per dimension; none for a single number. A dimension may be zero. The last one is
    /// the fastest: its elements are neighbours in memory.
    [[nodiscard]] std::span<const std::size_t> shape() const noexcept { return shape_; }
    /// The product of all dimensions.
    [[nodiscard]] std::size_t elements() const noexcept { return elements_; }
    /// As a matrix: the last dimension, 1 if there is none.
    [[nodiscard]] std::size_t cols() const noexcept { return shape_.empty() ? 1 : shape_.back(); }
    /// As a matrix: the product of all dimensions but the last.
    [[nodiscard]] std::size_t rows() const noexcept {
        return elements_ == 0 ? 0 : elements_ / cols();
    }

    /// The elements, row after row, little-endian: elements() · bits_of(dtype()) / 8 bytes, at any
    /// address.
    [[nodiscard]] std::span<const std::byte> data() const noexcept { return data_; }

    /// Copies the elements. @param out elements() of them.
    /// Errors: unsupported if T is not the dtype's type, shape_mismatch for another number of
    /// elements.
    template <element T>
    [[nodiscard]] result<void> try_copy(std::span<T> out) const noexcept {
        constexpr const char* where = "safetensors::tensor::copy";
        if (auto fits = check_type<T>(where); !fits) return fits;
        if (out.size() != elements_) {
            return detail::make_error(errc::shape_mismatch, where,
                                      "room for %zu elements; \"%s\" has %zu", out.size(),
                                      detail::printable_name(name_).text, elements_);
        }
        for (std::size_t i = 0; i < out.size(); ++i) {
            out[i] = detail::st_load<T>(data_.data() + i * sizeof(T));
        }
        return {};
    }

    /// The elements where they stand, without a copy; not for bool.
    /// Errors: unsupported if T is not the dtype's type, or the machine is big-endian and T has
    /// more than a byte; misaligned if the address is none for a T, which a file may well cause.
    template <element T>
        requires(!std::is_same_v<T, bool>)
    [[nodiscard]] result<std::span<const T>> try_view() const noexcept {
        constexpr const char* where = "safetensors::tensor::view";
        if (auto fits = check_type<T>(where); !fits) return fits.failure();
        if constexpr (sizeof(T) > 1 && std::endian::native != std::endian::little) {
            return error(errc::unsupported, where, "no views on big-endian machines");
        }
        if (reinterpret_cast<std::uintptr_t>(data_.data()) % alignof(T) != 0) {
            return detail::make_error(errc::misaligned, where,
                                      "\"%s\" starts at no multiple of %zu bytes",
                                      detail::printable_name(name_).text, alignof(T));
        }
        return std::span<const T>(reinterpret_cast<const T*>(data_.data()), elements_);
    }

#if QUANT_HAS_EXCEPTIONS
    /// @copydoc try_copy
    /// @throws quant::error
    template <element T>
    void copy(std::span<T> out) const {
        try_copy(out).value();
    }
    /// @copydoc try_view
    /// @throws quant::error
    template <element T>
        requires(!std::is_same_v<T, bool>)
    [[nodiscard]] std::span<const T> view() const {
        return try_view<T>().value();
    }
#endif

private:
    friend class detail::st_header;

    template <element T>
    [[nodiscard]] result<void> check_type(const char* where) const noexcept {
        if (dtype_ == detail::st_dtype_of<T>()) return {};
        return detail::make_error(errc::unsupported, where, "\"%s\" is %s, not %s",
                                  detail::printable_name(name_).text, to_string(dtype_),
                                  to_string(detail::st_dtype_of<T>()));
    }

    std::string_view name_;
    std::span<const std::size_t> shape_;
    std::span<const std::byte> data_;
    std::size_t elements_ = 1;
    safetensors::dtype dtype_ = safetensors::dtype::f32;
};

} // namespace safetensors
} // namespace quant::inline QUANT_ABI
