// A fuzzer's bytes as a row of choices; when they have run out, every further choice is 0.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace fuzzing {

class choices {
public:
    explicit choices(std::span<const std::uint8_t> from) : left_(from) {}

    [[nodiscard]] bool done() const { return left_.empty(); }

    /// A little-endian integer of as many bytes as T has.
    template <class T = std::uint8_t>
    T number() {
        std::uint64_t value = 0;
        const std::size_t size = std::min(sizeof(T), left_.size());
        for (std::size_t i = 0; i < size; ++i) value |= std::uint64_t{left_[i]} << (8 * i);
        left_ = left_.subspan(size);
        return static_cast<T>(value);
    }
    /// A length of one byte, then as many characters, fewer if there are not so many.
    std::string text() {
        const std::size_t size = std::min<std::size_t>(number(), left_.size());
        std::string made(left_.begin(), left_.begin() + static_cast<std::ptrdiff_t>(size));
        left_ = left_.subspan(size);
        return made;
    }
    /// The next bytes, zeros behind the last.
    std::vector<std::byte> bytes(std::size_t count) {
        std::vector<std::byte> made(count);
        const std::size_t size = std::min(count, left_.size());
        const auto from = std::as_bytes(left_.first(size));
        std::copy(from.begin(), from.end(), made.begin());
        left_ = left_.subspan(size);
        return made;
    }

private:
    std::span<const std::uint8_t> left_;
};

} // namespace fuzzing
