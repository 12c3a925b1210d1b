// Bytes for what is mapped otherwise.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <span>

/// A copy of bytes from a 64-byte boundary, which ends where a sanitizer notices a read beyond.
class aligned_bytes {
public:
    explicit aligned_bytes(std::span<const std::byte> bytes)
        : memory_(static_cast<std::byte*>(::operator new(bytes.size(), std::align_val_t{64}))),
          size_(bytes.size()) {
        if (size_ > 0) std::memcpy(memory_, bytes.data(), size_);
    }
    aligned_bytes(const aligned_bytes&) = delete;
    aligned_bytes& operator=(const aligned_bytes&) = delete;
    ~aligned_bytes() { ::operator delete(memory_, std::align_val_t{64}); }
    [[nodiscard]] std::span<std::byte> span() const { return {memory_, size_}; }

private:
    std::byte* memory_;
    std::size_t size_;
};
