// The first half of gguf::writer: what stands before the data.
#pragma once

#include <quant/io/gguf/writer.hpp>

namespace quant::inline QUANT_ABI {
namespace gguf {

inline result<void> writer::check_declaring(const char* where) const noexcept {
    if (!file_.is_open()) {
        return detail::make_error(errc::invalid_argument, where, "the writer is closed");
    }
    if (!declaring_) {
        return detail::make_error(errc::invalid_argument, where,
                                  "data has been written; declarations come before");
    }
    return {};
}

inline result<void> writer::check_name(std::string_view name, std::size_t longest,
                                       const detail::name_set& used, const char* where) noexcept {
    if (name.empty()) return detail::make_error(errc::invalid_argument, where, "an empty name");
    if (name.size() > longest) {
        return detail::make_error(errc::invalid_argument, where,
                                  "\"%s\" has %zu bytes; at most %zu",
                                  detail::printable_name(name).text, name.size(), longest);
    }
    if (const std::size_t valid = detail::utf8_valid_prefix(name); valid != name.size()) {
        return detail::make_error(errc::invalid_argument, where,
                                  "\"%s\" is invalid UTF-8 from byte %zu on",
                                  detail::printable_name(name).text, valid);
    }
    if (used.contains(name)) {
        return detail::make_error(errc::invalid_argument, where, "\"%s\" was there before",
                                  detail::printable_name(name).text);
    }
    return {};
}

inline result<void> writer::check_text(std::string_view text) noexcept {
    if (text.data() == nullptr && !text.empty()) {
        return detail::make_error(errc::null_data, "gguf::writer::add: value", "a null string");
    }
    if (const std::size_t valid = detail::utf8_valid_prefix(text); valid != text.size()) {
        return detail::make_error(errc::invalid_argument, "gguf::writer::add: value",
                                  "a string of %zu bytes, invalid UTF-8 from byte %zu on",
                                  text.size(), valid);
    }
    return {};
}

inline result<void> writer::check_alignment(std::uint64_t value) const noexcept {
    constexpr const char* where = "gguf::writer::add: general.alignment";
    const bool power_of_two = value != 0 && (value & (value - 1)) == 0;
    if (!power_of_two || value < least_alignment || value > largest_alignment) {
        return detail::make_error(errc::invalid_argument, where,
                                  "%llu is no power of two from 8 to 2^30",
                                  static_cast<unsigned long long>(value));
    }
    if (tensors_.size() > 0) {
        return detail::make_error(errc::invalid_argument, where,
                                  "tensors have been declared; the alignment comes before");
    }
    return {};
}

/// Adds an entry whose type and value take `value_size` bytes, which put(table) puts.
template <class Put>
result<void> writer::add_entry(std::string_view key, detail::maybe_size value_size,
                               const Put& put) noexcept {
    constexpr const char* where = "gguf::writer::add: key";
    if (auto possible = check_declaring(where); !possible) return possible;
    if (auto fits = check_name(key, longest_key, keys_, where); !fits) return fits;
    const auto size = detail::checked_add(detail::gguf_table::size_of(key), value_size);
    if (auto room = entries_.reserve(size, "gguf::writer::add: value"); !room) return room;
    if (auto kept = keys_.insert(key, where); !kept) {
        entries_.give_back(*size);
        return kept;
    }
    entries_.put(key);
    put(entries_);
    ++n_entries_;
    return {};
}

template <metadata_value T>
result<void> writer::try_add(std::string_view key, T value) noexcept {
    constexpr auto which = detail::gguf_value_type_of<T>();
    if (key == alignment_key) {
        if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
            const bool negative = value < T{};
            const std::uint64_t wanted = negative ? 0 : static_cast<std::uint64_t>(value);
            if (auto fits = check_alignment(wanted); !fits) return fits;
            auto added = add_entry(key, 4 + 4, [&](detail::gguf_table& to) {
                to.put(value_type::u32);
                to.put(static_cast<std::uint32_t>(wanted));
            });
            if (added) alignment_ = static_cast<std::size_t>(wanted);
            return added;
        }
        return detail::make_error(errc::invalid_argument, "gguf::writer::add: general.alignment",
                                  "a value of type %s; an integer is needed", to_string(which));
    }
    if constexpr (which == value_type::string) {
        if (auto fits = check_text(value); !fits) return fits;
    }
    const auto size = detail::checked_add(4, detail::gguf_table::size_of(value));
    return add_entry(key, size, [&](detail::gguf_table& to) {
        to.put(which);
        to.put(value);
    });
}

template <class T, class Element>
result<void> writer::add_elements(std::string_view key, std::size_t count,
                                  const Element& element) noexcept {
    constexpr auto which = detail::gguf_value_type_of<T>();
    if (key == alignment_key) {
        return detail::make_error(errc::invalid_argument, "gguf::writer::add: general.alignment",
                                  "an array; an integer is needed");
    }
    detail::maybe_size size = detail::checked_mul(count, sizeof(T));
    if constexpr (which == value_type::string) {
        size = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const std::string_view text = element(i);
            if (auto fits = check_text(text); !fits) return fits;
            size = detail::checked_add(size, detail::gguf_table::size_of(text));
        }
    }
    return add_entry(key, detail::checked_add(size, 4 + 4 + 8), [&](detail::gguf_table& to) {
        to.put(value_type::array);
        to.put(which);
        to.put(std::uint64_t{count});
        for (std::size_t i = 0; i < count; ++i) to.put(element(i));
    });
}

inline result<void> writer::try_add(const entry& copied) noexcept {
    const auto values = copied.array();
    if (!values) {
        return detail::gguf_with_type(
            copied.type(), [&]<class T>() { return try_add<T>(copied.key(), *copied.get<T>()); });
    }
    return detail::gguf_with_type(values->element_type(), [&]<class T>() {
        return add_elements<T>(copied.key(), values->size(),
                               [&](std::size_t i) { return *values->at<T>(i); });
    });
}

/// The bytes of a tensor's blocks.
inline result<std::size_t> writer::bytes_of(std::string_view name, gguf::type which,
                                            std::span<const std::size_t> shape) noexcept {
    constexpr const char* where = "gguf::writer::add_tensor: shape";
    const auto* const block = detail::gguf_find_block(which);
    if (block == nullptr) return detail::gguf_not_a_type(which, "gguf::writer::add_tensor: type");
    if (shape.empty() || shape.size() > max_dims) {
        return detail::make_error(errc::shape_mismatch, where,
                                  "\"%s\" has %zu dimensions; 1 to %zu are possible",
                                  detail::printable_name(name).text, shape.size(), max_dims);
    }
    detail::maybe_size elements = 1;
    for (std::size_t d = 0; d < shape.size(); ++d) {
        if (shape[d] == 0) {
            return detail::make_error(errc::shape_mismatch, where, "dimension %zu of \"%s\" is 0",
                                      d, detail::printable_name(name).text);
        }
        elements = detail::checked_mul(elements, shape[d]);
    }
    if (shape[0] % block->weights != 0) {
        return detail::make_error(errc::shape_mismatch, where,
                                  "\"%s\" has rows of %zu weights, which are no whole blocks of "
                                  "%zu (%s)",
                                  detail::printable_name(name).text, shape[0], block->weights,
                                  block->name);
    }
    detail::maybe_size bytes;
    if (elements) bytes = detail::checked_mul(*elements / block->weights, block->bytes);
    if (!bytes) {
        return detail::make_error(errc::size_overflow, where, "\"%s\" has more bytes than fit",
                                  detail::printable_name(name).text);
    }
    return *bytes;
}

inline result<void> writer::try_add_tensor(std::string_view name, gguf::type which,
                                           std::span<const std::size_t> shape) noexcept {
    constexpr const char* where = "gguf::writer::add_tensor: name";
    if (auto possible = check_declaring(where); !possible) return possible;
    if (auto fits = check_name(name, longest_tensor_name, names_, where); !fits) return fits;
    if (name.find('\0') != name.npos) {
        return detail::make_error(errc::invalid_argument, where, "a zero byte in a name");
    }
    const auto bytes = bytes_of(name, which, shape);
    if (!bytes) return bytes.failure();
    const auto end = detail::checked_add(data_size_, detail::checked_round_up(*bytes, alignment_));
    if (!end) {
        return detail::make_error(errc::size_overflow, "gguf::writer::add_tensor: shape",
                                  "with \"%s\" the file has more bytes than fit",
                                  detail::printable_name(name).text);
    }

    const std::size_t info = 8 + name.size() + 4 + 8 * shape.size() + 4 + 8;
    if (auto room = infos_.reserve(info, where); !room) return room;
    tensor_bytes added{*bytes, {}};
    std::copy(name.begin(), name.end(), added.name);
    auto kept = tensors_.push(added, PTRDIFF_MAX, where);
    if (kept) {
        kept = names_.insert(name, where);
        if (!kept) tensors_.shrink(tensors_.size() - 1);
    }
    if (!kept) {
        infos_.give_back(info);
        return kept;
    }
    infos_.put(name);
    infos_.put(static_cast<std::uint32_t>(shape.size()));
    for (const std::size_t dim : shape) infos_.put(std::uint64_t{dim});
    infos_.put(static_cast<std::uint32_t>(which));
    infos_.put(std::uint64_t{data_size_});
    data_size_ = *end;
    return {};
}

} // namespace gguf
} // namespace quant::inline QUANT_ABI
