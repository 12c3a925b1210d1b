// What the engine throws when a file, an option or a prompt is not usable: one line for people.
#pragma once

#include <concepts>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace lm {

/// The parts, numbers among them, as one text.
template <class... Parts>
[[nodiscard]] std::string text_of(const Parts&... parts) {
    std::string text;
    const auto append = [&](const auto& part) {
        if constexpr (std::integral<std::remove_cvref_t<decltype(part)>>) {
            text += std::to_string(part);
        } else {
            text += std::string_view(part);
        }
    };
    (append(parts), ...);
    return text;
}

class failure : public std::runtime_error {
public:
    template <class... Parts>
    explicit failure(const Parts&... parts) : std::runtime_error(text_of(parts...)) {}
};

} // namespace lm
