// With QUANT_NO_THREADS no header of threads is included, and the library works all the same. No
// test framework: it would include them. CMake compiles this without -pthread, and looks at the
// object's symbols.
#include <quant/io/gguf.hpp>
#include <quant/io/packed_file.hpp>
#include <quant/io/safetensors.hpp>
#include <quant/quant.hpp>

#if !defined(QUANT_NO_THREADS)
#error "the target's property QUANT_NO_THREADS does not define the macro"
#endif

// The guards of these headers in libstdc++, libc++ and Microsoft's library. libc++'s own <complex>
// includes <mutex>, with all streams.
#if defined(_GLIBCXX_THREAD) || defined(_LIBCPP_THREAD) || defined(_THREAD_)
#error "<thread> is included"
#elif defined(_GLIBCXX_MUTEX) || defined(_MUTEX_)
#error "<mutex> is included"
#elif defined(_GLIBCXX_CONDITION_VARIABLE) || defined(_LIBCPP_CONDITION_VARIABLE) || \
    defined(_CONDITION_VARIABLE_)
#error "<condition_variable> is included"
#elif defined(_GLIBCXX_FUTURE) || defined(_GLIBCXX_SHARED_MUTEX) || defined(_GLIBCXX_SEMAPHORE) || \
    defined(_GLIBCXX_STOP_TOKEN) || defined(_GLIBCXX_LATCH) || defined(_GLIBCXX_BARRIER)
#error "a header of threads is included"
#endif

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace {

int failures = 0;

void check(bool good, const char* what, int line) {
    if (good) return;
    ++failures;
    std::printf("line %d: %s\n", line, what);
}
#define CHECK(...) check((__VA_ARGS__), #__VA_ARGS__, __LINE__)

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;
constexpr std::size_t rows = 70, cols = 96, tokens = 3;

/// Tasks in reverse order: an executor of the program's own.
struct backwards {
    void operator()(std::size_t count, quant::task f) const {
        for (std::size_t i = count; i > 0; --i) f(i - 1);
    }
};

void quantizes_and_multiplies() {
    std::vector<float> w(rows * cols), x(tokens * cols), y(tokens * rows), z(tokens * rows);
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = std::sin(static_cast<float>(i));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::cos(static_cast<float>(i));
    const quant::matrix_view<const float> weights(w.data(), rows, cols);
    const quant::matrix_view<const float> inputs(x.data(), tokens, cols);
    std::size_t seen = 0;
    quant::quantize_options options;
    options.progress = [&](std::size_t done, std::size_t) { seen = done; };
    const auto p = quant::quantize_packed<w4>(weights, options, backwards{});
    CHECK(seen == rows);
    CHECK(quant::pack(quant::quantize<w4>(weights)) == p);
    quant::matmul(inputs, p, quant::matrix_view(y.data(), tokens, rows));
    quant::matmul(inputs, p, quant::matrix_view(z.data(), tokens, rows), backwards{});
    CHECK(y == z);
    for (std::size_t t = 0; t < tokens; ++t) {
        for (std::size_t r = 0; r < rows; ++r) {
            double sum = 0;
            for (std::size_t c = 0; c < cols; ++c) {
                sum += static_cast<double>(x[t * cols + c]) * static_cast<double>(w[r * cols + c]);
            }
            CHECK(std::fabs(sum - static_cast<double>(y[t * rows + r])) < 2);
        }
    }
}

/// Of several rows that fail, the lowest is told: what a lock is for.
void fails_at_the_lowest_row() {
    std::vector<float> w(4000 * cols);
    w[10 * cols] = w[3999 * cols] = std::numeric_limits<float>::infinity();
    const auto made =
        quant::try_quantize<w4>(quant::matrix_view<const float>(w.data(), 4000, cols), backwards{});
    CHECK(!made && made.failure().code() == quant::errc::non_finite);
    CHECK(!made && std::strstr(made.failure().message(), "row 10,") != nullptr);
}

/// A GGUF file of one tensor in memory: parsed, loaded, multiplied.
void parses_gguf() {
    std::vector<std::byte> file;
    const auto put = [&](const auto& value) {
        const auto bytes = std::as_bytes(std::span(&value, 1));
        file.insert(file.end(), bytes.begin(), bytes.end());
    };
    const auto put_text = [&](const std::string& text) {
        put(std::uint64_t{text.size()});
        for (const char c : text) put(c);
    };
    for (const char c : {'G', 'G', 'U', 'F'}) put(c);
    put(std::uint32_t{3});
    put(std::uint64_t{1}); // tensors
    put(std::uint64_t{0}); // metadata
    put_text("t");
    put(std::uint32_t{1}); // dimensions
    put(std::uint64_t{32});
    put(std::uint32_t{8}); // Q8_0
    put(std::uint64_t{0}); // offset
    file.resize((file.size() + 31) / 32 * 32);
    put(std::array<std::uint8_t, 34>{0, 0x3C, 7}); // scale 1, then 7
    const auto parsed = quant::gguf::file::parse(file);
    CHECK(parsed.tensors().size() == 1);
    const auto loaded = quant::gguf::load<quant::presets::q8_0>(parsed.tensors()[0]);
    std::vector<float> x(32, 1.0f), y(1);
    quant::matmul<quant::activations::fp32>(quant::matrix_view<const float>(x.data(), 1, 32),
                                            loaded, quant::matrix_view(y.data(), 1, 1));
    CHECK(y[0] == 7.0f);
}

} // namespace

int main() {
    quantizes_and_multiplies();
    fails_at_the_lowest_row();
    if constexpr (std::endian::native == std::endian::little) parses_gguf();
    if (failures == 0) std::puts("all passed");
    return failures == 0 ? 0 : 1;
}
