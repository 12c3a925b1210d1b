// A lock for what is rarely contended: std::mutex, or where the program has no threads library, a
// flag, which an executor of the program's own may still contend for.
#pragma once

#include <quant/core/config.hpp>

#if defined(QUANT_NO_THREADS)
#include <atomic>
#else
#include <mutex>
#endif

namespace quant::inline QUANT_VOCABULARY {
namespace core_detail {

#if defined(QUANT_NO_THREADS)

class mutex {
public:
    void lock() noexcept {
        while (taken_.test_and_set(std::memory_order_acquire)) {
        }
    }
    void unlock() noexcept { taken_.clear(std::memory_order_release); }

private:
    std::atomic_flag taken_;
};

#else
using std::mutex;
#endif

/// Holds a mutex as long as it lives.
class mutex_guard {
public:
    explicit mutex_guard(mutex& held) : held_(held) { held_.lock(); }
    mutex_guard(const mutex_guard&) = delete;
    mutex_guard& operator=(const mutex_guard&) = delete;
    ~mutex_guard() { held_.unlock(); }

private:
    mutex& held_;
};

} // namespace core_detail
} // namespace quant::inline QUANT_VOCABULARY
