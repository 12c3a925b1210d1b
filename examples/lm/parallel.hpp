// One way to run a loop on the pool, serial where waking threads would cost more than the work.
#pragma once

#include <quant/core/thread_pool.hpp>

#include <cstddef>

namespace lm {

/// Calls f(0) … f(count − 1). `cost`: floating-point operations of one call, roughly.
template <class F>
void parallel_for(quant::thread_pool& pool, std::size_t count, std::size_t cost, F f) {
    constexpr std::size_t worth_waking = 100'000;
    if (count * cost < worth_waking) {
        for (std::size_t i = 0; i < count; ++i) f(i);
    } else {
        pool(count, quant::task(f));
    }
}

} // namespace lm
