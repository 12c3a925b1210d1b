#include "schemes.hpp"

#include "../lm/failure.hpp"
#include "quantize_to.hpp"

#include <algorithm>
#include <iterator>

namespace quantizer {
namespace {

using quant::gguf::type;
namespace presets = quant::presets;

template <type Type>
scheme_entry entry(std::string_view fallback, std::uint32_t file_type) {
    return {to_string(Type), Type, fallback, file_type, &quantize_to<Type>::run, std::nullopt};
}
template <type Type, class Preset>
scheme_entry entry(std::string_view fallback, std::uint32_t file_type) {
    scheme_entry made = entry<Type>(fallback, file_type);
    made.pack = pack_to<Preset>::functions();
    return made;
}
/// Without a type in GGUF.
template <class Preset>
scheme_entry packed_entry(std::string_view name) {
    return {name, std::nullopt, "", guessed_file_type, nullptr, pack_to<Preset>::functions()};
}

// Fallbacks have no fewer bits. Types of several mixtures have the number of the plainest, _S.
const std::vector<scheme_entry>& table() {
    // clang-format off
    static const std::vector<scheme_entry> entries{
        entry<type::f32>("", 0),
        entry<type::bf16>("", 32),
        entry<type::f16>("", 1),
        entry<type::q8_0, presets::q8_0>("", 7),
        entry<type::q5_0, presets::q5_0>("", 8),
        entry<type::q4_k, presets::q4_k>("q5_0", 14),
#if defined(QUANTIZE_ALL)
        entry<type::q6_k, presets::q6_k>("q8_0", 18),
        entry<type::q5_1, presets::q5_1>("", 9),
        entry<type::q5_k, presets::q5_k>("q5_1", 16),
        entry<type::q4_1, presets::q4_1>("", 3),
        entry<type::q4_0, presets::q4_0>("", 2),
        entry<type::iq4_nl, presets::iq4_nl>("", 25),
        entry<type::iq4_xs, presets::iq4_xs>("iq4_nl", 30),
        entry<type::mxfp4, presets::mxfp4>("", 38),
        entry<type::nvfp4, presets::nvfp4>("mxfp4", 39),
        entry<type::q3_k, presets::q3_k>("iq4_nl", 11),
        entry<type::q2_k, presets::q2_k>("iq4_nl", 10),
        entry<type::q2_0, presets::q2_0>("iq4_nl", guessed_file_type),
        entry<type::tq2_0, presets::tq2_0>("iq4_nl", 37),
        entry<type::tq1_0, presets::tq2_0>("iq4_nl", 36),
        entry<type::q1_0, presets::q1_0>("iq4_nl", 40),
        packed_entry<presets::best_2_4>("best_2_4"),
        packed_entry<presets::best_2_7>("best_2_7"),
        packed_entry<presets::best_3_2>("best_3_2"),
        packed_entry<presets::best_3_4>("best_3_4"),
        packed_entry<presets::best_4_3>("best_4_3"),
        packed_entry<presets::best_4_5>("best_4_5"),
        packed_entry<presets::best_5_3>("best_5_3"),
        packed_entry<presets::best_5_5>("best_5_5"),
        packed_entry<presets::best_6_5>("best_6_5"),
        packed_entry<presets::best_8_5>("best_8_5"),
#endif
    };
    // clang-format on
    return entries;
}

constexpr range_entry ranges[] = {
    {"mse", quant::range_estimator::mse},
    {"min_max", quant::range_estimator::min_max},
    {"percentile", quant::range_estimator::percentile},
    {"entropy", quant::range_estimator::entropy},
    {"half_quadratic", quant::range_estimator::half_quadratic},
    {"mse_optimal", quant::range_estimator::mse_optimal},
};

} // namespace

std::span<const scheme_entry> all_schemes() { return table(); }

const scheme_entry* find_scheme(std::string_view name) {
    const auto found = std::ranges::find(table(), name, &scheme_entry::name);
    return found != table().end() ? &*found : nullptr;
}

const scheme_entry* find_scheme(type which) {
    const auto found = std::ranges::find(table(), std::optional(which), &scheme_entry::type);
    return found != table().end() ? &*found : nullptr;
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
