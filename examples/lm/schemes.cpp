#include "schemes.hpp"

#include "dense_weights.hpp"
#include "failure.hpp"
#include "packed_weights.hpp"

#include <algorithm>
#include <cstddef>

namespace lm {
namespace {

using view = quant::matrix_view<const float>;

weight_pointer refer(view weights, quant::thread_pool&) {
    return std::make_unique<dense_weights>(weights);
}

template <class Code, class Mapping, class Granularity, class Scale>
weight_pointer pack(view weights, quant::thread_pool& pool) {
    using scheme = quant::scheme<Code, Mapping, Granularity, Scale>;
    return std::make_unique<packed_weights<scheme>>(
        quant::quantize_packed<scheme>(weights, {}, pool));
}

using quant::asymmetric_min;
using quant::fp16;
using quant::group_wise;
using quant::int2;
using quant::int3;
using quant::int4;
using quant::int8;
using quant::per_channel;
using quant::symmetric;

constexpr scheme_entry table[] = {
    {"f32", "float", refer},
    {"int8_channel", "8 bits, a scale per row", pack<int8, symmetric, per_channel, float>},
    {"int8_g32", "8 bits, a scale per 32", pack<int8, symmetric, group_wise<32>, fp16>},
    {"int4_g32", "4 bits, a scale per 32", pack<int4, symmetric, group_wise<32>, fp16>},
    {"int4_g32_asym", "4 bits, scale and minimum per 32",
     pack<int4, asymmetric_min, group_wise<32>, fp16>},
    {"int3_g32", "3 bits, a scale per 32", pack<int3, symmetric, group_wise<32>, fp16>},
    {"int3_g32_asym", "3 bits, scale and minimum per 32",
     pack<int3, asymmetric_min, group_wise<32>, fp16>},
    {"int2_g32_asym", "2 bits, scale and minimum per 32",
     pack<int2, asymmetric_min, group_wise<32>, fp16>},
    {"int2_g16_asym", "2 bits, scale and minimum per 16",
     pack<int2, asymmetric_min, group_wise<16>, fp16>},
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

model prepare(const float_model& weights, const scheme_entry& scheme, quant::thread_pool& pool,
              const std::function<void(double)>& progress) {
    const auto all = static_cast<double>(count_weights(weights));
    double done = 0;
    const auto make = [&](const float_matrix& from) {
        weight_pointer made = scheme.make(from.view(), pool);
        done += static_cast<double>(from.values.size());
        if (progress) progress(done / all);
        return made;
    };

    model prepared;
    prepared.shape = weights.shape;
    prepared.embedding = make(weights.embedding);
    for (const auto& layer : weights.layers) {
        prepared.layers.push_back({.attention_norm = layer.attention_norm,
                                   .qkv = make(layer.qkv),
                                   .attention_out = make(layer.attention_out),
                                   .ffn_norm = layer.ffn_norm,
                                   .gate_up = make(layer.gate_up),
                                   .down = make(layer.down)});
    }
    prepared.final_norm = weights.final_norm;
    if (weights.classifier) prepared.classifier = make(*weights.classifier);
    return prepared;
}

} // namespace lm
