// growing<T>: an array that grows as a file is read or written, without ever throwing.
#pragma once

#include <quant/core/buffer.hpp>
#include <quant/core/checked.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
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
        if (auto room = reserve(1, most, where); !room) return room;
        memory_.data()[size_++] = value;
        return {};
    }

    /// Appends `count` elements, which the caller writes; the span lives until the next change.
    [[nodiscard]] result<std::span<T>> extend(std::size_t count, const char* where) noexcept {
        if (auto room = reserve(count, PTRDIFF_MAX, where); !room) return room.failure();
        size_ += count;
        return std::span<T>(memory_.data() + (size_ - count), count);
    }

    /// Drops all elements but the first `size`, of at least as many.
    void shrink(std::size_t size) noexcept { size_ = size; }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::span<T> span() noexcept { return {memory_.data(), size_}; }
    [[nodiscard]] std::span<const T> span() const noexcept { return {memory_.data(), size_}; }

private:
    [[nodiscard]] result<void> reserve(std::size_t more, std::size_t most,
                                       const char* where) noexcept {
        if (more <= memory_.size() - size_) return {};
        const maybe_size needed = checked_add(size_, more);
        if (!needed) return make_error(errc::size_overflow, where, "%zu more elements", more);
        const std::size_t doubled = std::max<std::size_t>(16, size_ * 2);
        auto larger = buffer<T>::uninitialized(std::max(*needed, std::min(doubled, most)), where);
        if (!larger) return larger.failure();
        if (size_ > 0) {
            std::memcpy(static_cast<void*>(larger->data()),
                        static_cast<const void*>(memory_.data()), size_ * sizeof(T));
        }
        memory_ = *std::move(larger);
        return {};
    }

    buffer<T> memory_;
    std::size_t size_ = 0;
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
