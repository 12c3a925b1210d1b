// gguf::writer: a GGUF model file, written in order.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/core/utf8.hpp>
#include <quant/io/gguf/metadata.hpp>
#include <quant/io/gguf/tensor.hpp>
#include <quant/io/growing.hpp>
#include <quant/io/name_set.hpp>
#include <quant/io/output_file.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// What a T is stored as.
template <gguf::metadata_value T>
[[nodiscard]] consteval gguf::value_type gguf_value_type_of() {
    using enum gguf::value_type;
    if constexpr (std::is_same_v<T, bool>) {
        return boolean;
    } else if constexpr (std::is_same_v<T, std::string_view>) {
        return string;
    } else if constexpr (std::is_floating_point_v<T>) {
        return sizeof(T) == 4 ? f32 : f64;
    } else if constexpr (std::is_signed_v<T>) {
        return sizeof(T) == 1 ? i8 : sizeof(T) == 2 ? i16 : sizeof(T) == 4 ? i32 : i64;
    } else {
        return sizeof(T) == 1 ? u8 : sizeof(T) == 2 ? u16 : sizeof(T) == 4 ? u32 : u64;
    }
}

/// Calls f.template operator()<T>() with the type that a value type other than array is read as.
template <class F>
auto gguf_with_type(gguf::value_type which, const F& f) noexcept {
    using enum gguf::value_type;
    switch (which) {
    case u8: return f.template operator()<std::uint8_t>();
    case i8: return f.template operator()<std::int8_t>();
    case u16: return f.template operator()<std::uint16_t>();
    case i16: return f.template operator()<std::int16_t>();
    case u32: return f.template operator()<std::uint32_t>();
    case i32: return f.template operator()<std::int32_t>();
    case f32: return f.template operator()<float>();
    case boolean: return f.template operator()<bool>();
    case u64: return f.template operator()<std::uint64_t>();
    case i64: return f.template operator()<std::int64_t>();
    case f64: return f.template operator()<double>();
    case string:
    case array: break;
    }
    return f.template operator()<std::string_view>();
}

/// Bytes of the tables before a file's data, appended field by field.
class gguf_table {
public:
    /// Makes room for `size` bytes, which put() then fills.
    [[nodiscard]] result<void> reserve(maybe_size size, const char* where) noexcept {
        if (!size) return make_error(errc::size_overflow, where, "a value larger than memory");
        const auto room = bytes_.extend(*size, where);
        if (!room) return room.failure();
        to_ = room->data();
        return {};
    }
    /// Takes back the last reserve().
    void give_back(std::size_t size) noexcept { bytes_.shrink(bytes_.size() - size); }

    template <class T>
    void put(T value) noexcept {
        if constexpr (std::is_same_v<T, std::string_view>) {
            put(std::uint64_t{value.size()});
            if (!value.empty()) std::memcpy(to_, value.data(), value.size());
            to_ += value.size();
        } else if constexpr (std::is_same_v<T, bool>) {
            *to_++ = std::byte{value};
        } else {
            store_le(to_, value);
            to_ += sizeof(T);
        }
    }
    void put(gguf::value_type which) noexcept { put(static_cast<std::uint32_t>(which)); }

    /// How many bytes put() writes.
    template <class T>
    [[nodiscard]] static maybe_size size_of(T value) noexcept {
        if constexpr (std::is_same_v<T, std::string_view>) {
            return checked_add(sizeof(std::uint64_t), value.size());
        } else {
            return sizeof(T);
        }
    }

    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_.span(); }

private:
    growing<std::byte> bytes_;
    std::byte* to_ = nullptr;
};

} // namespace detail

namespace gguf {

/// An array, vector or span of values that metadata can hold.
template <class V>
concept metadata_values = requires(const V& values) {
    requires metadata_value<typename decltype(std::span(values))::value_type>;
};

/// Writes a GGUF file, version 3, little-endian: metadata and tensors are declared first, in any
/// order, then the tensors' bytes follow in the order of their declaration. Move only.
///
///     auto out = gguf::writer::create("model.gguf");
///     out.add("general.architecture", "llama");
///     out.add_tensor("w", gguf::type::q8_0, {4096, 1024}); // 1024 rows of 4096 weights
///     out.write(first_half); // blocks, in as many pieces as you like
///     out.write(second_half);
///     out.finish();
///
/// Only names, metadata and shapes stay in memory; data may be larger than it. The file is written
/// under a name beside its own, NAME.partN, which finish() changes to NAME, replacing a file of
/// this name; a writer that is dropped before, or whose file the system refuses to write, leaves
/// nothing behind. What is written, quant::gguf::file and the ggml project's reader accept: keys
/// are unique, not empty, of at most 65535 bytes; tensor names unique, not empty, of at most 63
/// bytes, none of them zero; all strings valid UTF-8. The blocks' contents are not looked at.
///
/// Every call that returns invalid_argument, shape_mismatch, null_data, unsupported, size_overflow
/// or out_of_memory has changed nothing, and the writer goes on; after io_failed it is closed. A
/// closed writer answers invalid_argument.
class writer {
public:
    /// Begins a file. @param path what it is to be called; if it is there already, it must be a
    /// regular file or a symbolic link (which is replaced, not followed).
    /// Errors: invalid_argument for a path that names no file, not_found if its folder is not
    /// there, io_failed if it cannot be written to.
    [[nodiscard]] static result<writer> try_create(const std::filesystem::path& path) noexcept {
        auto file = detail::output_file::create(path, "gguf::writer::create: path");
        if (!file) return file.failure();
        return writer(*std::move(file));
    }

    /// Adds a key with its value, which is stored as a T: an integer in its own width and sign,
    /// bool as boolean, text as string.
    ///
    /// The key general.alignment sets the alignment of all tensors, 32 without it: any integer
    /// type, stored as u32; a power of two from 8 to 2^30; before the first tensor. Errors:
    /// invalid_argument for a key or value against the rules, a key that was there before, or data
    /// written already; out_of_memory, size_overflow.
    template <metadata_value T>
    [[nodiscard]] result<void> try_add(std::string_view key, T value) noexcept;
    /// @copydoc try_add
    [[nodiscard]] result<void> try_add(std::string_view key, std::string_view value) noexcept {
        return try_add<std::string_view>(key, value);
    }
    /// Adds a key with an array of values. Errors: as try_add.
    template <metadata_values V>
    [[nodiscard]] result<void> try_add_array(std::string_view key, const V& values) noexcept {
        const std::span all(values);
        using T = typename decltype(all)::value_type;
        return add_elements<T>(key, all.size(), [&](std::size_t i) { return all[i]; });
    }
    /// Adds a copy of another file's entry, of any type. Errors: as try_add.
    [[nodiscard]] result<void> try_add(const entry& copied) noexcept;

    /// Declares a tensor. @param shape 1 to 4 dimensions, none zero, dimension 0 (the length of a
    /// row) a multiple of block_size(which).
    /// Errors: invalid_argument for a name against the rules or there before, or data written
    /// already; unsupported for an id that is no type; shape_mismatch for a shape against the
    /// rules; size_overflow, out_of_memory.
    [[nodiscard]] result<void> try_add_tensor(std::string_view name, gguf::type which,
                                              std::span<const std::size_t> shape) noexcept;
    /// @copydoc try_add_tensor
    [[nodiscard]] result<void> try_add_tensor(std::string_view name, gguf::type which,
                                              std::initializer_list<std::size_t> shape) noexcept {
        return try_add_tensor(name, which, std::span(shape.begin(), shape.size()));
    }

    /// Writes the next bytes of the first tensor that is not complete: its blocks, row after row.
    /// The first call closes the declarations.
    /// Errors: shape_mismatch for more bytes than this tensor still lacks, or if none lacks any;
    /// null_data; size_overflow; io_failed.
    [[nodiscard]] result<void> try_write(std::span<const std::byte> data) noexcept;

    /// Completes the file, waits until it is on the disk, and gives it its name. Closes the writer.
    /// Errors: shape_mismatch if a tensor lacks bytes (the writer stays open); io_failed.
    [[nodiscard]] result<void> try_finish() noexcept;

#if QUANT_HAS_EXCEPTIONS
    /// @copydoc try_create
    /// @throws quant::error
    [[nodiscard]] static writer create(const std::filesystem::path& path) {
        return try_create(path).value();
    }
    /// @copydoc try_add
    /// @throws quant::error
    template <metadata_value T>
    void add(std::string_view key, T value) {
        try_add(key, value).value();
    }
    /// @copydoc try_add
    /// @throws quant::error
    void add(std::string_view key, std::string_view value) { try_add(key, value).value(); }
    /// @copydoc try_add(const entry&)
    /// @throws quant::error
    void add(const entry& copied) { try_add(copied).value(); }
    /// @copydoc try_add_array
    /// @throws quant::error
    template <metadata_values V>
    void add_array(std::string_view key, const V& values) {
        try_add_array(key, values).value();
    }
    /// @copydoc try_add_tensor
    /// @throws quant::error
    void add_tensor(std::string_view name, gguf::type which, std::span<const std::size_t> shape) {
        try_add_tensor(name, which, shape).value();
    }
    /// @copydoc try_add_tensor
    /// @throws quant::error
    void add_tensor(std::string_view name, gguf::type which,
                    std::initializer_list<std::size_t> shape) {
        try_add_tensor(name, which, shape).value();
    }
    /// @copydoc try_write
    /// @throws quant::error
    void write(std::span<const std::byte> data) { try_write(data).value(); }
    /// @copydoc try_finish
    /// @throws quant::error
    void finish() { try_finish().value(); }
#endif

private:
    static constexpr std::size_t longest_key = 65535;
    // The ggml project's reader keeps names in 64 bytes with a final zero.
    static constexpr std::size_t longest_tensor_name = 63;
    static constexpr std::size_t least_alignment = 8;
    static constexpr std::size_t largest_alignment = std::size_t{1} << 30;
    static constexpr std::string_view alignment_key = "general.alignment";

    struct tensor_bytes {
        std::size_t all;
        char name[longest_tensor_name + 1]; // for messages
    };

    explicit writer(detail::output_file file) noexcept : file_(std::move(file)) {}

    [[nodiscard]] result<void> check_declaring(const char* where) const noexcept;
    [[nodiscard]] static result<void> check_name(std::string_view name, std::size_t longest,
                                                 const detail::name_set& used,
                                                 const char* where) noexcept;
    [[nodiscard]] static result<void> check_text(std::string_view text) noexcept;
    [[nodiscard]] result<void> check_alignment(std::uint64_t value) const noexcept;

    template <class Put>
    [[nodiscard]] result<void> add_entry(std::string_view key, detail::maybe_size value_size,
                                         const Put& put) noexcept;
    template <class T, class Element>
    [[nodiscard]] result<void> add_elements(std::string_view key, std::size_t count,
                                            const Element& element) noexcept;
    [[nodiscard]] static result<std::size_t> bytes_of(std::string_view name, gguf::type which,
                                                      std::span<const std::size_t> shape) noexcept;

    [[nodiscard]] result<void> begin_data() noexcept;
    [[nodiscard]] result<void> pad(std::size_t size) noexcept;

    detail::output_file file_;
    detail::gguf_table entries_;
    detail::gguf_table infos_;
    detail::name_set keys_;
    detail::name_set names_;
    detail::growing<tensor_bytes> tensors_;
    std::uint64_t n_entries_ = 0;
    std::size_t alignment_ = 32;
    std::size_t data_size_ = 0; // of all tensors declared, padding included
    bool declaring_ = true;
    std::size_t current_ = 0; // the tensor whose bytes come next
    std::size_t done_ = 0;    // bytes of it written
};

} // namespace gguf
} // namespace quant::inline QUANT_ABI

#include <quant/io/gguf/writer_data.hpp>
#include <quant/io/gguf/writer_tables.hpp>
