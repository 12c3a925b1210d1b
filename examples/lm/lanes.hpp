// Float loops over whole vectors, for what the library leaves to its users: sums of float products
// in a fixed order. A compiler may not reorder a float sum, so the lanes are spelled out, with the
// vector extension that g++ and clang share; nothing here names an instruction set.
#pragma once

#include <cstddef>
#include <cstring>

namespace lm {

#if defined(__AVX512F__)
inline constexpr std::size_t lane_count = 16;
#elif defined(__AVX__)
inline constexpr std::size_t lane_count = 8;
#else
inline constexpr std::size_t lane_count = 4;
#endif

using lanes [[gnu::vector_size(lane_count * sizeof(float))]] = float;

[[gnu::always_inline]] inline void load_lanes(lanes& to, const float* from) noexcept {
    std::memcpy(&to, from, sizeof to);
}

/// Sum of all lanes, by halves.
[[gnu::always_inline]] inline float sum_lanes(lanes value) noexcept {
    float sums[lane_count];
    std::memcpy(sums, &value, sizeof sums);
    for (std::size_t half = lane_count / 2; half > 0; half /= 2) {
        for (std::size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
    }
    return sums[0];
}

/// Σ a[i]·b[i].
[[nodiscard]] inline float dot(const float* a, const float* b, std::size_t size) noexcept {
    lanes sum{};
    std::size_t i = 0;
    for (; i + lane_count <= size; i += lane_count) {
        lanes left;
        lanes right;
        load_lanes(left, a + i);
        load_lanes(right, b + i);
        sum += left * right;
    }
    float total = sum_lanes(sum);
    for (; i < size; ++i) total += a[i] * b[i];
    return total;
}

} // namespace lm
