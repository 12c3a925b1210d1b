// thread_pool: an executor for programs that have none of their own.
#pragma once

#include <quant/core/executor.hpp>

#if defined(QUANT_NO_THREADS)

#include <cstddef>

namespace quant::inline QUANT_VOCABULARY {

/// Absent: there are no threads to have a pool of.
class thread_pool {
public:
    template <class Count = std::size_t>
    explicit thread_pool(Count = 0) {
        static_assert(sizeof(Count) == 0,
                      "quant::thread_pool: QUANT_NO_THREADS leaves it out; take "
                      "quant::serial or an executor of your own");
    }
};

} // namespace quant::inline QUANT_VOCABULARY

#else

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <thread>

#if defined(__x86_64__) || defined(__i386__)
#define QUANT_DETAIL_PAUSE() __builtin_ia32_pause()
#elif defined(__GNUC__) && defined(__aarch64__)
#define QUANT_DETAIL_PAUSE() __asm__ volatile("yield")
#else
#define QUANT_DETAIL_PAUSE() static_cast<void>(0)
#endif

namespace quant::inline QUANT_VOCABULARY {

/// A fixed set of threads that share one piece of parallel work at a time.
///
/// The calling thread works too, so thread_pool(n) starts n − 1 threads. Idle threads spin for
/// 50 microseconds, so that the next product of a model finds them awake, then sleep. However many
/// threads there are, no more than one per core spin or are woken: further ones could only take
/// turns. A call from inside a task, or while another thread's call is under way, runs on its own
/// thread alone: slower, never a deadlock. Calls allocate nothing. If the system refuses a thread,
/// the pool has fewer; concurrency() tells.
class thread_pool {
public:
    static constexpr std::size_t most_threads = 1024;

    /// @param threads how many threads work at once, the caller among them; 0: one per core. At
    ///                most most_threads are started.
    explicit thread_pool(std::size_t threads = 0) {
        const std::size_t cores = std::thread::hardware_concurrency();
        if (threads == 0) threads = cores > 0 ? cores : 1;
        threads = std::min(threads, most_threads);
        spins_ = cores > 1;
        helpers_ = cores == 0 ? most_threads : std::max<std::size_t>(cores - 1, 1);
#if QUANT_HAS_EXCEPTIONS
        try {
#endif
            if (threads > 1) workers_.reset(new (std::nothrow) std::thread[threads - 1]);
            while (workers_ && started_ + 1 < threads) {
                workers_[started_] = std::thread([this] { serve(); });
                ++started_;
            }
#if QUANT_HAS_EXCEPTIONS
        } catch (const std::exception&) { // system_error, bad_alloc, length_error
        }
#endif
    }

    thread_pool(const thread_pool&) = delete;
    thread_pool& operator=(const thread_pool&) = delete;

    ~thread_pool() {
        stop_.store(true, std::memory_order_relaxed);
        epoch_.fetch_add(1, std::memory_order_release);
        epoch_.notify_all();
        for (std::size_t i = 0; i < started_; ++i) workers_[i].join();
    }

    /// Runs work(0) … work(count − 1) and returns when all are done.
    void operator()(std::size_t count, task work) noexcept {
        if (started_ == 0 || count < 2 || busy_.exchange(1, std::memory_order_acquire) != 0) {
            serial(count, work);
            return;
        }
        work_ = &work;
        count_ = count;
        next_.store(0, std::memory_order_relaxed);
        gate_.store(open, std::memory_order_release);
        epoch_.fetch_add(1, std::memory_order_seq_cst);
        wake(std::min({count - 1, helpers_, started_}));

        take_tasks();

        // Nobody enters any more; wait for those inside. Each has at most one task to finish.
        std::uint32_t inside = gate_.fetch_and(~open, std::memory_order_acq_rel) & ~open;
        const auto all_left = [&] {
            inside = gate_.load(std::memory_order_acquire);
            return inside == 0;
        };
        if (inside != 0 && !(spins_ && spin_until(all_left))) {
            while (!all_left()) gate_.wait(inside, std::memory_order_acquire);
        }
        busy_.store(0, std::memory_order_release);
    }

    [[nodiscard]] std::size_t concurrency() const noexcept { return started_ + 1; }

private:
    static constexpr std::uint32_t open = 1u << 31; // the lower bits count threads inside
    static constexpr std::chrono::microseconds spin_time{50};

    /// Waits for done() for a while; whether it is.
    template <class Done>
    [[nodiscard]] static bool spin_until(Done done) noexcept {
        using clock = std::chrono::steady_clock;
        const auto end = clock::now() + spin_time;
        do {
            for (int i = 0; i < 32; ++i) { // about a microsecond
                if (done()) return true;
                QUANT_DETAIL_PAUSE();
            }
            std::this_thread::yield(); // the one waited for may be queueing for this core
        } while (clock::now() < end);
        return done();
    }

    /// Makes so many threads besides the caller take part, by waking those that do not spin.
    void wake(std::size_t threads) noexcept {
        // Whoever stops spinning after this sees the new epoch before falling asleep: both sides
        // write, then read what the other wrote, sequentially consistent.
        const std::size_t awake = spinning_.load(std::memory_order_seq_cst);
        if (threads <= awake) return;
        threads -= awake;
        if (threads > started_ / 2) {
            epoch_.notify_all();
        } else {
            for (std::size_t i = 0; i < threads; ++i) epoch_.notify_one();
        }
    }

    /// Returns when the epoch is no longer `seen`.
    void wait_for_work(std::uint32_t seen) noexcept {
        if (spins_) {
            const std::size_t others = spinning_.fetch_add(1, std::memory_order_relaxed);
            const bool found = others < helpers_ && spin_until([&] {
                                   return epoch_.load(std::memory_order_relaxed) != seen;
                               });
            spinning_.fetch_sub(1, std::memory_order_seq_cst);
            if (found) return;
        }
        epoch_.wait(seen, std::memory_order_seq_cst);
    }

    void take_tasks() noexcept {
        const task& work = *work_;
        const std::size_t count = count_;
        for (;;) {
            const std::size_t index = next_.fetch_add(1, std::memory_order_relaxed);
            if (index >= count) return;
            work(index);
        }
    }

    /// Joins the work under way, unless its caller has closed it.
    [[nodiscard]] bool enter() noexcept {
        std::uint32_t seen = gate_.load(std::memory_order_relaxed);
        while ((seen & open) != 0) {
            if (gate_.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire,
                                            std::memory_order_relaxed)) {
                return true;
            }
        }
        return false;
    }

    void leave() noexcept {
        // The last one out wakes the caller, which may be asleep only once the gate is closed.
        if (gate_.fetch_sub(1, std::memory_order_acq_rel) == 1) gate_.notify_all();
    }

    void serve() noexcept {
        std::uint32_t seen = 0;
        for (;;) {
            wait_for_work(seen);
            seen = epoch_.load(std::memory_order_acquire);
            if (stop_.load(std::memory_order_relaxed)) return;
            if (enter()) {
                take_tasks();
                leave();
            }
        }
    }

    // Written once per call and read by all; the counters that all write; what never changes: each
    // on a cache line of its own, two where processors fetch lines in pairs.
    alignas(128) std::atomic<std::uint32_t> epoch_{0};
    std::atomic<bool> stop_{false};
    const task* work_ = nullptr;
    std::size_t count_ = 0;
    alignas(128) std::atomic<std::size_t> next_{0};
    alignas(128) std::atomic<std::uint32_t> gate_{0};
    alignas(128) std::atomic<std::int32_t> busy_{0}; // RISC-V cannot exchange a byte by itself
    alignas(128) std::atomic<std::size_t> spinning_{0};
    alignas(128) bool spins_ = false;
    std::size_t helpers_ = 0;
    std::size_t started_ = 0;
    std::unique_ptr<std::thread[]> workers_;
};

} // namespace quant::inline QUANT_VOCABULARY

#undef QUANT_DETAIL_PAUSE

#endif // QUANT_NO_THREADS
