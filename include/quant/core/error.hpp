// What can go wrong, as data: a code to branch on, a place, and a sentence for people.
#pragma once

#include <quant/core/config.hpp>

#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string_view>

namespace quant::inline QUANT_VOCABULARY {

/// Kinds of failure. The list grows at its end.
enum class errc {
    empty,             ///< a matrix without rows or columns
    null_data,         ///< a null pointer where data is needed
    shape_mismatch,    ///< two operands whose shapes do not fit
    invalid_stride,    ///< output rows that overlap or are not contiguous
    size_overflow,     ///< a size that no address space or integer type holds
    non_finite,        ///< NaN or infinity where a number is needed
    scale_overflow,    ///< a scale or minimum too large for its type
    code_out_of_range, ///< a stored code, or zero point, above 2^bits - 1
    invalid_argument,  ///< an option without meaning
    out_of_memory,     ///< an allocation failed
    executor_failed,   ///< an executor threw, or did not run each task once
    cancelled,         ///< the caller's cancel flag was seen
    bad_layout,        ///< bytes that are no packed matrix of the expected scheme
    misaligned,        ///< packed bytes that do not start on a 64-byte boundary
    bad_format,        ///< a file that breaks its format's rules
    truncated,         ///< a file that ends before its contents do
    unsupported,       ///< well-formed, but not something this library reads or runs
    not_found,         ///< no such file, tensor or key
    io_failed,         ///< the operating system refused a file operation
    checksum_mismatch, ///< bytes of a file that are not what was written
};

/// Stable name of a code, for logs.
[[nodiscard]] constexpr const char* to_string(errc code) noexcept {
    switch (code) {
    case errc::empty: return "empty";
    case errc::null_data: return "null_data";
    case errc::shape_mismatch: return "shape_mismatch";
    case errc::invalid_stride: return "invalid_stride";
    case errc::size_overflow: return "size_overflow";
    case errc::non_finite: return "non_finite";
    case errc::scale_overflow: return "scale_overflow";
    case errc::code_out_of_range: return "code_out_of_range";
    case errc::invalid_argument: return "invalid_argument";
    case errc::out_of_memory: return "out_of_memory";
    case errc::executor_failed: return "executor_failed";
    case errc::cancelled: return "cancelled";
    case errc::bad_layout: return "bad_layout";
    case errc::misaligned: return "misaligned";
    case errc::bad_format: return "bad_format";
    case errc::truncated: return "truncated";
    case errc::unsupported: return "unsupported";
    case errc::not_found: return "not_found";
    case errc::io_failed: return "io_failed";
    case errc::checksum_mismatch: return "checksum_mismatch";
    }
    return "unknown";
}

/// A failure: code, where (function and argument, or field of a file), message.
///
/// Holds its text in place: making, copying and throwing one allocates nothing beyond what the
/// exception machinery itself needs. Text beyond the fixed capacity is cut.
class error : public std::exception {
public:
    error(errc code, std::string_view where, std::string_view message) noexcept : code_(code) {
        std::size_t used = append(0, where);
        where_length_ = used;
        used = append(used, ": ");
        message_offset_ = used;
        append(used, message);
    }

    [[nodiscard]] errc code() const noexcept { return code_; }
    /// The operation and argument, or the field of the file, that is at fault.
    [[nodiscard]] std::string_view where() const noexcept { return {text_, where_length_}; }
    /// What is wrong with it, with the numbers that show it.
    [[nodiscard]] const char* message() const noexcept { return text_ + message_offset_; }
    /// "where: message".
    [[nodiscard]] const char* what() const noexcept override { return text_; }

private:
    static constexpr std::size_t capacity = 240;

    std::size_t append(std::size_t at, std::string_view text) noexcept {
        const std::size_t room = capacity - 1 - at;
        const std::size_t n = text.size() < room ? text.size() : room;
        if (n > 0) std::memcpy(text_ + at, text.data(), n);
        text_[at + n] = '\0';
        return at + n;
    }

    errc code_;
    std::size_t where_length_ = 0;
    std::size_t message_offset_ = 0;
    char text_[capacity] = {};
};

namespace core_detail {

/// An error whose message follows printf's rules.
[[nodiscard]] QUANT_DETAIL_PRINTF(3, 4) inline error
    make_error(errc code, const char* where, const char* format, ...) noexcept {
    char text[200];
    std::va_list values;
    va_start(values, format);
    const int written = std::vsnprintf(text, sizeof text, format, values);
    va_end(values);
    return error(code, where, written < 0 ? std::string_view("(no message)") : text);
}

} // namespace core_detail

} // namespace quant::inline QUANT_VOCABULARY
