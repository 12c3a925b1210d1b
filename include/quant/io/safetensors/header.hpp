// Reads the header of a safetensors file, trusting none of it.
//
//   size:u64  header: JSON of `size` bytes  data section, to the end of the file
//   { "__metadata__": { KEY: STRING … },
//     NAME: { "dtype": STRING, "shape": [ … ], "data_offsets": [ BEGIN, END ] } … }
//
// Offsets count from the data section, which the tensors cover without gaps. Memory follows what
// was read; time is O(n log n) in the header's size; nothing recurses on the input. Source: the
// safetensors project's format description and reference implementation.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/io/growing.hpp>
#include <quant/io/name_order.hpp>
#include <quant/io/safetensors/json.hpp>
#include <quant/io/safetensors/tensor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace safetensors {

/// An entry of "__metadata__": a text under a key, both valid UTF-8.
class metadata_entry {
public:
    [[nodiscard]] std::string_view key() const noexcept { return key_; }
    [[nodiscard]] std::string_view value() const noexcept { return value_; }

private:
    friend class detail::st_header;
    std::string_view key_;
    std::string_view value_;
};

} // namespace safetensors

namespace detail {

/// What a safetensors file says, once read; views point into its arrays and the file's bytes.
struct st_contents {
    growing<char> text;        // of names, keys and values
    growing<std::size_t> dims; // of all tensors
    growing<safetensors::tensor> tensors;
    growing<safetensors::metadata_entry> metadata;
    buffer<std::size_t> tensor_order;   // by name
    buffer<std::size_t> metadata_order; // by key
};

/// A field's name, "safetensors: tensors[3].shape".
struct st_field {
    st_field(const char* list, std::size_t item, const char* name) noexcept {
        std::snprintf(text, sizeof text, "safetensors: %s[%zu].%s", list, item, name);
    }
    char text[80];
};

/// Fills an st_contents from the bytes of a file.
class st_header {
public:
    st_header(std::span<const std::byte> bytes, st_contents& out) noexcept
        : bytes_(bytes), out_(out) {}

    [[nodiscard]] result<void> run() noexcept {
        const auto text = find_text();
        if (!text) return text.failure();
        auto parsed = guarded(header, [&] { return parse(*text); });
        if (!parsed) return parsed;
        data_ = bytes_.subspan(size_bytes + text->size());
        if (auto done = make_metadata(); !done) return done;
        if (auto done = make_tensors(); !done) return done;
        return check_cover();
    }

    // Events of the JSON text.
    [[nodiscard]] bool begin_object();
    [[nodiscard]] bool end_object();
    [[nodiscard]] bool begin_array();
    [[nodiscard]] bool end_array();
    [[nodiscard]] bool key(std::string_view name);
    [[nodiscard]] bool string(std::string_view text);
    [[nodiscard]] bool number(std::uint64_t value);
    [[nodiscard]] bool real(double) { return unexpected("a number that is no integer"); }
    [[nodiscard]] bool other(const char* what) { return unexpected(what); }

private:
    static constexpr std::size_t size_bytes = 8;
    static constexpr std::size_t largest_header = 100'000'000;
    static constexpr const char* header = "safetensors: header";

    /// Where the events stand.
    enum class level { start, root, metadata, tensor, shape, offsets, finished };
    enum class field { none, dtype, shape, data_offsets };
    static constexpr const char* field_names[] = {"", "dtype", "shape", "data_offsets"};

    struct text_place {
        std::size_t first = 0;
        std::size_t size = 0;
        std::size_t at = 0; // in the file
    };
    struct text_pair {
        text_place key;
        text_place value;
    };
    struct raw_tensor {
        text_place name;
        std::size_t first_dim = 0;
        std::size_t n_dims = 0;
        std::uint64_t offsets[2] = {};
        std::size_t n_offsets = 0;
        safetensors::dtype type = safetensors::dtype::f32;
        unsigned seen = 0; // a bit per field
    };

    [[nodiscard]] result<std::string_view> find_text() const noexcept;
    [[nodiscard]] result<void> parse(std::string_view text);
    [[nodiscard]] result<void> make_metadata() noexcept;
    [[nodiscard]] result<void> make_tensors() noexcept;
    [[nodiscard]] result<void> make_tensor(std::size_t i) noexcept;
    [[nodiscard]] result<void> check_cover() noexcept;

    [[nodiscard]] std::string_view text_of(const text_place& place) const noexcept {
        return {out_.text.span().data() + place.first, place.size};
    }
    [[nodiscard]] st_field tensor_field(const char* name) const noexcept {
        return {"tensors", tensors_.size(), name};
    }
    /// Where the last token stands in the file.
    [[nodiscard]] std::size_t at() const noexcept { return size_bytes + events_->at(); }
    [[nodiscard]] std::size_t string_at() const noexcept {
        return size_bytes + events_->string_at();
    }

    bool fail(error failure) noexcept {
        failure_ = failure;
        return false;
    }
    [[nodiscard]] bool unexpected(const char* what) noexcept;
    [[nodiscard]] bool keep(std::string_view text, text_place& into) noexcept;
    [[nodiscard]] bool tensor_key(std::string_view name) noexcept;
    [[nodiscard]] bool finish_tensor() noexcept;

    std::span<const std::byte> bytes_;
    std::span<const std::byte> data_;
    st_contents& out_;
    json_events<st_header>* events_ = nullptr;
    std::optional<error> failure_;

    level level_ = level::start;
    bool metadata_next_ = false;
    bool has_metadata_ = false;
    field field_ = field::none;
    text_pair entry_;
    raw_tensor tensor_;
    growing<text_pair> entries_;
    growing<raw_tensor> tensors_;
};

inline result<std::string_view> st_header::find_text() const noexcept {
    constexpr const char* where = "safetensors: header_size";
    if (bytes_.size() < size_bytes) {
        return make_error(errc::truncated, where, "at byte 0: the file has %zu bytes",
                          bytes_.size());
    }
    const auto size = load_le<std::uint64_t>(bytes_.data());
    const auto shown = static_cast<unsigned long long>(size);
    if (size > largest_header) {
        return make_error(errc::bad_format, where, "at byte 0: %llu bytes; at most %zu", shown,
                          largest_header);
    }
    if (size > bytes_.size() - size_bytes) {
        return make_error(errc::truncated, where, "at byte 0: %llu bytes, %zu left in the file",
                          shown, bytes_.size() - size_bytes);
    }
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + size_bytes,
                                static_cast<std::size_t>(size));
    if (text.empty() || text.front() != '{') {
        return make_error(errc::bad_format, header, "at byte %zu: no JSON object", size_bytes);
    }
    return text;
}

inline result<void> st_header::parse(std::string_view text) {
    json_events<st_header> events(text, *this);
    events_ = &events;
    const bool complete = events.run();
    events_ = nullptr;
    if (failure_) return *failure_;
    if (!complete || events.is_broken()) {
        return make_error(errc::bad_format, header, "at byte %zu: no valid JSON",
                          size_bytes + events.broken_at());
    }
    return {};
}

} // namespace detail
} // namespace quant::inline QUANT_ABI

#include <quant/io/safetensors/header_checks.hpp>
#include <quant/io/safetensors/header_events.hpp>
