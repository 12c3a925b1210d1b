// Numbers to observe, for the tests of observers.
#pragma once

#include "check_fails.hpp"

#include <quant/calibrate/observers.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace observing {

using view = quant::matrix_view<const float>;
using bytes = std::vector<std::byte>;

inline constexpr float least_float = std::numeric_limits<float>::denorm_min();

class generator {
public:
    std::uint32_t next() {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::uint32_t>(state_ >> 32);
    }
    /// −1 … 1, most of them small.
    float number() {
        const float x = static_cast<float>(static_cast<std::int32_t>(next())) * 0x1p-31f;
        return x * x * x;
    }

private:
    std::uint64_t state_ = 3;
};

inline std::vector<float> random_numbers(std::size_t n, float scale = 1.0f) {
    generator numbers;
    std::vector<float> made(n);
    for (float& x : made) x = scale * numbers.number();
    return made;
}

inline view as_rows(const std::vector<float>& x, std::size_t cols) {
    return {x.data(), x.size() / cols, cols};
}

} // namespace observing
