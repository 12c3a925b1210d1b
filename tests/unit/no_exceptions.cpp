// Without exceptions and without run-time type information the library has its try_ forms, and they
// say what is wrong. No test framework: it would need both.
#include "equal_ranges.hpp"
#include "sizes.hpp"

#include <quant/io/gguf.hpp>
#include <quant/io/packed_file.hpp>
#include <quant/io/safetensors.hpp>
#include <quant/quant.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

using namespace quant;

#if defined(__cpp_exceptions) || defined(__cpp_rtti)
#error "compile this with -fno-exceptions -fno-rtti"
#endif

namespace {

int failures = 0;

void check(bool good, const char* what, int line) {
    if (good) return;
    ++failures;
    std::printf("line %d: %s\n", line, what);
}
#define CHECK(...) check((__VA_ARGS__), #__VA_ARGS__, __LINE__)

template <class T>
bool fails_with(const result<T>& made, errc code) {
    return made.error_if() != nullptr && made.error_if()->code() == code;
}

using w4 = scheme<int4, symmetric, group_wise<32>, fp16>;
using w8 = scheme<int8, asymmetric, per_channel, float>;

constexpr std::size_t rows = 70, cols = 96, tokens = 3;

struct data {
    std::vector<float> w = std::vector<float>(rows * cols);
    std::vector<float> x = std::vector<float>(tokens * cols, 0.5f);
    std::vector<float> y = std::vector<float>(tokens * rows);

    data() {
        for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(i * 31 % 97) / 97;
    }
    matrix_view<const float> weights() const { return {w.data(), rows, cols}; }
    matrix_view<const float> activations() const { return {x.data(), tokens, cols}; }
    matrix_view<float> outputs() { return {y.data(), tokens, rows}; }
};

/// A whole pass, from weights to a product, on several threads.
void good_pass() {
    data d;
    thread_pool pool(3);
    std::size_t seen = 0;
    quantize_options options;
    options.progress = [&](std::size_t done, std::size_t) { seen = done; };
    const auto q = try_quantize<w4>(d.weights(), options, pool);
    CHECK(q.has_value());
    CHECK(seen == rows);
    const auto p = try_pack(*q, pool);
    CHECK(p.has_value());
    const auto direct = try_quantize_packed<w4>(d.weights(), {}, pool);
    CHECK(direct.has_value() && *direct == *p);
    const auto back = try_unpack(*p, pool);
    CHECK(back.has_value() && *back == *q);
    const auto copy = q->try_clone();
    CHECK(copy.has_value() && *copy == *q);
    const auto same =
        quantized_matrix<w4>::try_from(rows, cols, q->codes(), q->scales(), q->offsets());
    CHECK(same.has_value() && *same == *q);
    const auto view = try_packed_view_of<w4>(p->bytes());
    CHECK(view.has_value());
    const auto slice = try_slice_rows(*view, 16, 32);
    CHECK(slice.has_value() && slice->rows() == 32);
    std::vector<float> out(rows * cols);
    CHECK(try_dequantize(*q, matrix_view{out.data(), rows, cols}, pool).has_value());
    for (std::size_t i = 0; i < out.size(); ++i) CHECK(std::fabs(out[i] - d.w[i]) < 0.13f);

    const std::vector<float> bias(rows, 1.0f);
    CHECK(try_matmul(d.activations(), *p, d.outputs(), pool, epilogue::bias{bias}).has_value());
    const std::vector<float> first = d.y;
    const auto x = try_pack_activations<default_activations<w4>>(d.activations());
    CHECK(x.has_value());
    CHECK(try_matmul(*x, *view, d.outputs(), epilogue::bias{bias}).has_value());
    CHECK(d.y == first);

    const std::vector<std::size_t> ends = {1, tokens};
    const std::vector experts = {*view, *view};
    d.y.assign(d.y.size(), 0);
    CHECK(
        try_grouped_matmul(d.activations(), experts, ends, d.outputs(), pool, epilogue::bias{bias})
            .has_value());
    CHECK(d.y == first);

    std::vector<std::byte> memory(
        scratch_bytes<default_activations<w4>, w4>(2 * tokens, cols, pool, 2));
    std::vector<float> more(tokens * rows);
    const std::vector items{
        product(d.activations(), *p, d.outputs()),
        product(d.activations(), *view, matrix_view{more.data(), tokens, rows})};
    d.y.assign(d.y.size(), 0);
    CHECK(try_matmul_batch(items, pool, scratch{memory}, epilogue::bias{bias}).has_value());
    CHECK(d.y == first && more == first);

    using any = any_packed_matrix<w4, w8>;
    const auto held = any::try_quantize(describe<w8>(), d.weights());
    CHECK(held.has_value() && held->descriptor() == describe<w8>());
    CHECK(try_matmul(d.activations(), *held, d.outputs(), pool).has_value());
    const auto seen_as = any_packed_view<w4, w8>::try_of(p->bytes());
    CHECK(seen_as.has_value() && seen_as->descriptor() == describe<w4>());
}

/// Some rows of packed weights, and packing into memory that is there.
void rows_and_memory() {
    data d;
    const auto q = try_quantize<w4>(d.weights());
    struct alignas(64) line {
        std::byte bytes[64];
    };
    std::vector<line> memory(packed_size<w4>(rows, cols) / sizeof(line));
    const auto bytes = std::as_writable_bytes(std::span(memory));
    const auto p = try_pack_into(*q, bytes);
    CHECK(p.has_value());
    CHECK(fails_with(try_pack_into(*q, bytes.first(64)), errc::shape_mismatch));

    std::vector<float> all(rows * cols), some(2 * cols);
    CHECK(try_dequantize(*p, matrix_view{all.data(), rows, cols}).has_value());
    const std::vector<int> wanted = {69, 3};
    const matrix_view out{some.data(), 2, cols};
    CHECK(try_gather_rows(*p, std::span(wanted), out).has_value());
    CHECK(std::equal(some.begin() + cols, some.end(), all.begin() + 3 * cols));
    const auto held = any_packed_matrix<w4, w8>::try_quantize(describe<w4>(), d.weights());
    some.assign(some.size(), 0);
    CHECK(try_gather_rows(*held, std::span(wanted), out).has_value());
    CHECK(std::equal(some.begin(), some.begin() + cols, all.begin() + 69 * cols));
    CHECK(try_gather_rows(held->view(), std::span(wanted), out).has_value());
    const std::vector<int> wrong = {70};
    CHECK(fails_with(try_gather_rows(*p, std::span(wrong), matrix_view{some.data(), 1, cols}),
                     errc::invalid_argument));
}

/// What measures and observes.
void calibration() {
    data d;
    thread_pool pool(3);
    const auto report = tensor_report::try_measure("w", d.weights(), d.weights(), pool);
    CHECK(report.has_value() && report->total().mse() == 0 && !to_json(*report).empty());
    CHECK(try_measure_error(d.weights(), d.weights()).has_value());
    const std::vector<int> targets(tokens);
    CHECK(try_compare_logits(d.activations(), d.activations(), pool).has_value());
    CHECK(try_score_logits(d.activations(), std::span(targets), pool).has_value());

    auto least = min_max_observer::try_per_tensor();
    auto average = moving_average_observer::try_per_channel(cols);
    auto histogram = histogram_observer::try_per_tensor();
    CHECK(least->try_observe(d.weights()).has_value() && least->try_range()->highest < 1);
    auto others = min_max_observer::try_per_tensor();
    CHECK(others->try_observe(d.activations()).has_value());
    CHECK(least->try_merge(*others).has_value());
    auto other_average = moving_average_observer::try_per_channel(cols);
    CHECK(other_average->try_observe(d.activations()).has_value());
    CHECK(average->try_observe(d.weights()).has_value() && average->try_range(95).has_value());
    CHECK(average->try_merge(*other_average).has_value());
    CHECK(histogram->try_observe(d.weights()).has_value());
    auto other_histogram = histogram_observer::try_per_tensor();
    CHECK(other_histogram->try_observe(d.activations()).has_value());
    CHECK(histogram->try_merge(*other_histogram).has_value());
    CHECK(try_percentile_range(*histogram->try_histogram(), 99).has_value());
    CHECK(try_mse_range(*histogram->try_histogram(), 255).has_value());
    CHECK(try_entropy_range(*histogram->try_histogram(), 255).has_value());
    std::vector<std::byte> bytes(histogram->serialized_size());
    CHECK(histogram->try_serialize(bytes).has_value());
    CHECK(histogram_observer::try_deserialize(bytes).has_value());
    bytes.pop_back();
    CHECK(!histogram_observer::try_deserialize(bytes).has_value());
}

void bad_arguments() {
    data d;
    d.w[5 * cols + 7] = std::numeric_limits<float>::infinity();
    CHECK(fails_with(try_quantize<w4>(d.weights()), errc::non_finite));
    d.w[5 * cols + 7] = 0;
    const auto p = try_quantize_packed<w4>(d.weights());
    CHECK(fails_with(try_matmul(d.activations(), *p, matrix_view{d.y.data(), tokens, rows - 1}),
                     errc::shape_mismatch));
    CHECK(fails_with(try_matmul(matrix_view<const float>{}, *p, d.outputs()), errc::empty));
    CHECK(fails_with(try_packed_view_of<w8>(p->bytes()), errc::bad_layout));
    CHECK(fails_with(try_packed_view_of<w4>(p->bytes().first(100)), errc::truncated));
    CHECK(fails_with(try_slice_rows(*p, 8, 16), errc::invalid_argument));
    if (has_endless_sizes) {
        CHECK(fails_with(packed_matrix<w4>::try_zero(1, two_to(48), ""), errc::out_of_memory));
        constexpr std::size_t too_many = two_to(45);
        const matrix_view<const float> endless(d.w.data(), too_many, 1, 0);
        CHECK(fails_with(try_measure_error(endless, endless), errc::out_of_memory));
        CHECK(fails_with(try_compare_logits(endless, endless), errc::out_of_memory));
        CHECK(fails_with(min_max_observer::try_per_channel(too_many), errc::out_of_memory));
        CHECK(fails_with(moving_average_observer::try_per_channel(too_many), errc::out_of_memory));
        CHECK(fails_with(histogram_observer::try_per_channel(too_many, 64), errc::out_of_memory));
    }
    const std::function<void(std::size_t, task)> lazy = [](std::size_t, task) {};
    std::vector<float> many(1000 * cols);
    CHECK(fails_with(try_quantize<w4>(matrix_view{many.data(), 1000, cols}, {}, lazy),
                     errc::executor_failed));
    const matrix_view<const float> logits(many.data(), 1000, cols);
    const std::vector<int> targets(1000);
    CHECK(fails_with(try_compare_logits(logits, logits, lazy), errc::executor_failed));
    CHECK(fails_with(try_score_logits(logits, std::span(targets), lazy), errc::executor_failed));
    std::byte few[8];
    CHECK(fails_with(try_matmul(d.activations(), *p, d.outputs(), scratch{few}),
                     errc::invalid_argument));
}

/// A file is written, refused where it must be, read back and decoded.
void gguf_files() {
    const auto path = std::filesystem::temp_directory_path() /
                      ("quant_test_" + std::to_string(std::random_device{}()));
    auto out = gguf::writer::try_create(path);
    CHECK(out.has_value());
    if (!out) return;
    CHECK(out->try_add("general.architecture", "llama").has_value());
    CHECK(out->try_add_array("sizes", std::vector{1, 2, 3}).has_value());
    CHECK(out->try_add_tensor("t", gguf::type::q8_0, {32, 1}).has_value());
    CHECK(fails_with(out->try_add_tensor("u", gguf::type::q8_0, {33}), errc::shape_mismatch));
    const std::byte block[34] = {std::byte{0}, std::byte{0x3C}, std::byte{7}}; // 1, then 7
    CHECK(out->try_write(block).has_value());
    CHECK(out->try_finish().has_value());
    const auto in = gguf::file::try_open(path, gguf::file_access::read);
    std::filesystem::remove(path);
    CHECK(in.has_value() && in->find("t") != nullptr);
    CHECK(*gguf::try_block_size(gguf::type::q8_0) == 32);
    CHECK(*gguf::try_block_bytes(gguf::type::q8_0) == sizeof block);
    CHECK(*gguf::try_scale_of(*in, *in->find("t")) == 1.0f);
    CHECK(fails_with(gguf::try_scale_of(*in, *in->find("t"), 1), errc::invalid_argument));
    float values[32] = {};
    CHECK(gguf::try_dequantize(gguf::type::q8_0, in->find("t")->data(), values).has_value());
    CHECK(values[0] == 7.0f);
    const auto loaded = gguf::try_load<quant::presets::q8_0>(*in->find("t"));
    CHECK(loaded.has_value() && loaded->rows() == 1);
    const auto codes = gguf::try_load_quantized<quant::presets::q8_0>(*in->find("t"));
    CHECK(codes.has_value());
    std::byte again[34] = {};
    CHECK(gguf::try_encode(*codes, gguf::type::q8_0, again).has_value());
    CHECK(equal_ranges(again, block));
    CHECK(fails_with(gguf::try_encode(*codes, gguf::type::q4_0, again), errc::unsupported));
    const quant::matrix_view<const float> row(values, 1, 17);
    CHECK(gguf::try_quantize<gguf::type::f16>(row, again).has_value());
    CHECK(again[1] == std::byte{0x47}); // 7
    CHECK(fails_with(gguf::try_encoded_bytes(gguf::type::q8_0, 1, 33), errc::shape_mismatch));
    CHECK(fails_with(gguf::try_load<quant::presets::q4_0>(*in->find("t")), errc::unsupported));
    using any_weights = quant::any_packed_matrix<quant::presets::q8_0>;
    CHECK(gguf::try_load_any<any_weights>(*in->find("t")).has_value());
    CHECK(fails_with(gguf::file::try_open(path), errc::not_found));
}

void packed_files() {
    using any_view = quant::any_packed_view<quant::presets::q8_0, w4>;
    const auto path = std::filesystem::temp_directory_path() /
                      ("quant_test_" + std::to_string(std::random_device{}()));
    const auto w = quant::packed_matrix<w4>::try_zero(5, 40);
    CHECK(w.has_value());
    auto out = quant::packed_file_writer::try_create(path);
    CHECK(out.has_value());
    if (!w || !out) return;
    CHECK(out->try_add("general.architecture", "llama").has_value());
    CHECK(out->try_add_array("sizes", std::vector{1, 2, 3}).has_value());
    CHECK(out->try_add_matrix("w", w->bytes()).has_value());
    CHECK(fails_with(out->try_add_matrix_of("w", w->bytes().first<64>()), errc::invalid_argument));
    CHECK(fails_with(out->try_write(w->bytes().first(1)), errc::truncated));
    CHECK(out->try_write(w->bytes()).has_value());
    CHECK(out->try_finish().has_value());
    const auto in = quant::packed_file::try_open(path, gguf::file_access::read);
    std::filesystem::remove(path);
    CHECK(in.has_value() && in->find("w") != nullptr);
    if (!in) return;
    CHECK(in->try_verify().has_value());
    CHECK(in->try_view<w4>("w").has_value());
    CHECK(in->try_view_any<any_view>("w").has_value());
    CHECK(fails_with(in->try_view<w4>("v"), errc::not_found));
    auto copy = quant::packed_file_writer::try_create(path);
    CHECK(copy.has_value() && copy->try_copy_metadata(in->container()).has_value());
    CHECK(fails_with(copy->try_add("sizes", 1), errc::invalid_argument)); // is there already
}

/// The JSON library, too, answers without exceptions.
void safetensors_files() {
    const auto path = std::filesystem::temp_directory_path() /
                      ("quant_test_" + std::to_string(std::random_device{}()));
    auto out = safetensors::writer::try_create(path);
    CHECK(out.has_value());
    if (!out) return;
    CHECK(out->try_add_tensor("t", safetensors::dtype::i8, {2}).has_value());
    CHECK(out->try_write(std::as_bytes(std::span("\x07\x80", 2))).has_value());
    CHECK(out->try_finish().has_value());
    const auto in = safetensors::file::try_open(path);
    std::filesystem::remove(path);
    CHECK(in.has_value() && in->find("t") != nullptr);
    float values[2] = {};
    CHECK(safetensors::try_to_floats(*in->find("t"), values).has_value());
    CHECK(values[0] == 7.0f && values[1] == -128.0f);
    std::int8_t copied[2] = {};
    CHECK(in->find("t")->try_copy(std::span<std::int8_t>(copied)).has_value() && copied[1] == -128);
    using asymmetric4 = scheme<int4, asymmetric, group_wise<32>, fp16>;
    using lines4 = scheme<int4, asymmetric_min, group_wise<32>, float>;
    using eights = scheme<fp8_e4m3, symmetric, per_channel, float>;
    using tables = safetensors::bitsandbytes_fp4;
    CHECK(fails_with(safetensors::try_import_awq<w4>(*in, "t"), errc::not_found));
    CHECK(fails_with(safetensors::try_import_gptq<asymmetric4>(*in, "t"), errc::not_found));
    CHECK(fails_with(safetensors::try_import_compressed_tensors<w4>(*in, "t"), errc::not_found));
    CHECK(fails_with(safetensors::try_import_fp8<eights>(*in, "t"), errc::not_found));
    CHECK(fails_with(safetensors::try_import_torchao<lines4>(*in, "t"), errc::not_found));
    CHECK(fails_with(safetensors::try_import_bitsandbytes<tables>(*in, "t"), errc::not_found));

    for (const std::string text : {"{", "{\"t\":1e999}", "{\"\xFF\":{}}", "{\"t\":[[[[["}) {
        std::string file(8, '\0');
        file[0] = static_cast<char>(text.size());
        file += text;
        CHECK(fails_with(safetensors::file::try_parse(std::as_bytes(std::span(file))),
                         errc::bad_format));
    }
}

} // namespace

int main() {
    good_pass();
    rows_and_memory();
    gguf_files();
    packed_files();
    safetensors_files();
    calibration();
    bad_arguments();
    if (failures == 0) std::puts("all passed");
    return failures == 0 ? 0 : 1;
}
