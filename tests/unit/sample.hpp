// Long lists of types in parts: a build that has little time tests every fifth or eighth type of
// each list (QUANT_TEST_PART in cmake/QuantTest.cmake), other builds and other instruction sets
// other ones.
#pragma once

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#if !defined(QUANT_TEST_PART)
#define QUANT_TEST_PART 0
#define QUANT_TEST_PARTS 1
#endif

namespace cases {

template <class List, class Indices>
struct sampled;
template <class... T, std::size_t... I>
struct sampled<std::tuple<T...>, std::index_sequence<I...>> {
    // A short list has fewer parts, so that none is empty.
    static constexpr std::size_t parts = std::min<std::size_t>(QUANT_TEST_PARTS, sizeof...(T));
    template <class Type, std::size_t Number>
    using if_tested = std::conditional_t<Number % parts == QUANT_TEST_PART % parts,
                                         std::tuple<Type>, std::tuple<>>;
    using type = decltype(std::tuple_cat(std::declval<if_tested<T, I>>()...));
};

/// The types of a list that this build tests.
template <class List>
using sample = typename sampled<List, std::make_index_sequence<std::tuple_size_v<List>>>::type;

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define QUANT_TEST_SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define QUANT_TEST_SANITIZED 1
#endif

/// The whole list, but under AddressSanitizer, with which compilers take twice as long, the part
/// that this build tests: for programs that only one other build has.
#if defined(QUANT_TEST_SANITIZED)
template <class List>
using sample_if_sanitized = sample<List>;
#else
template <class List>
using sample_if_sanitized = List;
#endif

} // namespace cases
