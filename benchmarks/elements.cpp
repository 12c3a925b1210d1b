// Element-wise work from data that lie in L2, one thread: quantize, dequantize, pack, unpack,
// gather.
//
// pack and unpack are compared with reading L2, by the bytes they read and the bytes they write:
// codes of a byte each on one side, of B bits on the other. (A copy is counted alike, and shows
// what L2 gives to reads and writes at once.) A call includes all that a user of it pays for, the
// allocation of its result too; but that comes from memory that the process keeps (else it would be
// faulted in again at each call, which is the system's speed, not ours).
#include "named_schemes.hpp"
#include "registry.hpp"
#include "weights.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace bench;

namespace {

// 384 KiB of floats and at most 96 KiB of codes: within any L2 of 1 MiB, beyond any L1.
constexpr shape of{64, 1536};

/// The compiler shall believe that what a call returns is looked at.
template <class T>
void use(const T& value) {
    asm volatile("" : : "g"(&value) : "memory");
}

/// Once a block of this size was freed, glibc keeps as much for the next ones.
void keep_freed_memory() { use(std::vector<char>(std::size_t{8} << 20)); }

/// All operands that the calls of one scheme work on.
template <quant::quantization_scheme S>
struct operands {
    using rows = quant::matrix_view<const float>;

    std::vector<float> numbers = some_numbers(of.outputs * of.inputs);
    std::vector<float> restored = std::vector<float>(of.outputs * of.inputs);
    rows in{numbers.data(), of.outputs, of.inputs};
    quant::matrix_view<float> out{restored.data(), of.outputs, of.inputs};
    quant::quantized_matrix<S> quantized = quant::quantize<S>(in);
    quant::packed_matrix<S> packed = quant::pack(quantized);
    std::vector<std::uint32_t> some_rows;

    operands() {
        for (std::size_t i = 0; i < of.outputs; ++i) {
            some_rows.push_back(static_cast<std::uint32_t>(i * 37 % of.outputs));
        }
    }
};

/// G elements/s that quantize and dequantize of rows ought to reach on AVX-512 VNNI.
struct rates {
    double quantize = 0, dequantize = 0;
};

template <quant::quantization_scheme S>
std::string with_scales(const char* scales) {
    return joined({name_of<S>(), S::multiplier == 2 ? "_midrise_" : "_", scales});
}

template <quant::quantization_scheme S>
void add_elements(registry& to, const char* scales, rates wanted = {}) {
    family made{.name = joined({"elements/", with_scales<S>(scales)}), .cases = {}, .prepare = [] {
                    keep_freed_memory();
                    const auto with = std::make_shared<operands<S>>();
                    return prepared{
                        .calls = {[with] { use(quant::quantize<S>(with->in)); },
                                  [with] { quant::dequantize(with->quantized, with->out); },
                                  [with] { use(quant::quantize_packed<S>(with->in)); },
                                  [with] { quant::dequantize(with->packed, with->out); },
                                  [with] {
                                      quant::gather_rows(with->packed, std::span(with->some_rows),
                                                         with->out);
                                  }}};
                }};
    const auto add = [&](const char* name, double rate) {
        made.cases.push_back({.name = name,
                              .unit = "G elements/s",
                              .work = of.elements(),
                              .against = limit::absolute,
                              .target = {rate, 0}});
    };
    add("quantize", wanted.quantize);
    add("dequantize", wanted.dequantize);
    add("quantize_packed", 0);
    add("dequantize_packed", 0);
    add("gather_rows", 0);
    to.add(std::move(made));
}

template <int Bits>
void add_packing(registry& to) {
    using S = grouped<Bits, 32>;
    family made{.name = joined({"elements/packing/", name_of<S>()}), .cases = {}, .prepare = [] {
                    keep_freed_memory();
                    const auto with = std::make_shared<operands<S>>();
                    return prepared{.calls = {[with] {
                                                  quant::pack_into(with->quantized,
                                                                   with->packed.mutable_bytes());
                                              },
                                              [with] { use(quant::unpack(with->packed)); }}};
                }};
    for (const char* name : {"pack", "unpack"}) {
        made.cases.push_back({.name = name,
                              .unit = "GB/s",
                              .work = of.elements() * (1 + Bits / 8.0),
                              .against = limit::l2_read,
                              .target = {60, 0}});
    }
    to.add(std::move(made));
}

void add_copying(registry& to) {
    to.add({.name = "elements/packing/copy",
            .cases = {{.name = "memcpy",
                       .unit = "GB/s",
                       .work = 2 * of.elements(),
                       .against = limit::l2_read}},
            .prepare = [] {
                const auto from = std::make_shared<std::vector<char>>(of.outputs * of.inputs, 'x');
                const auto copy = std::make_shared<std::vector<char>>(of.outputs * of.inputs);
                return prepared{.calls = {[from, copy] {
                                    std::memcpy(copy->data(), from->data(), from->size());
                                    use(*copy);
                                }}};
            }});
}

template <int Bits>
using grouped_float =
    quant::scheme<quant::int_code<Bits>, quant::symmetric, quant::group_wise<32>, float>;

const registration here([](registry& to) {
    add_elements<grouped<8, 32>>(to, "fp16", {8, 16});
    add_elements<grouped<4, 32>>(to, "fp16", {8, 16});
    add_elements<grouped_float<8>>(to, "float", {8, 16});
    add_elements<grouped_float<4>>(to, "float", {8, 16});
    add_elements<with_zero_point<4, 32>>(to, "fp16");
    add_elements<with_minimum<4, 32>>(to, "fp16");
    add_elements<quant::scheme<quant::int2, quant::midrise, quant::group_wise<64>, quant::bf16>>(
        to, "bf16");
    add_elements<per_channel<8>>(to, "float");
    [&]<int... B>(std::integer_sequence<int, B...>) {
        (add_packing<B + 1>(to), ...);
    }(std::make_integer_sequence<int, 8>{});
    add_copying(to);
});

} // namespace
