#pragma once

#include <quant/dispatch.hpp>

#include <cstddef>

// What kernels.cpp computes on the best instruction set.
struct consumer_kernels {
    const char* (*compiled_for)() noexcept;
    float (*largest)(const float* values, std::size_t count) noexcept;
};
