// Executors: how the library runs independent pieces of work on the caller's threads.
#pragma once

#include <quant/core/result.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <memory>
#include <type_traits>

namespace quant::inline QUANT_VOCABULARY {

/// One numbered piece of work: call it with its number. A reference to the library's own state,
/// two pointers wide, valid until the executor returns; calls never throw.
class task {
public:
    template <class F>
        requires(!std::same_as<std::remove_cvref_t<F>, task>)
    explicit task(F& work) noexcept
        : state_(const_cast<void*>(static_cast<const void*>(std::addressof(work)))),
          call_([](void* state, std::size_t index) noexcept { (*static_cast<F*>(state))(index); }) {
    }

    void operator()(std::size_t index) const noexcept { call_(state_, index); }

private:
    void* state_;
    void (*call_)(void*, std::size_t) noexcept;
};

/// Base of everything else that may follow a product's operands (epilogues), so that no generic
/// lambda or callable epilogue can be taken for an executor.
struct not_an_executor {};

/// Anything callable as executor(count, f) that calls f(0) … f(count − 1) once each, in any order
/// and on any threads, and returns when all have returned. A const concurrency(), if it has one, is
/// how many it runs at once, and work is cut to fit. A lambda over the caller's own pool:
///
///     auto mine = [&](std::size_t count, quant::task f) { pool.parallel_for(count, f); };
template <class E>
concept executor = !std::derived_from<std::remove_cvref_t<E>, not_an_executor> &&
                   requires(E& run, std::size_t count, task work) { run(count, work); };

/// Runs everything on the calling thread, in order.
struct serial_executor {
    void operator()(std::size_t count, task work) const noexcept {
        for (std::size_t i = 0; i < count; ++i) work(i);
    }
    [[nodiscard]] constexpr std::size_t concurrency() const noexcept { return 1; }
};

inline constexpr serial_executor serial{};

namespace core_detail {

/// How many tasks an executor runs at once; 16 where it does not say, since splitting too finely
/// costs little and too coarsely leaves cores idle.
template <class E>
[[nodiscard]] std::size_t concurrency_of(const E& run) noexcept {
    if constexpr (requires {
                      { run.concurrency() } -> std::convertible_to<std::size_t>;
                  }) {
        const std::size_t n = run.concurrency();
        return std::clamp<std::size_t>(n, 1, 1 << 16); // callers multiply it by small numbers
    } else {
        return 16;
    }
}

} // namespace core_detail

} // namespace quant::inline QUANT_VOCABULARY
