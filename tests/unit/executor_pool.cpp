// Executors run each task exactly once and return when all are done.
#include "joined_thread.hpp"

#include <quant/core/executor.hpp>
#include <quant/core/thread_pool.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

using quant::task;
using quant::thread_pool;

namespace {

/// Counts how often each of `count` tasks ran. Plain integers: a task run by two threads at once,
/// or not finished when the executor returns, is a race that ThreadSanitizer reports.
class tally {
public:
    explicit tally(std::size_t count) : runs_(count, 0) {}
    void operator()(std::size_t index) { ++runs_[index]; }
    bool each_once() const {
        for (const int runs : runs_) {
            if (runs != 1) return false;
        }
        return true;
    }

private:
    std::vector<int> runs_;
};

template <class E>
bool runs_each_once(E& run, std::size_t count) {
    tally counted(count);
    run(count, task(counted));
    return counted.each_once();
}

} // namespace

TEST_CASE("serial runs tasks in order on the calling thread", "[executor]") {
    std::vector<std::size_t> order;
    auto note = [&](std::size_t index) { order.push_back(index); };
    quant::serial(5, task(note));
    CHECK(order == std::vector<std::size_t>{0, 1, 2, 3, 4});
    order.clear();
    quant::serial(0, task(note));
    CHECK(order.empty());
    static_assert(quant::serial.concurrency() == 1);
}

TEST_CASE("a pool runs every task exactly once", "[executor][threads]") {
    for (const std::size_t threads : {1u, 2u, 7u, 64u}) {
        thread_pool pool(threads);
        CAPTURE(threads);
        CHECK(pool.concurrency() == threads);
        for (const std::size_t count : {0u, 1u, 2u, 3u, 7u, 63u, 64u, 65u, 1000u, 20000u}) {
            CAPTURE(count);
            CHECK(runs_each_once(pool, count));
        }
    }
}

TEST_CASE("a pool of unsaid size has a thread per core", "[executor][threads]") {
    const std::size_t cores = std::thread::hardware_concurrency();
    CHECK(thread_pool().concurrency() == (cores > 0 ? cores : 1));
}

TEST_CASE("a pool has a most of threads, however many are asked for", "[executor][threads]") {
#if defined(__EMSCRIPTEN__)
    SKIP("a thread without memory for its stack ends the program");
#endif
    thread_pool pool(SIZE_MAX);
    CHECK(pool.concurrency() >= 1);
    CHECK(pool.concurrency() <= thread_pool::most_threads);
    CHECK(runs_each_once(pool, 10));
}

TEST_CASE("many small jobs in a row lose no task", "[executor][threads]") {
    for (const std::size_t threads : {2u, 7u}) {
        thread_pool pool(threads);
        bool good = true;
        for (std::size_t job = 0; job < 5000; ++job)
            good = good && runs_each_once(pool, 2 + job % 9);
        CHECK(good);
    }
}

TEST_CASE("however many threads a pool has, a second task finds one awake", "[executor][threads]") {
    // Task 0 does not end before task 1 has begun: somebody besides the caller must take it.
    for (const std::size_t threads : {2u, 4u, 16u, 64u}) {
        thread_pool pool(threads);
        std::size_t met = 0;
        for (int round = 0; round < 200; ++round) {
            if (round % 50 == 0)
                std::this_thread::sleep_for(std::chrono::milliseconds(2)); // asleep
            std::atomic<int> begun{0};
            auto meet = [&](std::size_t) {
                const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
                begun.fetch_add(1);
                while (begun.load() < 2 && std::chrono::steady_clock::now() < patience) {
                    std::this_thread::yield();
                }
                if (begun.load() < 2) begun.store(-1);
            };
            pool(2, task(meet));
            if (begun.load() == 2) ++met;
        }
        CAPTURE(threads);
        CHECK(met == 200);
    }
}

TEST_CASE("a call from inside a task is run there", "[executor][threads]") {
    thread_pool pool(4);
    std::atomic<int> good{0};
    auto outer = [&](std::size_t) {
        if (runs_each_once(pool, 100)) ++good;
        auto inner = [&](std::size_t) { // and once more, two levels deep
            if (runs_each_once(pool, 3)) ++good;
        };
        pool(2, task(inner));
    };
    pool(20, task(outer));
    CHECK(good == 20 + 40);
}

TEST_CASE("several threads may call one pool at once", "[executor][threads]") {
    thread_pool pool(3);
    std::atomic<int> good{0};
    {
        std::vector<joined_thread> callers;
        for (int caller = 0; caller < 5; ++caller) {
            callers.emplace_back([&] {
                for (std::size_t job = 0; job < 300; ++job) {
                    if (runs_each_once(pool, 1 + job % 40)) ++good;
                }
            });
        }
    }
    CHECK(good == 1500);
}

TEST_CASE("what a task wrote is there when the pool returns", "[executor][threads]") {
    thread_pool pool(7);
    for (std::size_t round = 0; round < 200; ++round) {
        std::vector<std::size_t> squares(50, 0);
        auto square = [&](std::size_t i) { squares[i] = i * i + round; };
        pool(squares.size(), task(square));
        std::size_t sum = 0;
        for (const std::size_t x : squares) sum += x;
        REQUIRE(sum == 49 * 50 * 99 / 6 + 50 * round);
    }
}

TEST_CASE("pools end idle, spinning, asleep or never used", "[executor][threads]") {
    for (int round = 0; round < 50; ++round) {
        const thread_pool unused(3);
        auto used = std::make_unique<thread_pool>(2);
        CHECK(runs_each_once(*used, 4));
        used.reset(); // its thread may still be spinning
    }
    auto asleep = std::make_unique<thread_pool>(3);
    CHECK(runs_each_once(*asleep, 10));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK(runs_each_once(*asleep, 10));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    asleep.reset();
}

TEST_CASE("a task is a reference two pointers wide that may be copied", "[executor]") {
    static_assert(sizeof(task) == 2 * sizeof(void*));
    static_assert(std::is_trivially_copyable_v<task>);
    int sum = 0;
    auto add = [&](std::size_t i) { sum += static_cast<int>(i); };
    const task first(add);
    const task second = first;
    second(3);
    first(4);
    CHECK(sum == 7);
}
