// What the system says of a file operation that it refused.
#pragma once

#include <quant/core/config.hpp>

#include <cstdio>
#include <cstring>

namespace quant::inline QUANT_ABI {
namespace detail {

/// The words for an errno, "No such file or directory (errno 2)"; of a message, the part that must
/// not be cut: names of files come after it.
class system_reason {
public:
    explicit system_reason(int number) noexcept {
#if defined(_WIN32)
        std::snprintf(text, sizeof text, "errno %d", number);
#else
        char words[64] = "";
        const char* const said = said_by(::strerror_r(number, words, sizeof words), words);
        std::snprintf(text, sizeof text, "%.60s (errno %d)", said, number);
#endif
    }
    char text[80];

private:
    // strerror_r has two forms: of POSIX, which fills the buffer, and of GNU, which need not.
    [[nodiscard]] static const char* said_by(int, const char* buffer) noexcept { return buffer; }
    [[nodiscard]] static const char* said_by(const char* text, const char*) noexcept {
        return text;
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
