// Reads a GGUF file's bytes, trusting none of them.
//
//   "GGUF"  version:u32  tensors:u64  entries:u64
//   entries × { key:string  type:u32  value }              string: length:u64, UTF-8
//   tensors × { name:string  n_dims:u32  dims:u64 × n_dims  type:u32  offset:u64 }
//   padding to the alignment, then the data section, in which offsets count
//
// Memory follows what was read, never what a count promises; time is O(n log n) in the file's
// size; nothing recurses on the input. Source: the ggml project's GGUF specification.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/io/gguf/contents.hpp>
#include <quant/io/gguf/cursor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Fills a gguf_contents from the bytes of a file.
class gguf_parser {
public:
    gguf_parser(std::span<const std::byte> bytes, gguf_contents& out) noexcept
        : file_size_(bytes.size()), start_(bytes.data()), in_(bytes), out_(out) {}

    [[nodiscard]] result<void> run() noexcept {
        if (auto done = read_magic(); !done) return done;
        if (auto done = read_version(); !done) return done;
        const auto n_tensors = in_.count({"n_tensors"}, least_tensor);
        if (!n_tensors) return n_tensors.failure();
        const auto n_entries = in_.count({"n_kv"}, least_entry);
        if (!n_entries) return n_entries.failure();
        if (auto done = read_entries(*n_entries); !done) return done;
        if (auto done = read_tensors(*n_tensors); !done) return done;
        return place_tensors();
    }

private:
    // The fewest bytes that an entry (key of one byte, value of one) and a tensor take.
    static constexpr std::size_t least_entry = 8 + 1 + 4 + 1;
    static constexpr std::size_t least_tensor = 8 + 1 + 4 + 8 + 4 + 8;
    static constexpr std::size_t longest_key = 65535;
    static constexpr std::size_t longest_tensor_name = 64;
    static constexpr std::size_t largest_alignment = std::size_t{1} << 30;

    [[nodiscard]] static gguf_field entry_field(const char* name, std::size_t i) noexcept {
        return {name, "metadata", i};
    }
    [[nodiscard]] static gguf_field tensor_field(const char* name, std::size_t i) noexcept {
        return {name, "tensors", i};
    }
    [[nodiscard]] std::size_t position_of(const void* inside) const noexcept {
        return static_cast<std::size_t>(static_cast<const std::byte*>(inside) - start_);
    }

    [[nodiscard]] result<void> read_magic() noexcept;
    [[nodiscard]] result<void> read_version() noexcept;

    [[nodiscard]] result<void> read_entries(std::size_t count) noexcept;
    [[nodiscard]] result<gguf::entry> read_entry(std::size_t i) noexcept;
    [[nodiscard]] result<void> read_value(std::size_t i, gguf::entry& into) noexcept;
    [[nodiscard]] result<void> read_array(std::size_t i, gguf::entry& into) noexcept;
    [[nodiscard]] result<void> read_strings(std::size_t i, std::size_t count) noexcept;
    [[nodiscard]] result<void> check_booleans(const gguf_field& field,
                                              std::size_t count) const noexcept;
    [[nodiscard]] result<void> read_alignment() noexcept;

    [[nodiscard]] result<void> read_tensors(std::size_t count) noexcept;
    [[nodiscard]] result<gguf::tensor> read_tensor(std::size_t i) noexcept;
    [[nodiscard]] result<void> read_shape(std::size_t i, gguf::tensor& into) noexcept;
    [[nodiscard]] result<void> read_type(std::size_t i, gguf::tensor& into) noexcept;
    [[nodiscard]] result<void> place_tensors() noexcept;
    [[nodiscard]] result<void> place_tensor(std::size_t i, std::size_t data_section) noexcept;
    [[nodiscard]] result<void> check_overlap() noexcept;
    /// Where the offset of a tensor stands in the file.
    [[nodiscard]] std::size_t offset_position(const gguf::tensor& of) const noexcept {
        const std::string_view name = of.name();
        return position_of(name.data()) + name.size() + 4 + 8 * of.n_dims_ + 4;
    }

    std::size_t file_size_;
    const std::byte* start_;
    gguf_cursor in_;
    gguf_contents& out_;
};

inline result<void> gguf_parser::read_magic() noexcept {
    const gguf_field field{"magic"};
    if (in_.remaining() < 4) {
        return gguf_error(errc::truncated, field, 0, "the file has %zu bytes", file_size_);
    }
    if (std::memcmp(in_.here(), "GGUF", 4) != 0) {
        const auto found = load_le<std::uint32_t>(in_.here());
        return gguf_error(errc::bad_format, field, 0, "0x%08lx is not \"GGUF\"",
                          static_cast<unsigned long>(found));
    }
    in_.skip(4);
    return {};
}

inline result<void> gguf_parser::read_version() noexcept {
    const gguf_field field{"version"};
    const std::size_t at = in_.position();
    const auto version = in_.number<std::uint32_t>(field);
    if (!version) return version.failure();
    const auto number = static_cast<unsigned long>(*version);
    // No flag tells the byte order; a version whose low half is empty is one read backwards.
    if (number != 0 && (number & 0xFFFFu) == 0) {
        return gguf_error(errc::unsupported, field, at,
                          "0x%08lx is that of a big-endian file; only little-endian is read",
                          number);
    }
    if (number == 1) {
        return gguf_error(errc::unsupported, field, at,
                          "version 1 (with 32-bit counts) is not read; convert the file to 3");
    }
    if (number != 2 && number != 3) {
        return gguf_error(number == 0 ? errc::bad_format : errc::unsupported, field, at,
                          "version %lu is unknown; 2 and 3 are read", number);
    }
    out_.version = *version;
    return {};
}

inline result<void> gguf_parser::read_entries(std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        const auto read = read_entry(i);
        if (!read) return read.failure();
        if (auto kept = out_.entries.push(*read, count, "gguf: metadata"); !kept) return kept;
    }
    const std::size_t* strings = out_.strings.span().data();
    for (gguf::entry& each : out_.entries.span()) {
        const bool has_strings =
            each.type_ == gguf::value_type::array && each.element_type_ == gguf::value_type::string;
        if (!has_strings) continue;
        each.strings_ = strings;
        strings += each.size_;
    }

    auto order = buffer<std::size_t>::uninitialized(count, "gguf: metadata");
    if (!order) return order.failure();
    out_.entry_order = *std::move(order);
    const std::span<const gguf::entry> entries = std::as_const(out_.entries).span();
    sort_by_name(entries, out_.entry_order.span());
    const std::size_t twice = first_duplicate(entries, std::as_const(out_.entry_order).span());
    if (twice < count) {
        const std::string_view key = entries[twice].key();
        return gguf_error(errc::bad_format, entry_field("key", twice), position_of(key.data()),
                          "\"%s\" was there before", printable_name(key).text);
    }
    return read_alignment();
}

inline result<gguf::entry> gguf_parser::read_entry(std::size_t i) noexcept {
    gguf::entry made;
    const gguf_field key_field = entry_field("key", i);
    const std::size_t at = in_.position();
    const auto key = in_.string(key_field);
    if (!key) return key.failure();
    if (key->empty()) return gguf_error(errc::bad_format, key_field, at, "an empty key");
    if (key->size() > longest_key) {
        return gguf_error(errc::bad_format, key_field, at, "a key of %zu bytes; at most %zu",
                          key->size(), longest_key);
    }
    made.key_ = *key;

    const gguf_field type_field = entry_field("value_type", i);
    const std::size_t type_at = in_.position();
    const auto stored = in_.number<std::uint32_t>(type_field);
    if (!stored) return stored.failure();
    if (*stored > static_cast<std::uint32_t>(gguf::value_type::f64)) {
        return gguf_error(errc::bad_format, type_field, type_at,
                          "value type %lu of \"%s\" is unknown",
                          static_cast<unsigned long>(*stored), printable_name(*key).text);
    }
    made.type_ = static_cast<gguf::value_type>(*stored);
    if (auto done = read_value(i, made); !done) return done.failure();
    return made;
}

inline result<void> gguf_parser::read_value(std::size_t i, gguf::entry& into) noexcept {
    const gguf_field field = entry_field("value", i);
    if (into.type_ == gguf::value_type::array) return read_array(i, into);
    into.value_ = in_.here();
    if (into.type_ == gguf::value_type::string) {
        const auto text = in_.string(field);
        return text ? result<void>{} : text.failure();
    }
    const std::size_t size = gguf_value_bytes(into.type_);
    if (size > in_.remaining()) {
        return gguf_error(errc::truncated, field, in_.position(),
                          "%zu bytes needed, %zu left in the file", size, in_.remaining());
    }
    if (into.type_ == gguf::value_type::boolean) {
        if (auto checked = check_booleans(field, 1); !checked) return checked;
    }
    in_.skip(size);
    return {};
}

inline result<void> gguf_parser::read_array(std::size_t i, gguf::entry& into) noexcept {
    const gguf_field type_field = entry_field("element_type", i);
    const std::size_t type_at = in_.position();
    const auto stored = in_.number<std::uint32_t>(type_field);
    if (!stored) return stored.failure();
    const auto element = static_cast<gguf::value_type>(*stored);
    if (element == gguf::value_type::array) {
        return gguf_error(errc::unsupported, type_field, type_at,
                          "\"%s\" is an array of arrays; none are read",
                          printable_name(into.key_).text);
    }
    const bool strings = element == gguf::value_type::string;
    const std::size_t least = strings ? sizeof(std::uint64_t) : gguf_value_bytes(element);
    if (least == 0) {
        return gguf_error(errc::bad_format, type_field, type_at,
                          "element type %lu of \"%s\" is unknown",
                          static_cast<unsigned long>(*stored), printable_name(into.key_).text);
    }
    const auto count = in_.count(entry_field("length", i), least);
    if (!count) return count.failure();

    into.element_type_ = element;
    into.size_ = *count;
    into.value_ = in_.here();
    if (strings) return read_strings(i, *count);
    if (element == gguf::value_type::boolean) {
        if (auto checked = check_booleans(entry_field("value", i), *count); !checked) {
            return checked;
        }
    }
    in_.skip(*count * least);
    return {};
}

inline result<void> gguf_parser::read_strings(std::size_t i, std::size_t count) noexcept {
    const gguf_field field = entry_field("value", i);
    const std::size_t first = in_.position();
    // Of all arrays to come, not of this one: many short arrays must not grow it one by one.
    const std::size_t most = out_.strings.size() + in_.remaining() / sizeof(std::uint64_t);
    for (std::size_t k = 0; k < count; ++k) {
        const std::size_t at = in_.position() - first;
        const auto text = in_.string(field.at(k));
        if (!text) return text.failure();
        if (auto kept = out_.strings.push(at, most, "gguf: metadata"); !kept) return kept;
    }
    return {};
}

inline result<void> gguf_parser::check_booleans(const gguf_field& field,
                                                std::size_t count) const noexcept {
    const std::byte* const values = in_.here();
    for (std::size_t k = 0; k < count; ++k) {
        if (values[k] > std::byte{1}) {
            return gguf_error(errc::bad_format, field, in_.position() + k,
                              "a boolean of %u; only 0 and 1 are",
                              std::to_integer<unsigned>(values[k]));
        }
    }
    return {};
}

inline result<void> gguf_parser::read_alignment() noexcept {
    const auto* found = find_by_name(std::as_const(out_.entries).span(),
                                     std::as_const(out_.entry_order).span(), "general.alignment");
    if (found == nullptr) return {};
    const auto i = static_cast<std::size_t>(found - out_.entries.span().data());
    const gguf_field field = entry_field("value", i);
    const std::size_t at = position_of(found->value_);
    const auto value = found->get<std::uint64_t>();
    if (!value) {
        return gguf_error(errc::bad_format, field, at,
                          "general.alignment is no positive integer but %s",
                          gguf::to_string(found->type()));
    }
    const bool power_of_two = *value != 0 && (*value & (*value - 1)) == 0;
    if (!power_of_two || *value > largest_alignment) {
        return gguf_error(errc::bad_format, field, at,
                          "general.alignment %llu is no power of two up to 2^30",
                          static_cast<unsigned long long>(*value));
    }
    out_.alignment = static_cast<std::size_t>(*value);
    return {};
}

} // namespace detail
} // namespace quant::inline QUANT_ABI

#include <quant/io/gguf/parser_tensors.hpp>
