// growing<T>: an array that grows as a file's contents are read, without ever throwing.
#pragma once

#include <quant/core/buffer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// A growing array of trivial elements, move only.
///
/// Its memory follows what was pushed, never what a file claims is to come: a count in a hostile
/// file costs nothing until the elements behind it have been read.
template <class T>
class growing {
public:
    growing() noexcept = default;
    growing(growing&& other) noexcept
        : memory_(std::move(other.memory_)), size_(std::exchange(other.size_, 0)) {}
    growing& operator=(growing&& other) noexcept {
        growing taken(std::move(other)); // leaves `other` empty, frees what was here
        std::swap(memory_, taken.memory_);
        std::swap(size_, taken.size_);
        return *this;
    }
    ~growing() = default;

    /// Appends; `most` bounds the capacity, so that an honest count wastes nothing.
    [[nodiscard]] result<void> push(const T& value, std::size_t most, const char* where) noexcept {
        if (size_ == memory_.size()) {
            const std::size_t doubled = std::max<std::size_t>(16, size_ * 2);
            auto larger =
                buffer<T>::uninitialized(std::max(size_ + 1, std::min(doubled, most)), where);
            if (!larger) return larger.failure();
            if (size_ > 0) {
                std::memcpy(static_cast<void*>(larger->data()),
                            static_cast<const void*>(memory_.data()), size_ * sizeof(T));
            }
            memory_ = *std::move(larger);
        }
        memory_.data()[size_++] = value;
        return {};
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::span<T> span() noexcept { return {memory_.data(), size_}; }
    [[nodiscard]] std::span<const T> span() const noexcept { return {memory_.data(), size_}; }

private:
    buffer<T> memory_;
    std::size_t size_ = 0;
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
