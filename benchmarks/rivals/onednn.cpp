// oneDNN: 8-bit times 8-bit with a scale per output, float results; and float times float. The
// weights are in the layout that it prefers. Activations are 8-bit already: quantizing them, which
// our times contain, comes on top.
#include "rivals.hpp"

#include <oneapi/dnnl/dnnl.hpp>

namespace {

using dims = dnnl::memory::dims;
using type = dnnl::memory::data_type;
using tag = dnnl::memory::format_tag;

std::function<void()> product(bench::shape of, std::size_t tokens, type operands) {
    const auto m = static_cast<dnnl::memory::dim>(tokens);
    const auto n = static_cast<dnnl::memory::dim>(of.outputs);
    const auto k = static_cast<dnnl::memory::dim>(of.inputs);
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    const type source_type = operands == type::f32 ? type::f32 : type::u8;
    const dnnl::memory::desc source({m, k}, source_type, tag::ab);
    const dnnl::memory::desc any_weights({k, n}, operands, tag::any);
    const dnnl::memory::desc given({k, n}, operands, tag::ba); // outputs by inputs
    const dnnl::memory::desc result({m, n}, type::f32, tag::ab);
    dnnl::primitive_attr attributes;
    if (operands != type::f32) {
        attributes.set_output_scales(1 << 1, std::vector<float>(of.outputs, 0.01f));
    }
    const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(source, any_weights, result),
                                                   attributes, engine);
    const dnnl::matmul multiply(description);
    dnnl::stream stream(engine);
    const dnnl::memory x(source, engine), y(result, engine), raw(given, engine);
    dnnl::memory w(description.weights_desc(), engine);
    dnnl::memory raw_copy = raw;
    dnnl::reorder(raw_copy, w).execute(stream, raw_copy, w);
    stream.wait();
    return [=]() mutable {
        multiply.execute(stream, {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DST, y}});
        stream.wait();
    };
}

} // namespace

std::vector<rivals::rival> rivals::onednn() {
    return {{"oneDNN_s8", kind::int8_per_channel,
             [](bench::shape of, std::size_t tokens) { return product(of, tokens, type::s8); }},
            {"oneDNN_f32", kind::fp32,
             [](bench::shape of, std::size_t tokens) { return product(of, tokens, type::f32); }}};
}
