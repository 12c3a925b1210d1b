// XNNPACK: 8-bit times 8-bit with one scale per tensor, 8-bit results, and float times float.
// Activations are 8-bit already: quantizing them, which our times contain, comes on top.
#include "rivals.hpp"

#include <xnnpack.h>

#include <limits>

namespace {

using operation = std::shared_ptr<xnn_operator>;

operation owned(xnn_operator_t made) {
    return {made, [](xnn_operator_t o) { xnn_delete_operator(o); }};
}

std::function<void()> fp32(bench::shape of, std::size_t tokens) {
    const auto w = bench::some_numbers(of.outputs * of.inputs); // copied into XNNPACK's layout
    xnn_operator_t made = nullptr;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    if (xnn_create_fully_connected_nc_f32(of.inputs, of.outputs, of.inputs, of.outputs, w.data(),
                                          nullptr, -infinity, infinity, 0,
                                          &made) != xnn_status_success) {
        return {};
    }
    const auto xy = std::make_shared<bench::activations>(tokens, of);
    xy->x.resize(xy->x.size() + XNN_EXTRA_BYTES / sizeof(float));
    return [op = owned(made), xy, tokens] {
        xnn_setup_fully_connected_nc_f32(op.get(), tokens, xy->x.data(), xy->y.data(), nullptr);
        xnn_run_operator(op.get(), nullptr);
    };
}

std::function<void()> int8(bench::shape of, std::size_t tokens) {
    const std::vector<std::int8_t> w(of.outputs * of.inputs, 3);
    xnn_operator_t made = nullptr;
    if (xnn_create_fully_connected_nc_qs8(of.inputs, of.outputs, of.inputs, of.outputs, 0, 0.01f,
                                          0.01f, w.data(), nullptr, 0, 1.0f, -127, 127, 0,
                                          &made) != xnn_status_success) {
        return {};
    }
    const auto x = std::make_shared<std::vector<std::int8_t>>(tokens * of.inputs + XNN_EXTRA_BYTES);
    const auto y = std::make_shared<std::vector<std::int8_t>>(tokens * of.outputs);
    return [op = owned(made), x, y, tokens] {
        xnn_setup_fully_connected_nc_qs8(op.get(), tokens, x->data(), y->data(), nullptr);
        xnn_run_operator(op.get(), nullptr);
    };
}

} // namespace

std::vector<rivals::rival> rivals::xnnpack() {
    if (xnn_initialize(nullptr) != xnn_status_success) return {};
    return {{"XNNPACK_qs8", kind::int8_per_channel, int8}, {"XNNPACK_f32", kind::fp32, fp32}};
}
