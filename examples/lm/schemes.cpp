#include "schemes.hpp"

#include "dense_weights.hpp"
#include "failure.hpp"
#include "packed_weights.hpp"
#include "searched.hpp"

#include <quant/io/gguf/load_any.hpp>

#include <algorithm>
#include <cstddef>

namespace lm {
namespace {

weight_pointer refer(const float_matrix& weights, quant::thread_pool&) {
    return std::make_unique<dense_weights>(weights.view());
}
/// Floats are no packed tensors.
weight_pointer open_nothing(const quant::packed_tensor&) { return nullptr; }

template <class Scheme>
weight_pointer pack(const float_matrix& weights, quant::thread_pool& pool) {
    return keep(quant::quantize_packed<Scheme>(weights.view(), {}, pool));
}
template <class Scheme>
constexpr matrix_format packed{pack<Scheme>, open_as<Scheme>};

template <int Bits>
using per_row = quant::scheme<quant::int_code<Bits>, quant::symmetric, quant::per_channel, float>;
template <int Bits, std::size_t Group>
using grouped =
    quant::scheme<quant::int_code<Bits>, quant::symmetric, quant::group_wise<Group>, quant::fp16>;
template <int Bits, std::size_t Group>
using grouped_min = quant::scheme<quant::int_code<Bits>, quant::asymmetric_min,
                                  quant::group_wise<Group>, quant::fp16>;

/// Formats of files, for Any = quant::any_packed_matrix and quant::any_packed_view.
template <template <class...> class Any>
using any_of_files = Any<quant::presets::q4_0, quant::presets::q4_1, quant::presets::q8_0>;

/// What the file holds, not quantized again; what is none of the formats above runs as floats.
weight_pointer as_stored(const float_matrix& weights, quant::thread_pool& pool) {
    if (weights.stored.empty()) return refer(weights, pool);
    using any_matrix = any_of_files<quant::any_packed_matrix>;
    auto loaded = quant::gguf::try_load_any<any_matrix>(weights.stored, pool);
    if (!loaded && loaded.failure().code() == quant::errc::unsupported) return refer(weights, pool);
    return keep(std::move(loaded).value());
}
weight_pointer open_stored(const quant::packed_tensor& stored) {
    using any_view = any_of_files<quant::any_packed_view>;
    const auto view = any_view::try_of(stored.bytes());
    if (!view && view.failure().code() == quant::errc::unsupported) return nullptr;
    return std::make_unique<packed_weights<any_view>>(view.value(), stored.bytes());
}

/// All matrices in one format.
constexpr scheme_entry uniform(std::string_view name, std::string_view meaning,
                               matrix_format format) {
    return {name, meaning, format, format};
}

#if defined(LM_PRESETS)
namespace presets = quant::presets;
template <class Preset>
constexpr matrix_format searched{pack_searched<Preset>, open_searched<Preset>};
#endif

constexpr scheme_entry table[] = {
    uniform("f32", "float", {refer, open_nothing}),
    uniform("file", "as in the file: Q4_0, Q4_1, Q8_0, all else in float",
            {as_stored, open_stored}),
    uniform("int8_channel", "8 bits, a scale per row", packed<per_row<8>>),
    uniform("int8_g32", "8 bits, a scale per 32", packed<grouped<8, 32>>),
#if defined(LM_PRESETS)
    uniform("best_6_5", "6.53 bits, two tables", searched<presets::best_6_5>),
    uniform("best_5_5", "5.47 bits, two tables", searched<presets::best_5_5>),
#endif
    {"int4_g32_asym_e8", "int4_g32_asym, embedding and classifier int8_g32",
     packed<grouped_min<4, 32>>, packed<grouped<8, 32>>},
    uniform("int4_g32_asym", "4 bits, scale and minimum per 32", packed<grouped_min<4, 32>>),
    uniform("int4_g32", "4 bits, a scale per 32", packed<grouped<4, 32>>),
#if defined(LM_PRESETS)
    uniform("q4_k", "GGUF's Q4_K", searched<presets::q4_k>),
    uniform("iq4_nl", "GGUF's IQ4_NL", searched<presets::iq4_nl>),
    uniform("best_4_5", "4.47 bits, two tables", searched<presets::best_4_5>),
    uniform("mxfp4", "OCP's MXFP4", searched<presets::mxfp4>),
#endif
    uniform("int3_g32_asym", "3 bits, scale and minimum per 32", packed<grouped_min<3, 32>>),
    uniform("int3_g32", "3 bits, a scale per 32", packed<grouped<3, 32>>),
#if defined(LM_PRESETS)
    uniform("best_3_4", "3.41 bits, two tables", searched<presets::best_3_4>),
#endif
    uniform("int2_g16_asym", "2 bits, scale and minimum per 16", packed<grouped_min<2, 16>>),
    uniform("int2_g32_asym", "2 bits, scale and minimum per 32", packed<grouped_min<2, 32>>),
#if defined(LM_PRESETS)
    uniform("best_2_7", "2.66 bits, two tables", searched<presets::best_2_7>),
    uniform("tq2_0", "GGUF's TQ2_0, ternary", searched<presets::tq2_0>),
#endif
};

std::size_t count_weights(const float_model& weights) {
    std::size_t count = 0;
    for_each_matrix(weights, [&](const float_matrix& one) { count += one.values.size(); });
    return count;
}

} // namespace

std::span<const scheme_entry> all_schemes() { return table; }

const scheme_entry& find_scheme(std::string_view name) {
    const auto* const found = std::ranges::find(table, name, &scheme_entry::name);
    if (found != std::end(table)) return *found;
    std::string known;
    for (const scheme_entry& one : table) known += text_of(" ", one.name);
    throw failure("unknown scheme ", name, "; there are:", known);
}

weight_pointer open_matrix(const quant::packed_tensor& stored) {
    for (const scheme_entry& one : table) {
        for (const matrix_format& format : {one.linear, one.embedding}) {
            if (weight_pointer opened = format.open(stored)) return opened;
        }
    }
    throw failure("tensor ", stored.name(), " is in ", to_string(stored.header().scheme),
                  ", which is none of this program's formats");
}

model prepare(const float_model& weights, const scheme_entry& scheme, quant::thread_pool& pool,
              const std::function<void(double)>& progress) {
    const auto all = static_cast<double>(count_weights(weights));
    double done = 0;
    const auto make_by = [&](matrix_maker maker, const float_matrix& from) {
        weight_pointer made = maker(from, pool);
        done += static_cast<double>(from.values.size());
        if (progress) progress(done / all);
        return made;
    };

    const auto make = [&](const float_matrix& from) { return make_by(scheme.linear.make, from); };

    model prepared;
    prepared.shape = weights.shape;
    prepared.embedding = make_by(scheme.embedding.make, weights.embedding);
    for (const auto& layer : weights.layers) {
        prepared.layers.push_back({.attention_norm = layer.attention_norm,
                                   .qkv = make(layer.qkv),
                                   .attention_out = make(layer.attention_out),
                                   .ffn_norm = layer.ffn_norm,
                                   .gate_up = make(layer.gate_up),
                                   .down = make(layer.down)});
    }
    prepared.final_norm = weights.final_norm;
    if (weights.classifier) {
        prepared.classifier = make_by(scheme.embedding.make, *weights.classifier);
    }
    return prepared;
}

} // namespace lm
