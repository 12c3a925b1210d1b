// Memory on huge pages: large arrays that are streamed through need a translation per 2 MiB, not
// per 4 KiB. Gained 20 to 35 % where one thread reads weights from DRAM.
//
// On Linux, memory of at least huge_page_threshold bytes is aligned to 2 MiB and the kernel is
// asked to back it with huge pages (madvise). That is advice: a kernel without huge pages, or short
// of them, gives ordinary ones. Elsewhere memory is aligned to 64 bytes, no more.
// QUANT_NO_HUGE_PAGES (defined by the user, for a whole program) makes it so on Linux too.
#pragma once

#include <quant/core/checked.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

#if defined(__linux__) && !defined(QUANT_NO_HUGE_PAGES)
#include <sys/mman.h>
#endif

namespace quant::inline QUANT_VOCABULARY {

/// Bytes from which on memory asks for huge pages; below, much of the last one would be wasted.
inline constexpr std::size_t huge_page_threshold = std::size_t{4} << 20;

namespace core_detail {

inline constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;

#if defined(__linux__) && !defined(QUANT_NO_HUGE_PAGES) && defined(MADV_HUGEPAGE)
inline constexpr bool asks_for_huge_pages = true;
#else
inline constexpr bool asks_for_huge_pages = false;
#endif

inline constexpr std::align_val_t line_alignment{64};
inline constexpr std::align_val_t huge_page_alignment{huge_page_bytes};

[[nodiscard]] constexpr bool wants_huge_pages(std::size_t bytes) noexcept {
    return asks_for_huge_pages && bytes >= huge_page_threshold;
}

/// `bytes` > 0 bytes on a 64-byte boundary or, if they are many, on huge pages; null if there is no
/// such memory. Free with deallocate_large of the same number.
[[nodiscard]] inline void* allocate_large(std::size_t bytes) noexcept {
    if (!wants_huge_pages(bytes)) return ::operator new(bytes, line_alignment, std::nothrow);
    void* memory = ::operator new(bytes, huge_page_alignment, std::nothrow);
    // The wider alignment takes more address space; without that, ordinary pages do as well.
    if (memory == nullptr) return ::operator new(bytes, line_alignment, std::nothrow);
#if defined(__linux__) && !defined(QUANT_NO_HUGE_PAGES) && defined(MADV_HUGEPAGE)
    // Whole huge pages only: the advice must not reach beyond what is ours. It may be refused.
    (void)::madvise(memory, bytes / huge_page_bytes * huge_page_bytes, MADV_HUGEPAGE);
#endif
    return memory;
}
inline void deallocate_large(void* memory, std::size_t bytes) noexcept {
    const bool on_huge_page = reinterpret_cast<std::uintptr_t>(memory) % huge_page_bytes == 0;
    ::operator delete(memory, wants_huge_pages(bytes) && on_huge_page ? huge_page_alignment
                                                                      : line_alignment);
}

} // namespace core_detail

/// Allocator for the user's own large arrays, such as weights:
///
///     std::vector<float, quant::huge_page_allocator<float>> weights(n);
///
/// Memory is aligned to at least 64 bytes; from huge_page_threshold bytes on it asks for huge
/// pages, and fails only where ordinary memory of that size would. All allocators are equal.
template <class T>
class huge_page_allocator {
public:
    using value_type = T;
    using is_always_equal = std::true_type;
    static_assert(alignof(T) <= 64, "quant::huge_page_allocator: alignment is 64 at most");

    constexpr huge_page_allocator() noexcept = default;
    template <class U>
    constexpr huge_page_allocator(const huge_page_allocator<U>&) noexcept {}

    /// Memory for n elements. @throws std::bad_alloc
    [[nodiscard]] T* allocate(std::size_t n) {
        const auto bytes = core_detail::checked_mul(n, sizeof(T));
#if QUANT_HAS_EXCEPTIONS
        if (!bytes) throw std::bad_array_new_length();
#endif
        const std::size_t size = bytes.value_or(PTRDIFF_MAX);
        void* memory = core_detail::allocate_large(size);
        if (memory == nullptr) {
#if QUANT_HAS_EXCEPTIONS
            throw std::bad_alloc();
#else // fails in the way of all other allocations of the program
            memory = ::operator new(size, core_detail::line_alignment);
#endif
        }
        return static_cast<T*>(memory);
    }
    void deallocate(T* memory, std::size_t n) noexcept {
        core_detail::deallocate_large(memory, n * sizeof(T));
    }

    template <class U>
    friend constexpr bool operator==(const huge_page_allocator&,
                                     const huge_page_allocator<U>&) noexcept {
        return true;
    }
};

} // namespace quant::inline QUANT_VOCABULARY
