// Rows split over an executor, in ranges that are worth a task.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/core/executor.hpp>
#include <quant/core/mutex.hpp>

#include <algorithm>
#include <cstddef>

namespace quant::inline QUANT_ABI {
namespace detail {

/// How many rows one task takes: enough work to be worth a task, a multiple of `unit`, and a few
/// tasks per thread so that none waits long for the last.
[[nodiscard]] inline std::size_t rows_per_task(std::size_t rows, std::size_t cols,
                                               std::size_t concurrency, std::size_t unit) noexcept {
    constexpr std::size_t least_elements = 1 << 15;
    const std::size_t fair = div_ceil(rows, concurrency > 1 ? 4 * concurrency : 1);
    const std::size_t worthwhile = div_ceil(least_elements, cols);
    const std::size_t wanted = std::min(std::max(fair, worthwhile), rows);
    return round_up(wanted, unit);
}

/// Runs body(first, last) over all rows in ranges of `per_task`; body returns why it could not go
/// on, or nothing.
template <class E, class Body>
[[nodiscard]] result<void> for_each_row_range(E&& run, std::size_t rows, std::size_t per_task,
                                              const char* where, Body&& body) noexcept {
    mutex failing;
    result<void> worked; // or the failure of the first range that has one
    std::size_t failed_range = 0;
    auto outcome = run_tasks(
        run, div_ceil(rows, per_task),
        [&](std::size_t index) noexcept {
            const std::size_t first = index * per_task;
            result<void> done = guarded(where, [&]() -> result<void> {
                return body(first, std::min(first + per_task, rows));
            });
            if (done) return;
            const mutex_guard lock(failing);
            if (worked || index < failed_range) {
                worked = done;
                failed_range = index;
            }
        },
        where);
    return worked ? outcome : worked;
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
