// Packed weights go to a file as they are, and come back without unpacking or copying.
#include <quant/quant.hpp>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <span>
#include <vector>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;

// Packed bytes start on a 64-byte boundary and are a multiple of 64 long. (A mapping of the file
// starts on a page, which is as good.)
struct alignas(64) line {
    std::byte bytes[64];
};

static bool write(std::FILE* file, std::span<const std::byte> bytes) {
    return std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
}

static std::vector<line> read_back(std::FILE* file, std::size_t size) {
    std::vector<line> lines(size / sizeof(line));
    std::rewind(file);
    if (std::fread(lines.data(), sizeof(line), lines.size(), file) != lines.size()) lines.clear();
    return lines;
}

int main() {
    constexpr std::size_t rows = 100, cols = 96;
    std::vector<float> weights(rows * cols), x(cols, 0.5f), y(rows), expected(rows);
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = std::sin(static_cast<float>(i));
    const auto w = quant::quantize_packed<w4>(quant::matrix_view(weights.data(), rows, cols));

    std::FILE* file = std::tmpfile();
    if (file == nullptr || !write(file, w.bytes())) return 1;
    const auto lines = read_back(file, w.bytes().size());
    std::fclose(file);

    // The header says what the bytes hold; packed_view_of checks it against a scheme.
    const auto bytes = std::as_bytes(std::span(lines));
    const auto header = quant::read_packed_header(bytes).value();
    std::printf("%s, %zu bytes\n", to_string(header.scheme).c_str(), bytes.size());
    const quant::packed_view<w4> view = quant::packed_view_of<w4>(bytes);

    const quant::matrix_view x_view(x.data(), 1, cols);
    quant::matmul(x_view, view, quant::matrix_view(y.data(), 1, rows));
    quant::matmul(x_view, w, quant::matrix_view(expected.data(), 1, rows));
    return y == expected ? 0 : 1;
}
