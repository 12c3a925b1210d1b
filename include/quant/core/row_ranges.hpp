// Rows split over an executor, in ranges that are worth a task.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/core/mutex.hpp>
#include <quant/core/run_tasks.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>

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

/// Work on ranges of rows: body(first, last) of any type, a result<void>, by reference.
class row_range_work {
public:
    template <class Body>
    row_range_work(Body& body, std::size_t rows, std::size_t per_task, const char* where) noexcept
        : body_(const_cast<void*>(static_cast<const void*>(std::addressof(body)))),
          call_([](void* of, std::size_t first, std::size_t last) -> result<void> {
              return (*static_cast<Body*>(of))(first, last);
          }),
          rows_(rows), per_task_(per_task), where_(where) {}

    [[nodiscard]] std::size_t ranges() const noexcept { return div_ceil(rows_, per_task_); }

    /// The range of that number.
    void operator()(std::size_t index) noexcept {
        const std::size_t first = index * per_task_;
        result<void> done = guarded(where_, [&]() -> result<void> {
            return call_(body_, first, std::min(first + per_task_, rows_));
        });
        if (done) return;
        const mutex_guard lock(failing_);
        if (worked_ || index < failed_range_) {
            worked_ = done;
            failed_range_ = index;
        }
    }
    /// Why the first range that could not go on did not, or nothing.
    [[nodiscard]] const result<void>& outcome() const noexcept { return worked_; }

private:
    void* body_;
    result<void> (*call_)(void*, std::size_t, std::size_t);
    std::size_t rows_, per_task_;
    const char* where_;
    mutex failing_;
    result<void> worked_;
    std::size_t failed_range_ = 0;
};

[[nodiscard]] inline result<void> run_ranges(executor_ref run, row_range_work& work,
                                             const char* where) noexcept {
    const auto outcome = run_tasks(run, work.ranges(), task(work), where);
    return work.outcome() ? outcome : work.outcome();
}

/// Runs body(first, last) over all rows in ranges of `per_task`; body returns why it could not go
/// on, or nothing.
template <class Body>
[[nodiscard]] result<void> for_each_row_range(executor_ref run, std::size_t rows,
                                              std::size_t per_task, const char* where,
                                              Body&& body) noexcept {
    row_range_work work(body, rows, per_task, where);
    return run_ranges(run, work, where);
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
