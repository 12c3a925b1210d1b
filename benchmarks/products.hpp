// Families of products with many tokens.
#pragma once

#include "named_schemes.hpp"
#include "registry.hpp"
#include "weights.hpp"

namespace bench {

struct token_target {
    std::size_t tokens;
    targets target;
};

/// Adds one family per large shape: products of S with activations A, for each count of tokens.
template <class S, class A>
void add_products(registry& to, limit against, const std::vector<token_target>& counts) {
    for (const shape of : {shape{4096, 4096}, shape{4096, 14336}}) {
        family made;
        made.name =
            joined({"products/", name_of<S>(), "/", name_of_activations<A>(), "/", of.name()});
        for (const token_target& c : counts) {
            made.cases.push_back({.name = joined({"tokens:", std::to_string(c.tokens)}),
                                  .work = 2 * of.elements() * static_cast<double>(c.tokens),
                                  .against = against,
                                  .target = c.target});
        }
        made.prepare = [of, counts] {
            const auto w = std::make_shared<const weights<S>>(of, 1);
            prepared operands;
            for (const token_target& c : counts) {
                operands.calls.push_back(product<A>(w, c.tokens));
            }
            return operands;
        };
        to.add(std::move(made));
    }
}

/// The same target at 16, 64, 256 and 512 tokens, as percent of the dot products' peak.
template <class S, class A = int8_per_token>
void add_integer_products(registry& to, targets target) {
    add_products<S, A>(to, limit::dot_product,
                       {{16, target}, {64, target}, {256, target}, {512, target}});
}

} // namespace bench
