#include "rivals.hpp"

#include "../named_schemes.hpp"
#include "../registry.hpp"

using namespace bench;

namespace {

using w4 = grouped<4, 32>;
using w8 = per_channel<8>;

/// Ours of that kind.
template <class S, class A>
rivals::rival ours(rivals::kind what) {
    return {joined({"quant_", name_of<S>(), "_", name_of_activations<A>()}), what,
            [](shape of, std::size_t tokens) {
                return product<A>(std::make_shared<const weights<S>>(of, 1), tokens);
            }};
}

std::vector<rivals::rival> others() {
    std::vector<rivals::rival> all;
    const auto add = [&](const std::vector<rivals::rival>& some) {
        all.insert(all.end(), some.begin(), some.end());
    };
#if QUANT_HAS_OPENBLAS
    add(rivals::openblas());
#endif
#if QUANT_HAS_ONEDNN
    add(rivals::onednn());
#endif
#if QUANT_HAS_XNNPACK
    add(rivals::xnnpack());
#endif
    static_cast<void>(add);
    return all;
}

void add_group(registry& to, const std::string& name, const std::vector<rivals::rival>& members,
               shape of, std::size_t tokens) {
    family made;
    made.name = joined({"rivals/", name, "/", of.name(), "/tokens:", std::to_string(tokens)});
    for (const auto& r : members) {
        made.cases.push_back(
            {.name = r.name, .work = 2 * of.elements() * static_cast<double>(tokens)});
    }
    made.prepare = [members, of, tokens] {
        prepared operands;
        for (const auto& r : members) operands.calls.push_back(r.make(of, tokens));
        return operands;
    };
    to.add(std::move(made));
}

const registration here([](registry& to) {
    const auto all = others();
    const auto group = [&](rivals::rival first) {
        std::vector<rivals::rival> members{std::move(first)};
        for (const auto& r : all) {
            if (r.what == members.front().what) members.push_back(r);
        }
        return members;
    };
    const auto fp32 = group(ours<w4, quant::activations::fp32>(rivals::kind::fp32));
    const auto int8 = group(ours<w8, int8_per_token>(rivals::kind::int8_per_channel));
    const std::vector<rivals::rival> groups_of_32{
        ours<w4, quant::default_activations<w4>>(rivals::kind::int8_per_channel)};
    const std::vector<rivals::rival> groups_of_128{
        ours<grouped<4, 128>, quant::default_activations<grouped<4, 128>>>(
            rivals::kind::int8_per_channel)};
    for (const shape of : {shape{4096, 4096}, shape{4096, 14336}}) {
        for (const std::size_t tokens : {1u, 16u, 64u, 256u}) {
            add_group(to, "fp32_activations", fp32, of, tokens);
            add_group(to, "8_bits_per_channel", int8, of, tokens);
            add_group(to, "4_bits_group_32", groups_of_32, of, tokens);
            add_group(to, "4_bits_group_128", groups_of_128, of, tokens);
        }
    }
});

} // namespace
