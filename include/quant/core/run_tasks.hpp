// Numbered pieces of work on any executor, which is checked to have run each of them once.
//
// In QUANT_ABI, although no type here depends on the instruction set: these are inline functions,
// and of a program's copies the linker might keep one that was compiled for a newer CPU.
#pragma once

#include <quant/core/executor.hpp>
#include <quant/core/result.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Scrambles a number, so that sums over different sets of numbers differ (splitmix64).
[[nodiscard]] constexpr std::uint64_t scrambled(std::uint64_t x) noexcept {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/// Hands on each number below `count`, and counts all, those beyond it, too.
class counted_work {
public:
    counted_work(std::size_t count, task work) noexcept : count_(count), work_(work) {}

    void operator()(std::size_t index) noexcept {
        if (index < count_) work_(index);
        sum_.fetch_add(scrambled(index), std::memory_order_relaxed);
        finished_.fetch_add(1, std::memory_order_release);
    }
    /// An error unless each was run exactly once: by their number, and by a sum that a task run
    /// twice in place of another would change.
    [[nodiscard]] result<void> outcome(const char* where) const noexcept {
        const std::size_t ran = finished_.load(std::memory_order_acquire);
        std::uint64_t expected = 0;
        for (std::size_t i = 0; i < count_; ++i) expected += scrambled(i);
        if (ran == count_ && sum_.load(std::memory_order_relaxed) == expected) return {};
        return make_error(errc::executor_failed, where,
                          "executor ran %zu tasks, not each of %zu once", ran, count_);
    }

private:
    std::size_t count_;
    task work_;
    std::atomic<std::size_t> finished_{0};
    std::atomic<std::uint64_t> sum_{0};
};

/// A reference to any executor, which must outlive it: what takes one does not depend on the
/// executor's type. concurrency() is asked for once, here.
class executor_ref {
public:
    /// Implicit, so that public functions can hand on their argument.
    template <class E>
        requires(!std::same_as<std::remove_cvref_t<E>, executor_ref> && executor<E>)
    executor_ref(E&& run) noexcept : concurrency_(core_detail::concurrency_of(run)) {
        using callee = std::remove_reference_t<E>;
        if constexpr (std::is_function_v<callee>) { // which are no objects
            state_ = reinterpret_cast<void*>(&run);
        } else {
            state_ = const_cast<void*>(static_cast<const volatile void*>(std::addressof(run)));
        }
        call_ = [](void* state, std::size_t count, const task& work) {
            (*reinterpret_cast<callee*>(state))(count, task(work)); // theirs to keep
        };
    }

    void operator()(std::size_t count, const task& work) const { call_(state_, count, work); }
    [[nodiscard]] std::size_t concurrency() const noexcept { return concurrency_; }

private:
    void* state_;
    void (*call_)(void*, std::size_t, const task&);
    std::size_t concurrency_;
};

/// run_tasks for more than one.
[[nodiscard]] inline result<void> run_counted(const executor_ref& run, std::size_t count,
                                              const task& work, const char* where) noexcept {
    counted_work counted(count, work);
    auto ran = guarded(where, [&]() -> result<void> {
        run(count, task(counted));
        return {};
    });
    return ran ? counted.outcome(where) : ran;
}

/// Runs work(0 … count − 1) on an executor and checks that each was run exactly once; a single one
/// here and now, since it is not worth waking anybody. where: what errors name, of the executor and
/// what it throws.
template <class F>
[[nodiscard]] result<void> run_tasks(const executor_ref& run, std::size_t count, F& work,
                                     const char* where) noexcept {
    if (count == 1) {
        work(std::size_t{0});
        return {};
    }
    return run_counted(run, count, task(work), where);
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
