// safetensors::writer: a safetensors file, written in order.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/core/little_endian.hpp>
#include <quant/core/utf8.hpp>
#include <quant/io/growing.hpp>
#include <quant/io/name_set.hpp>
#include <quant/io/output_file.hpp>
#include <quant/io/safetensors/dtype.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// JSON text under construction.
class st_json {
public:
    [[nodiscard]] result<void> append(std::string_view text, const char* where) noexcept {
        const auto room = text_.extend(text.size(), where);
        if (!room) return room.failure();
        std::copy(text.begin(), text.end(), room->begin());
        return {};
    }
    /// A string in quotes; the text is valid UTF-8.
    [[nodiscard]] result<void> append_string(std::string_view text, const char* where) noexcept {
        if (auto done = append("\"", where); !done) return done;
        while (!text.empty()) {
            const auto end = std::find_if(text.begin(), text.end(), is_special);
            const auto plain = static_cast<std::size_t>(end - text.begin());
            if (auto done = append(text.substr(0, plain), where); !done) return done;
            text.remove_prefix(plain);
            if (text.empty()) break;
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x",
                          unsigned{static_cast<unsigned char>(text.front())});
            if (auto done = append(escaped, where); !done) return done;
            text.remove_prefix(1);
        }
        return append("\"", where);
    }
    [[nodiscard]] result<void> append_number(std::size_t value, const char* where) noexcept {
        char digits[24];
        std::snprintf(digits, sizeof digits, "%zu", value);
        return append(digits, where);
    }

    void shrink(std::size_t size) noexcept { text_.shrink(size); }
    [[nodiscard]] std::size_t size() const noexcept { return text_.size(); }
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
        return std::as_bytes(text_.span());
    }

private:
    [[nodiscard]] static bool is_special(char c) noexcept {
        return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
    }

    growing<char> text_;
};

} // namespace detail

namespace safetensors {

/// Writes a safetensors file: metadata and tensors are declared first, in any order, then the
/// tensors' bytes follow in the order of their declaration. Move only.
///
///     auto out = safetensors::writer::create("model.safetensors");
///     out.add("format", "pt");
///     out.add_tensor("w", safetensors::dtype::f16, {1024, 4096}); // 1024 rows
///     out.write(first_half); // in as many pieces as you like
///     out.write(second_half);
///     out.finish();
///
/// Only names, metadata and shapes stay in memory. The file is written under a name beside its own,
/// NAME.partN, which finish() changes to NAME, replacing a file of this name; a writer that is
/// dropped before, or whose file the system refuses to write, leaves nothing behind.
///
/// The data section starts at a multiple of 64 bytes. The format allows no gaps between tensors, so
/// that a tensor is aligned as the sizes of those before it have it: declare the widest elements
/// first for each to be aligned to its elements.
///
/// Every call that returns invalid_argument, shape_mismatch, null_data, size_overflow or
/// out_of_memory has changed nothing, and the writer goes on; after io_failed it is closed. A
/// closed writer answers invalid_argument.
class writer {
public:
    /// Begins a file. @param path what it is to be called; if it is there already, it must be a
    /// regular file or a symbolic link (which is replaced, not followed).
    /// Errors: invalid_argument for a path that names no file, not_found if its folder is not
    /// there, io_failed if it cannot be written to.
    [[nodiscard]] static result<writer> try_create(const std::filesystem::path& path) noexcept {
        auto file = detail::output_file::create(path, "safetensors::writer::create: path");
        if (!file) return file.failure();
        return writer(*std::move(file));
    }

    /// Adds a text under a key of "__metadata__".
    /// Errors: invalid_argument for text that is no UTF-8, a key that was there before, or data
    /// written already; size_overflow for a header above 100 MB; out_of_memory.
    [[nodiscard]] result<void> try_add(std::string_view key, std::string_view value) noexcept;

    /// Declares a tensor. @param shape any dimensions, the fastest last; zeros are allowed.
    /// Errors: invalid_argument for a name that is no UTF-8, is "__metadata__" or was there before,
    /// a value that is no dtype, or data written already; shape_mismatch for elements that do not
    /// end on a byte; size_overflow; out_of_memory.
    [[nodiscard]] result<void> try_add_tensor(std::string_view name, dtype which,
                                              std::span<const std::size_t> shape) noexcept;
    /// @copydoc try_add_tensor
    [[nodiscard]] result<void> try_add_tensor(std::string_view name, dtype which,
                                              std::initializer_list<std::size_t> shape) noexcept {
        return try_add_tensor(name, which, std::span(shape.begin(), shape.size()));
    }

    /// Writes the next bytes of the tensors, little-endian; they may be those of several. The first
    /// call closes the declarations.
    /// Errors: shape_mismatch for more bytes than all tensors still lack; null_data; io_failed.
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
    void add(std::string_view key, std::string_view value) { try_add(key, value).value(); }
    /// @copydoc try_add_tensor
    /// @throws quant::error
    void add_tensor(std::string_view name, dtype which, std::span<const std::size_t> shape) {
        try_add_tensor(name, which, shape).value();
    }
    /// @copydoc try_add_tensor
    /// @throws quant::error
    void add_tensor(std::string_view name, dtype which, std::initializer_list<std::size_t> shape) {
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
    static constexpr std::size_t size_bytes = 8;
    static constexpr std::size_t largest_header = 100'000'000;
    static constexpr std::size_t alignment = 64;

    explicit writer(detail::output_file file) noexcept : file_(std::move(file)) {}

    [[nodiscard]] result<void> check_declaring(const char* where) const noexcept;
    [[nodiscard]] result<void> check_name(std::string_view name, const detail::name_set& used,
                                          const char* where) const noexcept;
    [[nodiscard]] static result<std::size_t> bytes_of(std::string_view name, dtype which,
                                                      std::span<const std::size_t> shape) noexcept;
    /// Adds to a part of the header all that `build` appends, and the name, or nothing.
    template <class Build>
    [[nodiscard]] result<void> extend(detail::st_json& part, detail::name_set& names,
                                      std::string_view name, const char* where,
                                      const Build& build) noexcept;
    [[nodiscard]] std::size_t header_size() const noexcept {
        // Braces, a comma and "__metadata__":{} around the parts.
        return metadata_.size() + tensors_.size() + 32;
    }
    [[nodiscard]] result<void> begin_data() noexcept;

    detail::output_file file_;
    detail::st_json metadata_;
    detail::st_json tensors_;
    detail::name_set keys_;
    detail::name_set names_;
    std::size_t data_size_ = 0; // of all tensors declared
    std::size_t done_ = 0;      // bytes of it written
    bool declaring_ = true;
};

inline result<void> writer::check_declaring(const char* where) const noexcept {
    if (!file_.is_open()) {
        return detail::make_error(errc::invalid_argument, where, "the writer is closed");
    }
    if (!declaring_) {
        return detail::make_error(errc::invalid_argument, where, "data has been written");
    }
    return {};
}

inline result<void> writer::check_name(std::string_view name, const detail::name_set& used,
                                       const char* where) const noexcept {
    if (auto declaring = check_declaring(where); !declaring) return declaring;
    const std::size_t valid = detail::utf8_valid_prefix(name);
    if (valid < name.size()) {
        return detail::make_error(errc::invalid_argument, where, "no UTF-8 from byte %zu on",
                                  valid);
    }
    if (used.contains(name)) {
        return detail::make_error(errc::invalid_argument, where, "\"%s\" was there before",
                                  detail::printable_name(name).text);
    }
    return {};
}

template <class Build>
result<void> writer::extend(detail::st_json& part, detail::name_set& names, std::string_view name,
                            const char* where, const Build& build) noexcept {
    const std::size_t before = part.size();
    result<void> done = build();
    if (done && header_size() > largest_header) {
        done = detail::make_error(errc::size_overflow, where, "the header exceeds %zu bytes",
                                  largest_header);
    }
    if (done) done = names.insert(name, where);
    if (!done) part.shrink(before);
    return done;
}

inline result<void> writer::try_add(std::string_view key, std::string_view value) noexcept {
    constexpr const char* where = "safetensors::writer::add: key";
    if (auto valid = check_name(key, keys_, where); !valid) return valid;
    if (const auto valid = detail::utf8_valid_prefix(value); valid < value.size()) {
        return detail::make_error(errc::invalid_argument, "safetensors::writer::add: value",
                                  "no UTF-8 from byte %zu on", valid);
    }
    return extend(metadata_, keys_, key, where, [&]() -> result<void> {
        if (metadata_.size() > 0) {
            if (auto done = metadata_.append(",", where); !done) return done;
        }
        if (auto done = metadata_.append_string(key, where); !done) return done;
        if (auto done = metadata_.append(":", where); !done) return done;
        return metadata_.append_string(value, where);
    });
}

inline result<std::size_t> writer::bytes_of(std::string_view name, dtype which,
                                            std::span<const std::size_t> shape) noexcept {
    constexpr const char* where = "safetensors::writer::add_tensor: shape";
    const detail::printable_name shown(name);
    detail::maybe_size bits = bits_of(which);
    if (std::find(shape.begin(), shape.end(), std::size_t{0}) != shape.end()) bits = 0;
    for (const std::size_t dim : shape) {
        if (*bits == 0) break;
        bits = detail::checked_mul(bits, dim);
        if (!bits) {
            return detail::make_error(errc::size_overflow, where, "\"%s\" has more bytes than fit",
                                      shown.text);
        }
    }
    if (*bits % 8 != 0) {
        return detail::make_error(errc::shape_mismatch, where,
                                  "\"%s\", %zu elements of %s, does not end on a byte", shown.text,
                                  *bits / bits_of(which), to_string(which));
    }
    return *bits / 8;
}

inline result<void> writer::try_add_tensor(std::string_view name, dtype which,
                                           std::span<const std::size_t> shape) noexcept {
    constexpr const char* where = "safetensors::writer::add_tensor: name";
    if (auto valid = check_name(name, names_, where); !valid) return valid;
    if (name == "__metadata__") {
        return detail::make_error(errc::invalid_argument, where, "\"__metadata__\" is no tensor");
    }
    if (bits_of(which) == 0) {
        return detail::make_error(errc::invalid_argument, "safetensors::writer::add_tensor: dtype",
                                  "%u is no dtype", static_cast<unsigned>(which));
    }
    const auto bytes = bytes_of(name, which, shape);
    if (!bytes) return bytes.failure();
    const auto end = detail::checked_add(data_size_, *bytes);
    if (!detail::checked_add(end, size_bytes + largest_header)) {
        return detail::make_error(errc::size_overflow, "safetensors::writer::add_tensor: shape",
                                  "with \"%s\" the file has more bytes than fit",
                                  detail::printable_name(name).text);
    }
    auto added = extend(tensors_, names_, name, where, [&]() -> result<void> {
        result<void> done;
        const auto text = [&](std::string_view part) {
            if (done) done = tensors_.append(part, where);
        };
        const auto number = [&](std::size_t value) {
            if (done) done = tensors_.append_number(value, where);
        };
        if (tensors_.size() > 0) text(",");
        if (done) done = tensors_.append_string(name, where);
        text(":{\"dtype\":\"");
        text(to_string(which));
        text("\",\"shape\":[");
        for (std::size_t i = 0; i < shape.size(); ++i) {
            if (i > 0) text(",");
            number(shape[i]);
        }
        text("],\"data_offsets\":[");
        number(data_size_);
        text(",");
        number(*end);
        text("]}");
        return done;
    });
    if (added) data_size_ = *end;
    return added;
}

inline result<void> writer::begin_data() noexcept {
    constexpr const char* where = "safetensors::writer: header";
    detail::st_json text;
    result<void> done = text.append("{", where);
    const auto part = [&](std::string_view more) {
        if (done) done = text.append(more, where);
    };
    const auto view = [](const detail::st_json& json) {
        return std::string_view(reinterpret_cast<const char*>(json.bytes().data()), json.size());
    };
    if (metadata_.size() > 0) {
        part("\"__metadata__\":{");
        part(view(metadata_));
        part("}");
        if (tensors_.size() > 0) part(",");
    }
    part(view(tensors_));
    part("}");
    while (done && (size_bytes + text.size()) % alignment != 0) part(" ");
    if (!done) return done;

    std::byte size[size_bytes];
    detail::store_le(size, std::uint64_t{text.size()});
    declaring_ = false;
    if (auto written = file_.write(size, where); !written) return written;
    return file_.write(text.bytes(), where);
}

inline result<void> writer::try_write(std::span<const std::byte> data) noexcept {
    constexpr const char* where = "safetensors::writer::write: data";
    if (!file_.is_open()) {
        return detail::make_error(errc::invalid_argument, where, "the writer is closed");
    }
    if (data.empty()) return {};
    if (data.data() == nullptr) {
        return detail::make_error(errc::null_data, where, "%zu bytes at null", data.size());
    }
    if (data.size() > data_size_ - done_) {
        return detail::make_error(errc::shape_mismatch, where,
                                  "%zu bytes; the tensors lack %zu of their %zu", data.size(),
                                  data_size_ - done_, data_size_);
    }
    if (declaring_) {
        if (auto begun = begin_data(); !begun) return begun;
    }
    if (auto done = file_.write(data, where); !done) return done;
    done_ += data.size();
    return {};
}

inline result<void> writer::try_finish() noexcept {
    constexpr const char* where = "safetensors::writer::finish";
    if (!file_.is_open()) {
        return detail::make_error(errc::invalid_argument, where, "the writer is closed");
    }
    if (done_ < data_size_) {
        return detail::make_error(errc::shape_mismatch, where,
                                  "the tensors lack %zu of their %zu bytes", data_size_ - done_,
                                  data_size_);
    }
    if (declaring_) {
        if (auto begun = begin_data(); !begun) return begun;
    }
    return file_.commit(where);
}

} // namespace safetensors
} // namespace quant::inline QUANT_ABI
