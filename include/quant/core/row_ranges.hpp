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

/// A reference to body(first, last), which returns a result<void>, and the failure of the first
/// range that has one.
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

    /// Runs the range of that number, and keeps its failure.
    void operator()(std::size_t index) noexcept {
        const std::size_t first = index * per_task_;
        result<void> done = guarded(where_, [&]() -> result<void> {
            return call_(body_, first, std::min(first + per_task_, rows_));
        });
        if (done) return;
        const mutex_guard one_at_a_time(mutex_);
        if (outcome_ || index < failed_range_) {
            outcome_ = done;
            failed_range_ = index;
        }
    }
    /// Only after all have run.
    [[nodiscard]] const result<void>& outcome() const noexcept { return outcome_; }

private:
    void* body_;
    result<void> (*call_)(void*, std::size_t, std::size_t);
    std::size_t rows_, per_task_;
    const char* where_;
    mutex mutex_;
    result<void> outcome_;         ///< or the failure of the first range that has one,
    std::size_t failed_range_ = 0; ///< of this number then
};

/// for_each_row_range, whatever the body: one function for all.
[[nodiscard]] inline result<void> run_ranges(const executor_ref& run, row_range_work& work,
                                             const char* where) noexcept {
    const auto ran = run_tasks(run, work.ranges(), work, where);
    return work.outcome() ? ran : work.outcome();
}

/// Runs body(first, last) over all rows in ranges of `per_task`, all of them even if one fails;
/// body returns why it could not go on, or nothing. The first range's failure goes before the
/// executor's.
template <class Body>
[[nodiscard]] result<void> for_each_row_range(const executor_ref& run, std::size_t rows,
                                              std::size_t per_task, const char* where,
                                              Body&& body) noexcept {
    row_range_work work(body, rows, per_task, where);
    return run_ranges(run, work, where);
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
