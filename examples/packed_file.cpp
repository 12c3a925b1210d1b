// A model in the kernels' own layout goes to a file, is mapped, and multiplies where it lies: no
// copy, no unpacking. (The file is a GGUF file; docs/layout.md says what is in it.)
#include <quant/io/packed_file.hpp>
#include <quant/quant.hpp>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

using w8 = quant::scheme<quant::int8, quant::symmetric, quant::per_channel, float>;
using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;

static void write_model(const std::filesystem::path& path, const quant::packed_matrix<w4>& up,
                        const quant::packed_matrix<w8>& down, std::span<const float> norm) {
    auto out = quant::packed_file_writer::create(path);
    out.add("general.name", "example");
    out.add_matrix("up.weight", up.bytes());
    out.add_matrix<w8>("down.weight", down.rows(), down.cols()); // need not be there yet
    out.add_tensor("norm.weight", quant::gguf::type::f32, {norm.size()});
    out.write(up.bytes());
    out.write(down.bytes());
    out.write(std::as_bytes(norm)); // on a little-endian machine
    out.finish();                   // now the file has its name
}

int main() {
    constexpr std::size_t rows = 100, cols = 96;
    std::vector<float> weights(rows * cols), x(cols, 0.5f), y(rows), expected(rows);
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = std::sin(static_cast<float>(i));
    const auto up = quant::quantize_packed<w4>(quant::matrix_view(weights.data(), rows, cols));
    const auto down = quant::quantize_packed<w8>(quant::matrix_view(weights.data(), cols, rows));
    const auto path = std::filesystem::temp_directory_path() / "quant_example.packed.gguf";
    write_model(path, up, down, x);

    const auto model = quant::packed_file::open(path);
    model.verify(); // reads everything: for files that come from a network, say
    for (const quant::packed_tensor& each : model.matrices()) {
        std::printf("%s: %s, %zu bytes\n", std::string(each.name()).c_str(),
                    to_string(each.header().scheme).c_str(), each.bytes().size());
    }
    const quant::matrix_view x_view(x.data(), 1, cols);
    quant::matmul(x_view, up, quant::matrix_view(expected.data(), 1, rows));

    // The scheme is known, or one of several.
    quant::matmul(x_view, model.view<w4>("up.weight"), quant::matrix_view(y.data(), 1, rows));
    const bool as_expected = y == expected;
    using any_weights = quant::any_packed_view<w4, w8>;
    const auto either = model.view_any<any_weights>("up.weight");
    quant::matmul(x_view, either, quant::matrix_view(y.data(), 1, rows));
    std::filesystem::remove(path);
    return as_expected && y == expected ? 0 : 1;
}
