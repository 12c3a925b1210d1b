// Memory on huge pages, where the system gives them to those who ask: reading weights from DRAM
// with 4 KiB pages measures the page tables.
#pragma once

#include <cstddef>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

class huge_memory {
public:
    explicit huge_memory(std::size_t bytes) {
        constexpr std::align_val_t huge_page{std::size_t{1} << 21};
        const std::size_t rounded =
            (bytes + (std::size_t{1} << 21) - 1) & ~((std::size_t{1} << 21) - 1);
        data_ = static_cast<std::byte*>(::operator new(rounded, huge_page));
        size_ = rounded;
#if defined(__linux__)
        madvise(data_, rounded, MADV_HUGEPAGE);
#endif
    }
    ~huge_memory() { ::operator delete(data_, std::align_val_t{std::size_t{1} << 21}); }
    huge_memory(const huge_memory&) = delete;
    huge_memory& operator=(const huge_memory&) = delete;

    [[nodiscard]] std::byte* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }

private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};
