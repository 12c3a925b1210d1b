// JSON text as events, with the place of each in the file; nothing is built and nothing recurses.
#pragma once

#include <quant/core/result.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <string>
#include <string_view>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Characters in order, which tells how far it has been read.
class json_characters {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    json_characters(const char* at, const char** read) noexcept : at_(at), read_(read) {}
    [[nodiscard]] const char& operator*() const noexcept { return *at_; }
    json_characters& operator++() noexcept {
        *read_ = ++at_;
        return *this;
    }
    json_characters operator++(int) noexcept {
        const json_characters before = *this;
        ++*this;
        return before;
    }
    friend bool operator==(const json_characters& a, const json_characters& b) noexcept {
        return a.at_ == b.at_;
    }

private:
    const char* at_;
    const char** read_;
};

/// The events of a JSON text. A client has bool members begin_object(), end_object(),
/// begin_array(), end_array(), key(text), string(text), number(u64), other(what), of which false
/// stops the reading.
///
/// at() is the place of the current string in the text, or the place behind another token.
template <class Client>
class json_events {
public:
    using number_integer_t = nlohmann::json::number_integer_t;
    using number_unsigned_t = nlohmann::json::number_unsigned_t;
    using number_float_t = nlohmann::json::number_float_t;
    using string_t = nlohmann::json::string_t;
    using binary_t = nlohmann::json::binary_t;

    json_events(std::string_view text, Client& client) noexcept
        : text_(text), read_(text.data()), client_(client) {}

    /// Whether the text is one JSON value and the client liked all of it.
    [[nodiscard]] bool run() {
        // The library takes a zero byte, which JSON has nowhere, for the end.
        if (const auto zero = text_.find('\0'); zero != text_.npos) {
            broken_at_ = zero;
            return false;
        }
        const char* const end = text_.data() + text_.size();
        return nlohmann::json::sax_parse(json_characters(text_.data(), &read_),
                                         json_characters(end, &read_), this);
    }

    [[nodiscard]] std::size_t at() const noexcept {
        return static_cast<std::size_t>(read_ - text_.data());
    }
    /// Where the string that was just read begins, with its quote.
    [[nodiscard]] std::size_t string_at() const noexcept {
        std::size_t quote = at() - 1;
        bool escaped = true;
        while (quote > 0 && escaped) {
            quote = text_.rfind('"', quote - 1);
            std::size_t first = quote;
            while (first > 0 && text_[first - 1] == '\\') --first;
            escaped = (quote - first) % 2 != 0;
        }
        return quote;
    }
    /// Whether the text is no JSON, and where.
    [[nodiscard]] bool is_broken() const noexcept { return broken_at_ != none; }
    [[nodiscard]] std::size_t broken_at() const noexcept { return broken_at_; }

    bool null() { return client_.other("null"); }
    bool boolean(bool) { return client_.other("a boolean"); }
    bool number_integer(number_integer_t) { return client_.other("a negative number"); }
    bool number_unsigned(number_unsigned_t value) { return client_.number(value); }
    bool number_float(number_float_t value, const string_t&) { return client_.real(value); }
    bool string(string_t& text) { return client_.string(text); }
    bool binary(binary_t&) { return client_.other("binary data"); }
    bool start_object(std::size_t) { return client_.begin_object(); }
    bool key(string_t& text) { return client_.key(text); }
    bool end_object() { return client_.end_object(); }
    bool start_array(std::size_t) { return client_.begin_array(); }
    bool end_array() { return client_.end_array(); }
    template <class Exception>
    bool parse_error(std::size_t, const std::string&, const Exception&) {
        broken_at_ = at() > 0 ? at() - 1 : 0;
        return false;
    }

private:
    static constexpr std::size_t none = SIZE_MAX;

    std::string_view text_;
    const char* read_;
    std::size_t broken_at_ = none;
    Client& client_;
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
