// One token: bytes of weights and scales over reading as many from the same memory, one thread.
#include "named_schemes.hpp"
#include "registry.hpp"
#include "weights.hpp"

using namespace bench;

namespace {

constexpr shape square{4096, 4096};

/// `matrices` distinct ones, one after the other; 0: as many as exceed every cache.
template <class S, class A>
void add_place(registry& to, const std::string& place, targets target, std::size_t matrices) {
    const double bytes = nominal_bytes<S>(square);
    if (matrices == 0) matrices = static_cast<std::size_t>((310 << 20) / bytes) + 1;
    family made;
    made.name = joined({"one_token/", place, "/", name_of<S>(), "/", name_of_activations<A>()});
    made.cases.push_back({.name = square.name(),
                          .unit = "GB/s",
                          .work = bytes * static_cast<double>(matrices),
                          .against = limit::stream,
                          .target = target});
    made.prepare = [matrices] {
        const auto w = std::make_shared<const weights<S>>(square, matrices);
        return prepared{.calls = {product<A>(w, 1)}, .stream = w->bytes()};
    };
    to.add(std::move(made));
}

/// @param dram, l3  percent of the stream, on AVX-512 VNNI
template <class S, class A = quant::default_activations<S>>
void add(registry& to, double dram, double l3) {
    add_place<S, A>(to, "dram", {dram, 0}, 0);
    add_place<S, A>(to, "l3", {l3, 0}, 1);
}

const registration here([](registry& to) {
    add<grouped<8, 32>>(to, 92, 72);
    add<grouped<6, 64>>(to, 92, 50);
    add<grouped<5, 64>>(to, 92, 0);
    add<grouped<4, 32>>(to, 92, 70);
    add<looked_up<64>>(to, 0, 60);
    add<with_zero_point<4, 32>>(to, 92, 60);
    add<with_minimum<4, 32>>(to, 92, 60);
    add<grouped<3, 64>>(to, 92, 36);
    add<grouped<2, 64>>(to, 80, 36);
    add<binary_grouped<64>>(to, 60, 0);
    add<grouped<8, 32>, quant::activations::fp32>(to, 65, 0);
});

} // namespace
