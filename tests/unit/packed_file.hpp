// What the tests of packed files share: two small matrices and a file of them in memory.
#pragma once

#include "aligned_bytes.hpp"
#include "gguf_writing.hpp"

#include <quant/io/packed_file.hpp>
#include <quant/pack/pack.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace packed_file_test {

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;
using w8 = quant::scheme<quant::int8, quant::symmetric, quant::per_channel, float>;
using w2 = quant::scheme<quant::int2, quant::asymmetric_min, quant::group_wise<16>, quant::fp16>;

/// Codes and scales that are valid, different for each seed.
template <class S>
quant::packed_matrix<S> sample(std::size_t rows, std::size_t cols, unsigned seed) {
    auto made = quant::packed_matrix<S>::try_zero(rows, cols).value();
    const auto panels = made.mutable_bytes().subspan(64);
    for (std::size_t i = 0; i < panels.size(); ++i) {
        panels[i] = static_cast<std::byte>((i * 7 + seed) % 53); // fp16 and float: small numbers
    }
    return made;
}

/// The bytes of a packed file: metadata, the matrices "four" (33 × 70) and "eight" (16 × 5), and a
/// plain tensor "norm" between them.
inline std::vector<std::byte> small_file() {
    const gguf_test::temporary_folder folder;
    const auto four = sample<w4>(33, 70, 1);
    const auto eight = sample<w8>(16, 5, 2);
    const float norm[3] = {1.0f, -2.0f, 0.5f};
    auto out = quant::packed_file_writer::create(folder / "small");
    out.add("general.architecture", "llama");
    out.add_matrix<w4>("four", 33, 70);
    out.add_tensor("norm", quant::gguf::type::f32, {3});
    out.add_matrix("eight", eight.bytes());
    out.write(four.bytes());
    out.write(std::as_bytes(std::span(norm)));
    out.write(eight.bytes());
    out.finish();
    return gguf_test::bytes_of(folder / "small");
}

} // namespace packed_file_test
