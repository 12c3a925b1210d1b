// What this machine can do at best, measured in the same run as the kernels.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>

namespace limits {

/// Seconds for which this thread has run, where the system counts them, else 0.
double thread_seconds();

/// Runs f once. @return seconds by the clock on the wall
template <class F>
double wall_seconds_of(F&& f) {
    const auto start = std::chrono::steady_clock::now();
    f();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    return taken.count();
}

/// Runs f, which works on this thread alone, once. @return seconds in which the thread ran: on a
/// machine that others share, a long call never has its core for itself. Where that is much less
/// than the time on the wall, the latter: virtual machines charge what others took to the wrong
/// moment now and then, and a peak was once seen at 1.8 times itself.
template <class F>
double seconds_of(F&& f) {
    const double before = thread_seconds();
    const double wall = wall_seconds_of(f);
    const double own = thread_seconds() - before; // with the cost of asking, so never too little
    return own > 0.9 * wall && own < wall ? own : wall;
}

/// Loops that do nothing but one instruction on registers, one thread.
enum class peak {
    dot_product,      ///< vpdpbusd with 512 bits if the CPU has it, whatever this build uses; else
                      ///< four multiply-adds, whose bytes are as many, for builds with FMA
    own_dot_product,  ///< what this build uses in its place
    amx_products,     ///< AMX's of tiles of bytes, where builds use them; else 0
    bf16_dot_product, ///< vdpbf16ps if the CPU has it, else as multiply_add
    multiply_add,     ///< float multiply-adds of this build
    count
};

/// Runs a peak's loop once, for some ten microseconds. @return operations per second
double run(peak which);

/// Where peak::dot_product comes from here.
const char* dot_product_source();

/// The best that run has returned so far in this process; runs it a few times if it never has.
double best(peak which);

/// Reads memory once, from front to back. @return seconds
double read(std::span<const std::byte> memory);

/// Best bytes per second of reading `size` bytes over and over, so far; each call measures anew.
double read_bandwidth(std::size_t size, double seconds);

/// Best rate of reading half of the L2 cache, so far in this process.
double l2_read();

/// Bytes of a data cache, by the system's word or by a guess.
std::size_t cache_bytes(int level);

/// "AMD family 25 model 17" or the like: a class of machines, no name of one.
std::string cpu_class();

/// Cores that this process may run on.
unsigned usable_cores();

} // namespace limits
