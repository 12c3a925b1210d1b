#include "schemes.hpp"

#include "../lm/failure.hpp"
#include "quantize_to.hpp"

#include <algorithm>
#include <iterator>

namespace quantizer {
namespace {

using quant::gguf::type;

template <type Type>
constexpr scheme_entry entry(std::string_view fallback, std::uint32_t file_type) {
    return {to_string(Type), Type, fallback, file_type, &quantize_to<Type>::run};
}

// Fallbacks have no fewer bits. Types of several mixtures have the number of the plainest, _S.
constexpr scheme_entry table[] = {
    entry<type::f32>("", 0),           entry<type::bf16>("", 32),
    entry<type::f16>("", 1),           entry<type::q8_0>("", 7),
    entry<type::q5_0>("", 8),          entry<type::q4_k>("q5_0", 14),
#if defined(QUANTIZE_ALL)
    entry<type::q6_k>("q8_0", 18),     entry<type::q5_1>("", 9),
    entry<type::q5_k>("q5_1", 16),     entry<type::q4_1>("", 3),
    entry<type::q4_0>("", 2),          entry<type::iq4_nl>("", 25),
    entry<type::iq4_xs>("iq4_nl", 30), entry<type::mxfp4>("", 38),
    entry<type::nvfp4>("mxfp4", 39),   entry<type::q3_k>("iq4_nl", 11),
    entry<type::q2_k>("iq4_nl", 10),   entry<type::q2_0>("iq4_nl", guessed_file_type),
    entry<type::tq2_0>("iq4_nl", 37),  entry<type::tq1_0>("iq4_nl", 36),
    entry<type::q1_0>("iq4_nl", 40),
#endif
};

constexpr range_entry ranges[] = {
    {"mse", quant::range_estimator::mse},
    {"min_max", quant::range_estimator::min_max},
    {"percentile", quant::range_estimator::percentile},
    {"entropy", quant::range_estimator::entropy},
    {"half_quadratic", quant::range_estimator::half_quadratic},
};

} // namespace

std::span<const scheme_entry> all_schemes() { return table; }

const scheme_entry* find_scheme(std::string_view name) {
    const auto* const found = std::ranges::find(table, name, &scheme_entry::name);
    return found != std::end(table) ? found : nullptr;
}

const scheme_entry* find_scheme(type which) {
    const auto* const found = std::ranges::find(table, which, &scheme_entry::type);
    return found != std::end(table) ? found : nullptr;
}

std::span<const range_entry> all_ranges() { return ranges; }

quant::range_estimator find_range(std::string_view name) {
    const auto* const found = std::ranges::find(ranges, name, &range_entry::name);
    if (found != std::end(ranges)) return found->range;
    std::string known;
    for (const range_entry& one : ranges) known += lm::text_of(" ", one.name);
    throw lm::failure("--range: unknown range \"", name, "\"; there are:", known);
}

} // namespace quantizer
