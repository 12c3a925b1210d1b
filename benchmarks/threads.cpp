// Two threads against one, and small models' shapes against large ones.
#include "named_schemes.hpp"
#include "registry.hpp"
#include "weights.hpp"

using namespace bench;

namespace {

/// Two threads: the pool lives as long as the operands.
template <class S, class A>
void add_threads(registry& to, shape of, std::size_t tokens, double target) {
    family made;
    made.name = joined({"threads/", name_of<S>(), "/", name_of_activations<A>(), "/", of.name(),
                        "/tokens:", std::to_string(tokens)});
    const double work = 2 * of.elements() * static_cast<double>(tokens);
    made.cases = {{.name = "one_thread", .work = work},
                  {.name = "two_threads",
                   .work = work,
                   .against = limit::other_case,
                   .target = {target, 0},
                   .other = 0,
                   .cores = 2}};
    made.prepare = [of, tokens] {
        const auto w = std::make_shared<const weights<S>>(of, 1);
        const auto pool = std::make_shared<quant::thread_pool>(std::size_t{2});
        return prepared{.calls = {product<A>(w, tokens),
                                  [pool, two = product<A>(w, tokens, *pool)] { two(); }}};
    };
    to.add(std::move(made));
}

/// Weights as they lie in memory: columns padded to 32, rows to 16.
double padded_weights(shape of) {
    return static_cast<double>((of.outputs + 15) / 16 * 16) *
           static_cast<double>((of.inputs + 31) / 32 * 32);
}

/// Weights per second of each shape, over that of the first.
template <class S, class A = quant::default_activations<S>>
void add_shapes(registry& to, std::size_t tokens) {
    const std::vector<shape> shapes = {
        {4096, 4096}, {576, 1536}, {1536, 576}, {49152, 576}, {64, 172}};
    family made;
    made.name = joined({"model_shapes/", name_of<S>(), "/", name_of_activations<A>(),
                        "/tokens:", std::to_string(tokens)});
    for (const shape of : shapes) {
        const bool first = made.cases.empty();
        made.cases.push_back({.name = of.name(),
                              .unit = "G weights/s",
                              .work = padded_weights(of) * static_cast<double>(tokens),
                              .against = first ? limit::none : limit::other_case,
                              .target = {first ? 0 : 100 / 1.15, 0},
                              .warm = true});
    }
    made.prepare = [shapes, tokens] {
        prepared operands;
        for (const shape of : shapes) {
            const auto w = std::make_shared<const weights<S>>(of, 1);
            operands.calls.push_back(product<A>(w, tokens));
        }
        return operands;
    };
    to.add(std::move(made));
}

const registration here([](registry& to) {
    using w4 = grouped<4, 32>;
    using w8 = grouped<8, 32>;
    for (const std::size_t tokens : {1u, 4u, 16u, 256u}) {
        add_threads<w4, quant::default_activations<w4>>(to, {4096, 4096}, tokens, 185);
        add_threads<w8, quant::default_activations<w8>>(to, {4096, 4096}, tokens, 185);
    }
    add_threads<w4, quant::default_activations<w4>>(to, {49152, 576}, 1, 185);
    for (const std::size_t tokens : {1u, 16u, 64u}) add_shapes<w4>(to, tokens);
});

} // namespace
