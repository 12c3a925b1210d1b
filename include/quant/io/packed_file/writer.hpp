// packed_file_writer: a model in the kernels' layout, written in order.
#pragma once

#include <quant/core/utf8.hpp>
#include <quant/io/gguf/file.hpp>
#include <quant/io/gguf/writer.hpp>
#include <quant/io/growing.hpp>
#include <quant/io/packed_file/format.hpp>
#include <quant/io/xxh64.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

namespace quant::inline QUANT_ABI {

/// Writes a packed file (see packed_file): metadata, packed matrices and plain tensors are declared
/// first, in any order, then the bytes of matrices and tensors follow in the order of their
/// declaration. Move only.
///
///     auto out = packed_file_writer::create("model.packed.gguf");
///     out.copy_metadata(gguf::file::open("model.gguf"));
///     out.add_tensor("output_norm.weight", gguf::type::f32, {576});
///     out.add_matrix<w4>("output.weight", 49152, 576);
///     out.write(norm);
///     out.write(quantize_packed<w4>(weights).bytes());
///     out.finish();
///
/// Only names, metadata, shapes and headers stay in memory; data may be larger than it. As
/// gguf::writer, the file appears under its name when finish() has completed it, and a call that
/// fails has changed nothing, unless it says io_failed, which closes the writer. What is said of
/// names, keys and values there holds here; keys and tensors called quant.packed.… and the key
/// general.alignment, which is 64, are the writer's own: invalid_argument.
class packed_file_writer {
public:
    /// Begins a file. Errors: those of gguf::writer::try_create.
    [[nodiscard]] static result<packed_file_writer>
    try_create(const std::filesystem::path& path) noexcept;

    /// Adds a key with its value. Errors: those of gguf::writer::try_add.
    template <gguf::metadata_value T>
    [[nodiscard]] result<void> try_add(std::string_view key, T value) noexcept {
        if (auto free = check_key(key); !free) return free;
        return out_.try_add(key, value);
    }
    /// @copydoc try_add
    [[nodiscard]] result<void> try_add(std::string_view key, std::string_view value) noexcept {
        return try_add<std::string_view>(key, value);
    }
    /// Adds a key with an array of values. Errors: as try_add.
    template <gguf::metadata_values V>
    [[nodiscard]] result<void> try_add_array(std::string_view key, const V& values) noexcept {
        if (auto free = check_key(key); !free) return free;
        return out_.try_add_array(key, values);
    }
    /// Adds all metadata of a model but those that this writer writes itself. An error may leave
    /// some of them added. Errors: as try_add.
    [[nodiscard]] result<void> try_copy_metadata(const gguf::file& model) noexcept;

    /// Declares a packed matrix of scheme S.
    /// Errors: those of gguf::writer::try_add_tensor for the name; empty for a shape without
    /// elements; size_overflow, out_of_memory.
    template <quantization_scheme S>
    [[nodiscard]] result<void> try_add_matrix(std::string_view name, std::size_t rows,
                                              std::size_t cols) noexcept {
        constexpr const char* where = "packed_file_writer::add_matrix: shape";
        if (rows == 0 || cols == 0) {
            return detail::make_error(errc::empty, where, "%zu x %zu has no elements", rows, cols);
        }
        if (packed_size<S>(rows, cols) == 0) {
            return detail::make_error(errc::size_overflow, where,
                                      "%zu x %zu exceeds the address space", rows, cols);
        }
        return try_add_matrix_of(name, packed_header_of<S>(rows, cols));
    }
    /// Declares a packed matrix that is there already. @param bytes what bytes() of a packed_matrix
    /// or any_packed_matrix gives; they are not kept.
    /// Errors: as above; those of read_packed_header, and bad_layout or truncated if the header
    /// does not fit the size.
    [[nodiscard]] result<void> try_add_matrix(std::string_view name,
                                              std::span<const std::byte> bytes) noexcept {
        const auto header = detail::check_packed_bytes(bytes, bytes.size());
        if (!header) return header.failure();
        return add_packed(name, bytes.first(detail::packed_header_bytes), bytes.size());
    }
    /// Declares a packed matrix by its header, as packed_header_of gives it.
    /// Errors: as above; size_overflow.
    [[nodiscard]] result<void> try_add_matrix_of(std::string_view name,
                                                 std::span<const std::byte, 64> header) noexcept {
        const auto shape = detail::check_packed_header(header);
        if (!shape) return shape.failure();
        return add_packed(name, header, detail::packed_bytes_of(*shape).value_or(0));
    }

    /// Declares a tensor of any GGUF type. Errors: those of gguf::writer::try_add_tensor;
    /// invalid_argument for one dimension of i8, which would be a packed matrix: give it a second
    /// dimension of 1.
    [[nodiscard]] result<void> try_add_tensor(std::string_view name, gguf::type which,
                                              std::span<const std::size_t> shape) noexcept;
    /// @copydoc try_add_tensor
    [[nodiscard]] result<void> try_add_tensor(std::string_view name, gguf::type which,
                                              std::initializer_list<std::size_t> shape) noexcept {
        return try_add_tensor(name, which, std::span(shape.begin(), shape.size()));
    }

    /// Writes the next bytes of the first matrix or tensor that is not complete, in any pieces, but
    /// that the first of a matrix holds its header. The first call closes the declarations.
    /// Errors: those of gguf::writer::try_write; bad_layout for a matrix that does not begin with
    /// the header of the scheme and shape declared.
    [[nodiscard]] result<void> try_write(std::span<const std::byte> data) noexcept;

    /// Adds the checksums and completes the file as gguf::writer does. Errors: empty if nothing was
    /// declared; shape_mismatch if a tensor lacks bytes; those of gguf::writer::try_finish.
    [[nodiscard]] result<void> try_finish() noexcept;

#if QUANT_HAS_EXCEPTIONS
    /// @copydoc try_create
    /// @throws quant::error
    [[nodiscard]] static packed_file_writer create(const std::filesystem::path& path) {
        return try_create(path).value();
    }
    /// @copydoc try_add
    /// @throws quant::error
    template <gguf::metadata_value T>
    void add(std::string_view key, T value) {
        try_add(key, value).value();
    }
    /// @copydoc try_add
    /// @throws quant::error
    void add(std::string_view key, std::string_view value) { try_add(key, value).value(); }
    /// @copydoc try_add_array
    /// @throws quant::error
    template <gguf::metadata_values V>
    void add_array(std::string_view key, const V& values) {
        try_add_array(key, values).value();
    }
    /// @copydoc try_copy_metadata
    /// @throws quant::error
    void copy_metadata(const gguf::file& model) { try_copy_metadata(model).value(); }
    /// @copydoc try_add_matrix
    /// @throws quant::error
    template <quantization_scheme S>
    void add_matrix(std::string_view name, std::size_t rows, std::size_t cols) {
        try_add_matrix<S>(name, rows, cols).value();
    }
    /// @copydoc try_add_matrix(std::string_view, std::span<const std::byte>)
    /// @throws quant::error
    void add_matrix(std::string_view name, std::span<const std::byte> bytes) {
        try_add_matrix(name, bytes).value();
    }
    /// @copydoc try_add_matrix_of
    /// @throws quant::error
    void add_matrix_of(std::string_view name, std::span<const std::byte, 64> header) {
        try_add_matrix_of(name, header).value();
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
    /// What was declared, in order.
    struct declared {
        std::size_t bytes = 0;
        bool is_packed = false;
        std::byte header[detail::packed_header_bytes] = {};  // of a packed matrix
        char name[sizeof detail::printable_name::text] = {}; // for messages
    };

    explicit packed_file_writer(gguf::writer out) noexcept : out_(std::move(out)) {}

    [[nodiscard]] static bool is_own_key(std::string_view key) noexcept {
        return key == detail::packed_alignment_key || key.starts_with(detail::packed_prefix);
    }
    [[nodiscard]] static result<void> check_key(std::string_view key) noexcept;
    [[nodiscard]] result<void> add_packed(std::string_view name, std::span<const std::byte> header,
                                          std::size_t size) noexcept;
    [[nodiscard]] result<void> declare(std::string_view name, gguf::type which,
                                       std::span<const std::size_t> shape, declared what) noexcept;
    [[nodiscard]] result<void> check_piece(std::span<const std::byte> data) const noexcept;
    [[nodiscard]] result<void> close_declarations() noexcept;

    gguf::writer out_;
    detail::growing<declared> declared_;
    detail::growing<std::byte> checksums_;
    detail::xxh64 hash_;
    bool declaring_ = true;
    std::size_t current_ = 0; // whose bytes come next
    std::size_t done_ = 0;    // bytes of it written
};

} // namespace quant::inline QUANT_ABI

#include <quant/io/packed_file/writer_steps.hpp>
