// 1 to 16 tokens: no count may be dearer per token than the one before, and from 4 tokens on
// products come near the lower of two limits: dot products, or reading the weights. One thread.
#include "named_schemes.hpp"
#include "registry.hpp"
#include "weights.hpp"

using namespace bench;

namespace {

constexpr shape square{4096, 4096};
constexpr std::size_t most_tokens = 16;

template <class S, class A = quant::default_activations<S>>
void add(registry& to) {
    family made;
    made.name = joined({"small_batches/", name_of<S>(), "/", name_of_activations<A>()});
    for (std::size_t tokens = 1; tokens <= most_tokens; ++tokens) {
        const double work = 2 * square.elements() * static_cast<double>(tokens);
        const targets target{tokens >= 4 && tokens < 16 ? 70.0 : 0.0, 0};
        made.cases.push_back({.name = joined({"tokens:", std::to_string(tokens)}),
                              .work = work,
                              .against = limit::dot_or_stream,
                              .target = target,
                              .work_per_byte = work / nominal_bytes<S>(square),
                              .tokens = static_cast<double>(tokens)});
    }
    made.cases.push_back(
        {.name = "worst_rise_per_token", .unit = "%", .against = limit::rise, .target = {5, 0}});
    made.prepare = [] {
        const auto w = std::make_shared<const weights<S>>(square, 1);
        prepared operands{.calls = {}, .stream = w->bytes()};
        for (std::size_t tokens = 1; tokens <= most_tokens; ++tokens) {
            operands.calls.push_back(product<A>(w, tokens));
        }
        return operands;
    };
    to.add(std::move(made));
}

const registration here([](registry& to) {
    add<per_channel<8>>(to);
    add<grouped<8, 32>>(to);
    add<grouped<4, 32>>(to);
    add<grouped<4, 32>, int8_per_token>(to);
    add<grouped<4, 128>, int8_per_token>(to);
    add<grouped<2, 64>>(to);
});

} // namespace
