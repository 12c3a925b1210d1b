// Operands of products: packed weights made cheaply, on huge pages, and activations.
#pragma once

#include "huge_memory.hpp"
#include "registry.hpp"

#include <quant/quant.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace bench {

struct shape {
    std::size_t outputs = 0, inputs = 0;

    [[nodiscard]] std::string name() const {
        return joined({std::to_string(outputs), "x", std::to_string(inputs)});
    }
    [[nodiscard]] double elements() const {
        return static_cast<double>(outputs) * static_cast<double>(inputs);
    }
};

inline std::vector<float> some_numbers(std::size_t n) {
    std::vector<float> made(n);
    std::uint32_t state = 1;
    for (float& x : made) {
        state = state * 1664525u + 1013904223u;
        x = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-31f;
    }
    return made;
}

/// Matrices of one shape, one behind the other in memory. The rows of each are some hundred random
/// ones, repeated: the time of a product does not depend on what the numbers are.
template <quant::quantization_scheme S>
class weights {
public:
    weights(shape of, std::size_t matrices) : shape_(of) {
        const std::size_t panels = (of.outputs + quant::panel_rows - 1) / quant::panel_rows;
        const std::size_t rows = std::min<std::size_t>(256, panels * quant::panel_rows);
        const auto numbers = some_numbers(rows * of.inputs);
        const auto block = quant::quantize_packed<S>(
            quant::matrix_view<const float>{numbers.data(), rows, of.inputs});
        const std::size_t panel_bytes = block.view().panel_bytes();
        memory_ = std::make_unique<huge_memory>(panels * panel_bytes * matrices);
        size_ = panels * panel_bytes * matrices;
        for (std::size_t i = 0; i < panels * matrices; ++i) {
            std::memcpy(memory_->data() + i * panel_bytes,
                        block.view().panels() + i % (rows / quant::panel_rows) * panel_bytes,
                        panel_bytes);
        }
        for (std::size_t i = 0; i < matrices; ++i) {
            views_.emplace_back(memory_->data() + i * panels * panel_bytes, of.outputs, of.inputs);
        }
    }

    [[nodiscard]] const std::vector<quant::packed_view<S>>& views() const { return views_; }
    /// All bytes of the panels, padding included.
    [[nodiscard]] std::span<const std::byte> bytes() const { return {memory_->data(), size_}; }
    [[nodiscard]] shape of() const { return shape_; }

private:
    shape shape_;
    std::unique_ptr<huge_memory> memory_;
    std::size_t size_ = 0;
    std::vector<quant::packed_view<S>> views_;
};

/// Bytes of the codes and scales of one matrix as its format counts them, without padding.
template <quant::quantization_scheme S>
double nominal_bytes(shape of) {
    return S::nominal_bits(of.outputs, of.inputs) / 8;
}

/// x and y of a product.
struct activations {
    activations(std::size_t tokens, shape of)
        : x(some_numbers(tokens * of.inputs)), y(tokens * of.outputs),
          in{x.data(), tokens, of.inputs}, out{y.data(), tokens, of.outputs} {}

    std::vector<float> x, y;
    quant::matrix_view<const float> in;
    quant::matrix_view<float> out;
};

/// A call that multiplies with every matrix of w once.
template <class A, quant::quantization_scheme S, class Executor = const quant::serial_executor>
std::function<void()> product(std::shared_ptr<const weights<S>> w, std::size_t tokens,
                              Executor& run = quant::serial) {
    return [w, xy = std::make_shared<activations>(tokens, w->of()), &run] {
        for (const auto& view : w->views()) quant::matmul<A>(xy->in, view, xy->out, run);
    };
}

} // namespace bench
