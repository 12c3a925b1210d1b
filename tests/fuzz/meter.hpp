// How much memory a call takes, whatever its input claims.
#pragma once

#include <sanitizer/allocator_interface.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>

namespace fuzzing {

/// Ends the run, which libFuzzer reports with its input.
inline void require(bool property) {
    if (!property) std::abort();
}

/// What is allocated now, and what was at most since start(); one thread at a time.
class meter {
public:
    static void start() noexcept {
        static const int installed = __sanitizer_install_malloc_and_free_hooks(&took, &gives);
        require(installed > 0);
        now = most = 0;
    }
    [[nodiscard]] static std::size_t peak() noexcept { return static_cast<std::size_t>(most); }

private:
    static void took(const volatile void*, std::size_t size) noexcept {
        now += static_cast<std::ptrdiff_t>(size);
        most = std::max(most, now);
    }
    static void gives(const volatile void* what) noexcept {
        if (what == nullptr) return;
        now -= static_cast<std::ptrdiff_t>(
            __sanitizer_get_allocated_size(const_cast<const void*>(what)));
    }
    static inline std::ptrdiff_t now = 0;
    static inline std::ptrdiff_t most = 0;
};

} // namespace fuzzing
