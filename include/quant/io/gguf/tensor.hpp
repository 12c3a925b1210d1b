// A tensor of a GGUF file: name, type, shape, and the bytes in the file.
#pragma once

#include <quant/io/gguf/types.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace quant::inline QUANT_ABI {

namespace detail {
class gguf_parser;
} // namespace detail

namespace gguf {

/// The most dimensions that a tensor has.
inline constexpr std::size_t max_dims = 4;

/// A tensor: a view into the file, valid as long as it.
class tensor {
public:
    /// Not empty, at most 64 bytes, valid UTF-8, unique in its file.
    [[nodiscard]] std::string_view name() const noexcept { return name_; }
    [[nodiscard]] gguf::type type() const noexcept { return type_; }

    /// Elements per dimension, 1 to 4 of them, none zero. Dimension 0 is the fastest: its elements
    /// are neighbours in memory.
    [[nodiscard]] std::span<const std::size_t> shape() const noexcept { return {dims_, n_dims_}; }

    /// As a matrix: the product of all dimensions but the first.
    [[nodiscard]] std::size_t rows() const noexcept { return elements_ / dims_[0]; }
    /// As a matrix: dimension 0; a multiple of block_size(type()).
    [[nodiscard]] std::size_t cols() const noexcept { return dims_[0]; }
    /// rows() · cols().
    [[nodiscard]] std::size_t elements() const noexcept { return elements_; }

    /// The blocks, row after row: elements() / block_size(type()) · block_bytes(type()) bytes.
    ///
    /// They start at a multiple of the file's alignment() from its data section, which for bytes
    /// given to parse() says nothing of their address.
    [[nodiscard]] std::span<const std::byte> data() const noexcept { return {data_, bytes_}; }

private:
    friend class detail::gguf_parser;

    std::string_view name_;
    std::size_t dims_[max_dims] = {1, 1, 1, 1};
    std::size_t n_dims_ = 1;
    std::size_t elements_ = 1;
    const std::byte* data_ = nullptr;
    std::size_t bytes_ = 0;
    std::uint64_t offset_ = 0; // from the start of the data section
    gguf::type type_ = gguf::type::f32;
};

} // namespace gguf
} // namespace quant::inline QUANT_ABI
