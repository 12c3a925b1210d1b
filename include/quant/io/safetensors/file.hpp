// safetensors::file: a safetensors file, opened and checked.
#pragma once

#include <quant/io/mapped_file.hpp>
#include <quant/io/safetensors/header.hpp>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace safetensors {

/// A safetensors file, checked as a whole when made; read only, move only.
///
/// Every name, shape and byte range that it hands out lies within the file or the object; tensors
/// cover the data section without gaps or overlap; names and keys are unique. What the elements are
/// is not looked at. Names and values are valid as long as the file object, or the one that it was
/// moved to; data() is a view into the file's bytes, for parse() the caller's. A const file may be
/// used from many threads at once.
///
/// Errors, where names the field ("safetensors: tensors[3].shape", counted in the header's order)
/// and the message its place ("at byte 1234: …"; of numbers and brackets the byte behind them):
/// truncated for a file that ends before its contents; bad_format for contents against the rules,
/// duplicate keys and a header above 100 MB included; unsupported for an unknown dtype or key of a
/// tensor; size_overflow for a shape beyond the address space; out_of_memory. For open also
/// not_found and io_failed.
///
/// Opening takes O(n log n) time for n bytes of header, and memory of at most forty times these
/// bytes, whatever the file claims. Tensor data is not touched.
class file {
public:
    /// Opens a file, memory-mapped: other programs must not shorten it meanwhile.
    /// @param path of a regular file.
    [[nodiscard]] static result<file> try_open(const std::filesystem::path& path) noexcept {
        auto bytes = detail::file_bytes::map(path, "safetensors::open: path");
        if (!bytes) return bytes.failure();
        auto made = try_parse(bytes->bytes());
        if (made) made->bytes_ = *std::move(bytes);
        return made;
    }

    /// Reads a file that is in memory already. @param bytes of the whole file, at any address; they
    /// must outlive the result.
    [[nodiscard]] static result<file> try_parse(std::span<const std::byte> bytes) noexcept {
        file made;
        if (auto done = detail::st_header(bytes, made.contents_).run(); !done) {
            return done.failure();
        }
        return made;
    }

#if QUANT_HAS_EXCEPTIONS
    /// @copydoc try_open
    /// @throws quant::error
    [[nodiscard]] static file open(const std::filesystem::path& path) {
        return try_open(path).value();
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

    /// All tensors, in the header's order.
    [[nodiscard]] std::span<const tensor> tensors() const noexcept {
        return contents_.tensors.span();
    }
    /// The tensor of this name, or null. Takes O(log n) comparisons.
    [[nodiscard]] const tensor* find(std::string_view name) const noexcept {
        return detail::find_by_name(tensors(), contents_.tensor_order.span(), name);
    }

    /// The entries of "__metadata__", in the header's order.
    [[nodiscard]] std::span<const metadata_entry> metadata() const noexcept {
        return contents_.metadata.span();
    }
    /// The text of a key of "__metadata__", or nothing. Takes O(log n) comparisons.
    [[nodiscard]] std::optional<std::string_view>
    find_metadata(std::string_view key) const noexcept {
        const auto* const found =
            detail::find_by_name(metadata(), contents_.metadata_order.span(), key);
        return found != nullptr ? std::optional(found->value()) : std::nullopt;
    }

private:
    file() noexcept = default;

    detail::file_bytes bytes_; // empty if the caller keeps them
    detail::st_contents contents_;
};

} // namespace safetensors
} // namespace quant::inline QUANT_ABI
