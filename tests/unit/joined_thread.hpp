// A thread that is joined at the end of its scope: std::jthread, which some libraries lack.
#pragma once

#include <thread>
#include <utility>

class joined_thread {
public:
    template <class F>
    explicit joined_thread(F f) : thread_(std::move(f)) {}
    joined_thread(joined_thread&&) noexcept = default;
    ~joined_thread() {
        if (thread_.joinable()) thread_.join();
    }

private:
    std::thread thread_;
};
