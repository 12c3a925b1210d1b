// The code of README.md and docs/, compiled: check_docs.py wants every block of theirs to stand
// here or in an example, line for line.
#include <quant/io/gguf.hpp>
#include <quant/io/packed_file.hpp>
#include <quant/io/safetensors.hpp>
#include <quant/quant.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;

struct odd {
    static constexpr std::array<std::int8_t, 4> levels{-40, -9, 9, 40};
};
using w2 =
    quant::scheme<quant::codebook<odd>, quant::symmetric, quant::group_wise<64>, quant::fp16>;
static_assert(w2::bits == 2);

struct alignas(64) line {
    std::byte bytes[64];
};

/// A pool of no threads.
struct sequence {
    template <class F>
    void parallel_for(std::size_t count, F f) {
        for (std::size_t i = 0; i < count; ++i) f(i);
    }
};

struct operands {
    std::vector<float> weights = std::vector<float>(64 * 64, 0.5f);
    std::vector<float> inputs = std::vector<float>(2 * 64, 1.0f);
    std::vector<float> outputs = std::vector<float>(2 * 64);
    quant::packed_matrix<w4> w =
        quant::quantize_packed<w4>(quant::matrix_view(weights.data(), 64, 64));
    quant::matrix_view<const float> x{inputs.data(), 2, 64};
    quant::matrix_view<float> y{outputs.data(), 2, 64};
};

// weights.hpp
void project(quant::matrix_view<const float> x, quant::packed_view<w4> w,
             quant::matrix_view<float> y);

// weights.cpp, the only file that needs optimization flags and kernel/matmul.hpp
void project(quant::matrix_view<const float> x, quant::packed_view<w4> w,
             quant::matrix_view<float> y) {
    quant::matmul(x, w, y);
}

/// A text that two models read.
struct text {
    quant::matrix_view<const float> reference, logits;
    std::vector<int> targets;
};

bool quantizes(quant::matrix_view<const float> weights) {
    auto made = quant::try_quantize_packed<w4>(weights);
    if (!made) {
        std::fprintf(stderr, "%s\n", made.failure().what());
        return false;
    }
    const quant::packed_matrix<w4> matrix = *std::move(made);
    return matrix.rows() == weights.rows();
}

/// The same model with every tensor in float32.
void to_float32(const std::filesystem::path& from, const std::filesystem::path& to) {
    const auto in = quant::gguf::file::open(from);
    auto out = quant::gguf::writer::create(to);
    for (const auto& entry : in.metadata()) out.add(entry);
    for (const auto& tensor : in.tensors()) {
        out.add_tensor(tensor.name(), quant::gguf::type::f32, tensor.shape());
    }
    for (const auto& tensor : in.tensors()) {
        std::vector<float> values(tensor.elements());
        quant::gguf::dequantize(tensor.type(), tensor.data(), values);
        out.write(std::as_bytes(std::span(values))); // on a little-endian machine
    }
    out.finish();
}

/// Adds a matrix to a file, in Q4_K.
void write_q4_k(quant::gguf::writer& out, quant::matrix_view<const float> w) {
    constexpr auto type = quant::gguf::type::q4_k;
    std::vector<std::byte> blocks(quant::gguf::encoded_bytes(type, w.rows(), w.cols()));
    quant::quantize_options options;
    options.range = quant::range_estimator::mse;
    quant::gguf::quantize<type>(w, blocks, options);
    out.write(blocks);
}

using any_weights =
    quant::any_packed_matrix<quant::presets::q4_0, quant::presets::q4_1, quant::presets::q8_0>;

/// A tensor as the file has it, ready for quant::matmul.
any_weights weights_of(const quant::gguf::file& model, std::string_view name) {
    const quant::gguf::tensor* const tensor = model.find(name);
    if (tensor == nullptr) throw std::runtime_error("no such tensor");
    return quant::gguf::load_any<any_weights>(*tensor);
}

/// y = x · wᵀ of an NVFP4 tensor with all that the file says of its weights.
void multiply(const quant::gguf::file& model, const quant::gguf::tensor& tensor,
              quant::matrix_view<const float> x, quant::matrix_view<float> y) {
    const auto w = quant::gguf::load<quant::presets::nvfp4>(tensor);
    quant::matmul(x, w, y, quant::epilogue::scale{quant::gguf::scale_of(model, tensor)});
}

using any_view =
    quant::any_packed_view<quant::presets::q4_0, quant::presets::q4_1, quant::presets::q8_0>;

/// A matrix of a packed file, ready for quant::matmul, in the file's own memory.
any_view view_of(const quant::packed_file& model, std::string_view name) {
    return model.view_any<any_view>(name);
}

/// A layer of a GPTQ checkpoint. Its products take prologue::permutation(order) unless it is empty.
quant::packed_matrix<w4> load_layer(const std::filesystem::path& checkpoint, std::string_view name,
                                    std::vector<std::uint32_t>& order) {
    const auto file = quant::safetensors::file::open(checkpoint);
    const auto layer = quant::safetensors::import_gptq<w4>(file, name);
    order.assign(layer.permutation().begin(), layer.permutation().end());
    return quant::pack(layer.weights);
}

} // namespace

TEST_CASE("executors of docs/faq.md", "[docs]") {
    operands data;
    auto& [weights, inputs, outputs, w, x, y] = data;
    sequence pool;
    {
        auto run = [&](std::size_t count, quant::task f) { pool.parallel_for(count, f); };
        quant::matmul(x, w, y, run);
    }
    CHECK(outputs[0] == 32.0f);
    outputs[0] = 0;
    {
        auto openmp = [](std::size_t count, quant::task f) {
#pragma omp parallel for schedule(dynamic)
            for (std::ptrdiff_t i = 0; i < static_cast<std::ptrdiff_t>(count); ++i) {
                f(static_cast<std::size_t>(i));
            }
        };
        quant::matmul(x, w, y, openmp);
    }
    CHECK(outputs[0] == 32.0f);
    outputs[0] = 0;
    project(x, w, y);
    CHECK(outputs[0] == 32.0f);
}

TEST_CASE("memory of docs/faq.md", "[docs]") {
    const operands data;
    const auto quantized = quant::unpack(data.w);
    const std::size_t size = quant::packed_size<w4>(64, 64);
    std::vector<line> lines(size / sizeof(line));
    std::byte* const memory = lines[0].bytes;
    {
        quant::packed_view<w4> packed = quant::pack_into(quantized, std::span(memory, size));
        CHECK(packed.rows() == 64);
    }
    const std::span<const std::byte> mapped_bytes(memory, size);
    {
        quant::packed_view<w4> packed = quant::packed_view_of<w4>(mapped_bytes);
        CHECK(packed.cols() == 64);
    }
    CHECK(std::memcmp(memory, data.w.bytes().data(), size) == 0);
}

TEST_CASE("errors of docs/faq.md", "[docs]") {
    const operands data;
    CHECK(quantizes(quant::matrix_view(data.weights.data(), 64, 64)));
    CHECK_FALSE(quantizes({}));
}

TEST_CASE("docs/formats.md: a model runs as it is, or is rewritten in float32", "[docs]") {
    const auto folder = std::filesystem::temp_directory_path();
    const auto name = "quant_test_" + std::to_string(std::random_device{}());
    const auto from = folder / (name + "_q4_1"), to = folder / (name + "_f32");
    auto source = quant::gguf::writer::create(from);
    source.add("general.architecture", "llama");
    source.add_tensor("w", quant::gguf::type::q4_1, {64, 2});
    const std::vector<std::byte> blocks(4 * 20, std::byte{0x3C});
    source.write(blocks);
    source.finish();

    const auto stored = weights_of(quant::gguf::file::open(from), "w");
    CHECK(stored.descriptor() == quant::describe<quant::presets::q4_1>());
    CHECK_THROWS_AS(weights_of(quant::gguf::file::open(from), "v"), std::runtime_error);
    auto packed = quant::packed_file_writer::create(to);
    packed.add_matrix("w", stored.bytes());
    packed.write(stored.bytes());
    packed.finish();
    CHECK(view_of(quant::packed_file::open(to), "w").rows() == 2);

    to_float32(from, to);
    const auto made = quant::gguf::file::open(to, quant::gguf::file_access::read);
    std::filesystem::remove(from);
    std::filesystem::remove(to);
    CHECK(made.get<std::string_view>("general.architecture") == "llama");
    const auto* const w = made.find("w");
    REQUIRE(w != nullptr);
    std::vector<float> values(w->elements()), expected(w->elements());
    quant::gguf::dequantize(w->type(), w->data(), values);
    quant::gguf::dequantize(quant::gguf::type::q4_1, blocks, expected);
    if constexpr (std::endian::native == std::endian::little) CHECK(values == expected);
}

TEST_CASE("docs/formats.md: weights with a factor", "[docs]") {
    const auto path = std::filesystem::temp_directory_path() /
                      ("quant_test_" + std::to_string(std::random_device{}()) + "_nvfp4");
    auto out = quant::gguf::writer::create(path);
    out.add_tensor("up.weight", quant::gguf::type::nvfp4, {64, 1});
    out.add_tensor("up.scale", quant::gguf::type::f32, {1});
    out.write(std::vector<std::byte>(4, std::byte{0x38}));  // scales of 1
    out.write(std::vector<std::byte>(32, std::byte{0x22})); // weights of 1
    out.write(std::vector<std::byte>{{}, {}, {}, std::byte{0x3F}}); // 0.5
    out.finish();

    const auto model = quant::gguf::file::open(path, quant::gguf::file_access::read);
    std::filesystem::remove(path);
    const std::vector<float> x(64, 1.0f);
    float y[1] = {};
    multiply(model, *model.find("up.weight"), {x.data(), 1, 64}, {y, 1, 1});
    CHECK(y[0] == 32.0f);
}

TEST_CASE("docs/formats.md: a matrix is written in Q4_K", "[docs]") {
    const auto path = std::filesystem::temp_directory_path() /
                      ("quant_test_" + std::to_string(std::random_device{}()) + "_q4_k");
    const std::vector<float> weights(512, 0.5f);
    auto out = quant::gguf::writer::create(path);
    out.add_tensor("w", quant::gguf::type::q4_k, {256, 2});
    write_q4_k(out, quant::matrix_view(weights.data(), 2, 256));
    out.finish();
    const auto made = quant::gguf::file::open(path, quant::gguf::file_access::read);
    std::filesystem::remove(path);
    std::vector<float> values(512);
    quant::gguf::dequantize(quant::gguf::type::q4_k, made.find("w")->data(), values);
    CHECK((values[511] > 0.49f && values[511] < 0.51f));
}

TEST_CASE("docs/formats.md: a layer of a checkpoint is packed", "[docs]") {
    const auto path = std::filesystem::temp_directory_path() /
                      ("quant_test_" + std::to_string(std::random_device{}()) + "_gptq");
    using quant::safetensors::dtype;
    auto out = quant::safetensors::writer::create(path);
    out.add_tensor("a.qweight", dtype::i32, {8, 8}); // 64 inputs, 8 outputs
    out.add_tensor("a.qzeros", dtype::i32, {2, 1});
    out.add_tensor("a.scales", dtype::f16, {2, 8});
    out.write(std::vector<std::byte>(4 * 64, std::byte{0x99}));
    out.write(std::vector<std::byte>(4 * 2, std::byte{0x88}));
    out.write(std::vector<std::byte>(2 * 16, std::byte{0x3C}));
    out.finish();

    std::vector<std::uint32_t> order(1);
    const auto layer = load_layer(path, "a", order);
    std::filesystem::remove(path);
    CHECK((layer.rows() == 8 && layer.cols() == 64 && order.empty()));
    CHECK(quant::unpack(layer).codes()[0] == 9);
}

TEST_CASE("measurements of docs/calibration.md", "[docs]") {
    const operands data;
    const quant::matrix_view weights(data.weights.data(), 64, 64);
    std::vector<float> restored(64 * 64);
    const quant::matrix_view approximation(restored.data(), 64, 64);
    {
        quant::dequantize(quant::quantize<w4>(weights), approximation);
        const auto report = quant::tensor_report::measure("layers.0.wq", weights, approximation);
        std::printf("%s", quant::to_table(report).c_str());
        CHECK(report.total().relative_rms() < 0.1);
    }
    const std::vector<text> texts = {{data.x, data.x, {5, 63}}};
    {
        quant::divergence_sums distance;
        quant::likelihood_sums likelihood;
        for (const text& one : texts) {
            distance.merge(quant::compare_logits(one.reference, one.logits));
            likelihood.merge(quant::score_logits(one.logits, std::span(one.targets)));
        }
        std::printf("KL %.5f, ppl %.3f\n", distance.mean_divergence(), likelihood.perplexity());
        CHECK(distance.top1_agreement() == 1.0);
    }
    const std::vector<quant::matrix_view<const float>> batches = {data.x, weights};
    {
        auto observer = quant::histogram_observer::per_tensor();
        for (const auto& batch : batches) observer.observe(batch);
        const quant::value_range range = quant::mse_range(observer.histogram(), 255);
        const float scale = range.int8_scale();
        CHECK(scale > 0);
    }
}
