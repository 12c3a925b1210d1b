// Kernels of little work.
#pragma once

#include "shared.hpp"

#include <quant/core/matrix_view.hpp>
#include <quant/dispatch.hpp>

struct choice_kernels {
    /// What the function was compiled for, by its own flags.
    const char* (*compiled_for)() noexcept;
    /// A number that depends on every element.
    std::uint64_t (*digest)(const std::vector<std::uint32_t>& values);
    /// Throws the error of an empty view, where there are exceptions.
    void (*fail)();
};
