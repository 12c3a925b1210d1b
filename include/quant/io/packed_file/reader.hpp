// packed_file: a model in the kernels' layout, mapped and run as it lies.
#pragma once

#include <quant/core/row_ranges.hpp>
#include <quant/core/utf8.hpp>
#include <quant/io/gguf/file.hpp>
#include <quant/io/growing.hpp>
#include <quant/io/packed_file/format.hpp>
#include <quant/io/xxh64.hpp>
#include <quant/pack/any_packed_view.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// The place of an error about a tensor.
struct packed_file_where {
    explicit packed_file_where(std::string_view name) noexcept {
        std::snprintf(text, sizeof text, "packed_file: %s", printable_name(name).text);
    }
    char text[64];
};

} // namespace detail

/// A packed matrix in a file: its name, its header and its bytes, valid as long as the file.
class packed_tensor {
public:
    [[nodiscard]] std::string_view name() const noexcept { return stored_->name(); }
    /// Scheme and shape.
    [[nodiscard]] const packed_header& header() const noexcept { return header_; }
    /// All bytes, header first, on a 64-byte boundary: what packed_view_of takes.
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return stored_->data(); }

private:
    friend class packed_file;

    const gguf::tensor* stored_ = nullptr;
    packed_header header_;
};

/// Whether a GGUF file says of itself that it is a packed file.
[[nodiscard]] inline bool is_packed_file(const gguf::file& container) noexcept {
    return container.find_metadata(detail::packed_version_key) != nullptr;
}

/// A packed file: a GGUF file (docs/layout.md) whose matrices lie in it as packed_matrix::bytes()
/// gives them, beside a model's other tensors and its metadata. Read only, move only.
///
///     const auto model = packed_file::open("model.gguf");
///     const packed_view<w4> w = model.view<w4>("blk.0.ffn_down.weight"); // nothing is copied
///
/// Opening checks the file as gguf::file does, the header of every packed matrix against the size
/// of its tensor, and that there is one checksum for each tensor. It touches a page per matrix:
/// a mapped file is read as its weights are used. The checksums are compared by verify() alone,
/// which reads everything: call it where a file comes from a network or an old disk. Damaged
/// weights make wrong products, never more harm; metadata have no checksum.
///
/// Views are valid as long as the file object or the one that it was moved to. A const file may be
/// used from many threads at once.
///
/// Errors of opening: those of gguf::file; bad_format for a GGUF file that is no packed file, or
/// breaks its rules; unsupported for a later layout, or another kind of checksum; those of
/// read_packed_header, bad_layout and truncated for a matrix, naming its tensor; misaligned for
/// bytes given to parse() that do not start on a 64-byte boundary.
class packed_file {
public:
    /// Opens a file. @param how its bytes are accessed: see gguf::file_access.
    [[nodiscard]] static result<packed_file>
    try_open(const std::filesystem::path& path,
             gguf::file_access how = gguf::file_access::map) noexcept {
        auto container = gguf::file::try_open(path, how);
        if (!container) return container.failure();
        return try_from(*std::move(container));
    }
    /// Reads a file that is in memory already. @param bytes of the whole file, on a 64-byte
    /// boundary; they must outlive the result.
    [[nodiscard]] static result<packed_file> try_parse(std::span<const std::byte> bytes) noexcept {
        auto container = gguf::file::try_parse(bytes);
        if (!container) return container.failure();
        return try_from(*std::move(container));
    }
    /// Takes a GGUF file that is open already.
    [[nodiscard]] static result<packed_file> try_from(gguf::file container) noexcept {
        packed_file made(std::move(container));
        if (auto done = made.check(); !done) return done.failure();
        return made;
    }

    /// The packed matrices, in the file's order.
    [[nodiscard]] std::span<const packed_tensor> matrices() const noexcept {
        return matrices_.span();
    }

    /// The packed matrix of this name, or null. Takes O(log n) comparisons.
    [[nodiscard]] const packed_tensor* find(std::string_view name) const noexcept {
        const gguf::tensor* const stored = container_.find(name);
        const auto all = matrices();
        // Matrices lie in the order of the tensors, among which `stored` is one.
        const auto found =
            std::lower_bound(all.begin(), all.end(), stored,
                             [](const packed_tensor& one, const gguf::tensor* wanted) {
                                 return one.stored_ < wanted;
                             });
        return stored != nullptr && found != all.end() && found->stored_ == stored ? &*found
                                                                                   : nullptr;
    }

    /// The GGUF file itself: its metadata, and all tensors. Of these, one-dimensional ones of type
    /// I8 are packed matrices, and quant.packed.checksums is the last.
    [[nodiscard]] const gguf::file& container() const noexcept { return container_; }

    /// A packed matrix of a known scheme, in the file's memory.
    /// Errors: not_found, naming it; those of try_packed_view_of.
    template <quantization_scheme S>
    [[nodiscard]] result<packed_view<S>> try_view(std::string_view name) const noexcept {
        const auto bytes = bytes_of(name);
        if (!bytes) return bytes.failure();
        auto view = try_packed_view_of<S>(*bytes);
        if (!view) return about(name, view.failure());
        return view;
    }
    /// A packed matrix of one of several schemes, in the file's memory.
    /// @tparam Any an any_packed_view<Schemes...>.
    /// Errors: not_found, naming it; those of any_packed_view::try_of.
    template <class Any>
    [[nodiscard]] result<Any> try_view_any(std::string_view name) const noexcept {
        const auto bytes = bytes_of(name);
        if (!bytes) return bytes.failure();
        auto view = Any::try_of(*bytes);
        if (!view) return about(name, view.failure());
        return view;
    }

    /// Compares the checksums of all tensors with their bytes, a task for each.
    /// Errors: checksum_mismatch, naming the first tensor in the file's order that is damaged;
    /// executor_failed.
    template <executor E = const serial_executor&>
    [[nodiscard]] result<void> try_verify(E&& run = serial) const noexcept {
        return detail::for_each_row_range(
            run, checksummed(), 1, "packed_file::verify",
            [&](std::size_t first, std::size_t) { return check_sum(first); });
    }
    /// Compares the checksum of one tensor, packed or plain, with its bytes.
    /// Errors: not_found; checksum_mismatch.
    [[nodiscard]] result<void> try_verify(std::string_view name) const noexcept {
        const gguf::tensor* const found = container_.find(name);
        const auto tensors = container_.tensors();
        if (found == nullptr || found == &tensors.back()) return nothing_called(name);
        return check_sum(static_cast<std::size_t>(found - tensors.data()));
    }

#if QUANT_HAS_EXCEPTIONS
    /// @copydoc try_open
    /// @throws quant::error
    [[nodiscard]] static packed_file open(const std::filesystem::path& path,
                                          gguf::file_access how = gguf::file_access::map) {
        return try_open(path, how).value();
    }
    /// @copydoc try_parse
    /// @throws quant::error
    [[nodiscard]] static packed_file parse(std::span<const std::byte> bytes) {
        return try_parse(bytes).value();
    }
    /// @copydoc try_from
    /// @throws quant::error
    [[nodiscard]] static packed_file from(gguf::file container) {
        return try_from(std::move(container)).value();
    }
    /// @copydoc try_view
    /// @throws quant::error
    template <quantization_scheme S>
    [[nodiscard]] packed_view<S> view(std::string_view name) const {
        return try_view<S>(name).value();
    }
    /// @copydoc try_view_any
    /// @throws quant::error
    template <class Any>
    [[nodiscard]] Any view_any(std::string_view name) const {
        return try_view_any<Any>(name).value();
    }
    /// @copydoc try_verify
    /// @throws quant::error
    template <executor E = const serial_executor&>
    void verify(E&& run = serial) const {
        try_verify(run).value();
    }
    /// @copydoc try_verify(std::string_view)
    /// @throws quant::error
    void verify(std::string_view name) const { try_verify(name).value(); }
#endif

private:
    explicit packed_file(gguf::file container) noexcept : container_(std::move(container)) {}

    [[nodiscard]] result<void> check() noexcept;
    [[nodiscard]] result<void> check_metadata() const noexcept;
    [[nodiscard]] result<void> check_checksums() const noexcept;
    [[nodiscard]] result<void> add_matrix(const gguf::tensor& stored) noexcept;
    [[nodiscard]] result<void> check_sum(std::size_t which) const noexcept;

    /// How many tensors have a checksum: all but the last, which holds them.
    [[nodiscard]] std::size_t checksummed() const noexcept {
        return container_.tensors().size() - 1;
    }
    [[nodiscard]] static error nothing_called(std::string_view name) noexcept {
        return error(errc::not_found, detail::packed_file_where(name).text, "no such tensor");
    }
    [[nodiscard]] static error about(std::string_view name, const error& failure) noexcept {
        return error(failure.code(), detail::packed_file_where(name).text, failure.what());
    }
    [[nodiscard]] result<std::span<const std::byte>>
    bytes_of(std::string_view name) const noexcept {
        const packed_tensor* const found = find(name);
        if (found != nullptr) return found->bytes();
        if (container_.find(name) == nullptr) return nothing_called(name);
        return error(errc::not_found, detail::packed_file_where(name).text,
                     "is no packed matrix, but a tensor of numbers");
    }

    gguf::file container_;
    detail::growing<packed_tensor> matrices_;
};

} // namespace quant::inline QUANT_ABI

#include <quant/io/packed_file/reader_checks.hpp>
