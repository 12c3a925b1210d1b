// std::ranges::equal, which some standard libraries lack.
#pragma once

#include <algorithm>
#include <iterator>

template <class A, class B>
constexpr bool equal_ranges(const A& a, const B& b) {
    return std::equal(std::begin(a), std::end(a), std::begin(b), std::end(b));
}
