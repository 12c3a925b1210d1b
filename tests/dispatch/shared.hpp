// What kernels share with the rest of the program: each of their objects would define it under the
// same name.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

// Loops that compilers write with the widest vectors allowed. Not inlined, so that the linker has
// to choose one definition.
template <class T>
[[gnu::noinline]] std::uint64_t shared_digest(const std::vector<T>& values) {
    std::vector<T> sorted(values);
    std::sort(sorted.begin(), sorted.end());
    T mixed = 0;
    for (const T& value : sorted) mixed = static_cast<T>(mixed + value * (value ^ T{0x9E3779B9}));
    return std::accumulate(sorted.begin(), sorted.end(), std::uint64_t{mixed},
                           [](std::uint64_t sum, T value) { return sum * 31 + value; });
}

// A class with a constructor that is not inlined and a table of virtual functions.
struct shared_base {
    [[gnu::noinline]] explicit shared_base(std::uint64_t start) : state(start) {}
    virtual ~shared_base() = default;
    [[gnu::noinline]] virtual void add(std::uint64_t more) { state = state * 31 + more; }
    std::uint64_t state;
};
