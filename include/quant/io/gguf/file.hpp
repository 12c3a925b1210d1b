// gguf::file: a GGUF model file, opened and checked.
#pragma once

#include <quant/io/gguf/contents.hpp>
#include <quant/io/gguf/parser.hpp>
#include <quant/io/mapped_file.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace gguf {

/// How open() gets at a file's bytes.
enum class file_access {
    map,  ///< no copy; other programs must not shorten the file meanwhile (reading the lost part
          ///< ends the process); platforms without mappings read instead
    read, ///< a copy in memory, whatever happens to the file
};

/// A GGUF file, version 2 or 3, little-endian; checked as a whole when made, read only, move only.
///
/// Every name, shape and byte range that it hands out lies within the file; no two tensors
/// overlap; keys and tensor names are unique. What stands in the tensors' blocks is not looked at.
/// Names, values, arrays and data() are views into the file's bytes, valid as long as the file
/// object or the one that it was moved to (and, for parse(), the caller's bytes). A const file may
/// be used from many threads at once.
///
/// Errors, where names the field ("gguf: tensors[3].offset") and the message its place ("at byte
/// 1234: …"): truncated for a file that ends before its contents; bad_format for contents against
/// the rules; unsupported for version 1, big-endian files, arrays of arrays, and tensor types that
/// are unknown, removed from the format or a fork's; out_of_memory. For open also not_found and
/// io_failed.
///
/// Opening takes O(n log n) time for n bytes of metadata, and memory of at most ten times these
/// bytes, whatever the file claims. Tensor data is not touched.
class file {
public:
    /// Opens a file. @param path of a regular file. @param how its bytes are accessed.
    [[nodiscard]] static result<file> try_open(const std::filesystem::path& path,
                                               file_access how = file_access::map) noexcept {
        constexpr const char* where = "gguf::open: path";
        auto bytes = how == file_access::map ? detail::file_bytes::map(path, where)
                                             : detail::file_bytes::read(path, where);
        if (!bytes) return bytes.failure();
        auto made = try_parse(bytes->bytes());
        if (made) made->bytes_ = *std::move(bytes);
        return made;
    }

    /// Reads a file that is in memory already. @param bytes of the whole file, at any address; they
    /// must outlive the result.
    [[nodiscard]] static result<file> try_parse(std::span<const std::byte> bytes) noexcept {
        file made;
        if (auto done = detail::gguf_parser(bytes, made.contents_).run(); !done) {
            return done.failure();
        }
        return made;
    }

#if QUANT_HAS_EXCEPTIONS
    /// @copydoc try_open
    /// @throws quant::error
    [[nodiscard]] static file open(const std::filesystem::path& path,
                                   file_access how = file_access::map) {
        return try_open(path, how).value();
    }

    /// @copydoc try_parse
    /// @throws quant::error
    [[nodiscard]] static file parse(std::span<const std::byte> bytes) {
        return try_parse(bytes).value();
    }
#endif

    file(file&&) noexcept = default;
    file& operator=(file&&) noexcept = default;
    ~file() = default;

    /// 2 or 3; both mean the same to a reader.
    [[nodiscard]] std::uint32_t version() const noexcept { return contents_.version; }

    /// Tensors start at multiples of this many bytes from the data section: a power of two.
    [[nodiscard]] std::size_t alignment() const noexcept { return contents_.alignment; }

    /// All tensors, in the file's order.
    [[nodiscard]] std::span<const tensor> tensors() const noexcept {
        return contents_.tensors.span();
    }

    /// The tensor of this name, or null. Takes O(log n) comparisons.
    [[nodiscard]] const tensor* find(std::string_view name) const noexcept {
        return detail::find_by_name(tensors(), contents_.tensor_order.span(), name);
    }

    /// All keys with their values, in the file's order.
    [[nodiscard]] std::span<const entry> metadata() const noexcept {
        return contents_.entries.span();
    }

    /// The entry of this key, or null. Takes O(log n) comparisons.
    [[nodiscard]] const entry* find_metadata(std::string_view key) const noexcept {
        return detail::find_by_name(metadata(), contents_.entry_order.span(), key);
    }

    /// A key's value as a T (see entry::get), or nothing if there is no such key or it is no T.
    template <metadata_value T>
    [[nodiscard]] std::optional<T> get(std::string_view key) const noexcept {
        const entry* const found = find_metadata(key);
        return found != nullptr ? found->template get<T>() : std::nullopt;
    }

    /// A key's array, or nothing if there is no such key or its value is no array.
    [[nodiscard]] std::optional<array_view> array(std::string_view key) const noexcept {
        const entry* const found = find_metadata(key);
        return found != nullptr ? found->array() : std::nullopt;
    }

private:
    file() noexcept = default;

    detail::file_bytes bytes_; // empty if the caller keeps them
    detail::gguf_contents contents_;
};

} // namespace gguf
} // namespace quant::inline QUANT_ABI
