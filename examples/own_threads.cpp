// The program's own thread pool runs the library's work: an executor is one lambda.
#include <quant/quant.hpp>

#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <mutex>
#include <queue>
#include <stop_token>
#include <thread>
#include <vector>

using w4 = quant::scheme<quant::int4, quant::asymmetric_min, quant::group_wise<32>, quant::fp16>;

// Stands for whatever pool a program has already; it knows nothing of quant.
class job_queue {
public:
    explicit job_queue(unsigned threads) {
        for (unsigned i = 0; i < threads; ++i) {
            workers_.emplace_back([this](const std::stop_token& stop) { serve(stop); });
        }
    }

    // Runs f(0) … f(count − 1) on the workers, and returns when all have returned.
    void parallel_for(std::size_t count, const std::function<void(std::size_t)>& f) {
        std::unique_lock lock(mutex_);
        std::size_t left = count;
        for (std::size_t i = 0; i < count; ++i) {
            jobs_.push([this, &f, &left, i] {
                f(i);
                const std::lock_guard done(mutex_);
                if (--left == 0) changed_.notify_all();
            });
        }
        changed_.notify_all();
        changed_.wait(lock, [&] { return left == 0; });
    }

private:
    void serve(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (changed_.wait(lock, stop, [this] { return !jobs_.empty(); })) {
            const auto job = std::move(jobs_.front());
            jobs_.pop();
            lock.unlock();
            job();
            lock.lock();
        }
    }

    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::queue<std::function<void()>> jobs_;
    std::vector<std::jthread> workers_; // last: joined before the rest is destroyed
};

int main() {
    constexpr std::size_t tokens = 5, rows = 512, cols = 1024;
    std::vector<float> weights(rows * cols), x(tokens * cols);
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = std::sin(static_cast<float>(i));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::cos(static_cast<float>(i));
    const quant::matrix_view<const float> w_view(weights.data(), rows, cols);
    const quant::matrix_view<const float> x_view(x.data(), tokens, cols);

    job_queue pool(2);
    auto run = [&](std::size_t count, quant::task f) { pool.parallel_for(count, f); };

    const auto w = quant::quantize_packed<w4>(w_view, {}, run);
    std::vector<float> y(tokens * rows), alone(tokens * rows);
    quant::matmul(x_view, w, quant::matrix_view(y.data(), tokens, rows), run);
    quant::matmul(x_view, w, quant::matrix_view(alone.data(), tokens, rows)); // quant::serial

    const bool same = w == quant::quantize_packed<w4>(w_view) && y == alone;
    std::printf("weights and products %s with and without threads\n", same ? "agree" : "differ");
    return same ? 0 : 1;
}
