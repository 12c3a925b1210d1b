// The program of examples/quantize, run as a user runs it: files, errors, an interruption.
#include <quant/io/gguf.hpp>
#include <quant/io/packed_file.hpp>
#include <quant/io/safetensors/writer.hpp>
#include <quant/pack/pack.hpp>
#include <quant/policy/presets.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;
namespace gguf = quant::gguf;
using gguf::type;

/// A folder of its own, removed at the end.
class work_folder {
public:
    work_folder() {
        std::string name = (fs::temp_directory_path() / "quant-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    work_folder(const work_folder&) = delete;
    work_folder& operator=(const work_folder&) = delete;
    ~work_folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    [[nodiscard]] std::string operator/(std::string_view name) const {
        return (path_ / name).string();
    }
    [[nodiscard]] std::size_t files() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
    }

private:
    fs::path path_;
};

std::string text_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// Starts the program, its output and errors in files.
pid_t start(const work_folder& folder, const std::vector<std::string>& arguments) {
    std::vector<std::string> all{QUANTIZE_PROGRAM};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& each : all) argv.push_back(each.data());
    argv.push_back(nullptr);
    const std::string out = folder / "out.txt", err = folder / "err.txt";
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        constexpr int flags = O_WRONLY | O_CREAT | O_TRUNC;
        dup2(open(out.c_str(), flags, 0600), STDOUT_FILENO);
        dup2(open(err.c_str(), flags, 0600), STDERR_FILENO);
        execv(argv.front(), argv.data());
        _exit(127);
    }
    return child;
}

struct outcome {
    int exit_code;
    std::string out;
    std::string err;
};
outcome wait_for(const work_folder& folder, pid_t child) {
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    return {WEXITSTATUS(status), text_of(folder / "out.txt"), text_of(folder / "err.txt")};
}
outcome run(const work_folder& folder, const std::vector<std::string>& arguments) {
    return wait_for(folder, start(folder, arguments));
}

/// A model of few tensors: matrices with rows of 256, 96 and 40 columns, a norm, integers.
std::vector<float> weights(std::size_t count) {
    std::vector<float> made(count);
    for (std::size_t i = 0; i < count; ++i) made[i] = std::sin(static_cast<float>(i * i % 1000));
    return made;
}
void write_model(const std::string& path) {
    auto out = gguf::writer::create(path);
    out.add("general.architecture", "test");
    out.add("general.file_type", std::uint32_t{0});
    out.add("test.layers", std::uint64_t{3});
    out.add_tensor("a.weight", type::f32, {256, 4});
    out.add_tensor("b.weight", type::f32, {96, 5});
    out.add_tensor("c.weight", type::f32, {40, 2});
    out.add_tensor("d.norm", type::f32, {256});
    out.add_tensor("e.ids", type::i32, {32, 2});
    out.add_tensor("f.experts", type::f32, {256, 2, 3});
    for (const std::size_t count : {1024u, 480u, 80u, 256u, 64u, 1536u}) {
        const auto values = weights(count);
        out.write(std::as_bytes(std::span(values)));
    }
    out.finish();
}

std::vector<float> decoded(const gguf::tensor& tensor) {
    std::vector<float> values(tensor.elements());
    gguf::dequantize(tensor.type(), tensor.data(), values);
    return values;
}

double relative_rms(const std::vector<float>& a, const std::vector<float>& b) {
    double error = 0, size = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
        error += difference * difference;
        size += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    }
    return std::sqrt(error / size);
}

type type_in(const gguf::file& file, std::string_view name) {
    const gguf::tensor* const found = file.find(name);
    REQUIRE(found != nullptr);
    return found->type();
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

} // namespace

TEST_CASE("quantize: matrices by the rules, all else as it was", "[program]") {
    const work_folder folder;
    write_model(folder / "in.gguf");
    const outcome ran = run(folder, {folder / "in.gguf", folder / "out.gguf", "--rule", "^f=q8_0",
                                     "--rule", ".=q4_k", "--report", folder / "report.json"});
    CAPTURE(ran.out, ran.err);
    REQUIRE(ran.exit_code == 0);
    CHECK(ran.err.empty());
    CHECK(contains(ran.out, "3 of 6 tensors quantized"));
    CHECK(contains(ran.out, "rows of 40 are no blocks of 256 (q4_k)"));

    const auto in = gguf::file::open(folder / "in.gguf"),
               out = gguf::file::open(folder / "out.gguf");
    CHECK(type_in(out, "a.weight") == type::q4_k);
    CHECK(type_in(out, "b.weight") == type::q5_0); // the fallback
    CHECK(type_in(out, "c.weight") == type::f32);
    CHECK(type_in(out, "d.norm") == type::f32);
    CHECK(type_in(out, "e.ids") == type::i32);
    CHECK(type_in(out, "f.experts") == type::q8_0);
    REQUIRE(out.tensors().size() == in.tensors().size());
    for (std::size_t i = 0; i < in.tensors().size(); ++i) {
        const auto& before = in.tensors()[i];
        const auto& after = out.tensors()[i];
        CAPTURE(before.name());
        CHECK(after.name() == before.name());
        CHECK(std::ranges::equal(after.shape(), before.shape()));
        if (after.type() == before.type()) {
            CHECK(std::ranges::equal(after.data(), before.data()));
        } else {
            CHECK(relative_rms(decoded(before), decoded(after)) < 0.1);
        }
    }
    CHECK(out.get<std::string_view>("general.architecture") == "test");
    CHECK(out.get<std::uint64_t>("test.layers") == 3);
    CHECK(out.get<std::uint32_t>("general.file_type") == 7); // most weights are q8_0
    CHECK(out.get<std::uint32_t>("general.quantization_version") == 2);

    const std::string report = text_of(folder / "report.json");
    CHECK(contains(report, "\"tensors_quantized\": 3"));
    CHECK(contains(report, "\"relative_rms\""));
}

namespace {

/// Whether a matrix of a packed file is what the library makes of these weights.
template <class S>
bool is_packed_of(const quant::packed_file& file, std::string_view name,
                  const std::vector<float>& values, std::size_t cols) {
    quant::quantize_options options;
    options.range = quant::range_estimator::mse;
    const quant::matrix_view w(values.data(), values.size() / cols, cols);
    const auto expected = quant::quantize_packed<S>(w, options);
    const auto view = file.view<S>(name);
    const auto panels = expected.bytes().subspan(64);
    return view.rows() == w.rows() && view.cols() == cols &&
           std::equal(panels.begin(), panels.end(), view.panels());
}

} // namespace

TEST_CASE("quantize: packed files hold the matrices that the library makes", "[program]") {
    namespace presets = quant::presets;
    const work_folder folder;
    write_model(folder / "in.gguf");
    const outcome ran = run(folder, {folder / "in.gguf", folder / "out.gguf", "--packed", "--rule",
                                     "^f=q8_0", "--rule", ".=q4_k"});
    CAPTURE(ran.out, ran.err);
    REQUIRE(ran.exit_code == 0);
    CHECK(contains(ran.out, "4 of 6 tensors quantized"));
    const auto file = quant::packed_file::open(folder / "out.gguf");
    file.verify();
    CHECK(run(folder, {folder / "out.gguf", folder / "again.gguf"}).err ==
          std::string("quantize: ") + (folder / "out.gguf") +
              ": is a packed file, whose matrices are quantized already\n");
    CHECK(is_packed_of<presets::q4_k>(file, "a.weight", weights(1024), 256));
    CHECK(is_packed_of<presets::q4_k>(file, "b.weight", weights(480), 96));
    CHECK(is_packed_of<presets::q4_k>(file, "c.weight", weights(80), 40));
    CHECK(is_packed_of<presets::q8_0>(file, "f.experts", weights(1536), 256));
    CHECK(type_in(file.container(), "d.norm") == type::f32);
    CHECK(file.container().get<std::uint64_t>("test.layers") == 3);
}

TEST_CASE("quantize: a packed matrix is written in pieces", "[program]") {
    const work_folder folder;
    constexpr std::size_t rows = 70000, cols = 64; // more than are quantized at once
    const auto values = weights(rows * cols);
    auto out = gguf::writer::create(folder / "in.gguf");
    out.add_tensor("w", type::f32, {cols, rows});
    out.write(std::as_bytes(std::span(values)));
    out.finish();
    const outcome ran =
        run(folder, {folder / "in.gguf", folder / "out.gguf", "--packed", "--scheme", "q8_0"});
    CAPTURE(ran.out, ran.err);
    REQUIRE(ran.exit_code == 0);
    const auto file = quant::packed_file::open(folder / "out.gguf");
    CHECK(is_packed_of<quant::presets::q8_0>(file, "w", values, cols));
}

TEST_CASE("quantize: what is kept, and quantizing twice", "[program]") {
    const work_folder folder;
    write_model(folder / "in.gguf");
    const std::string once = folder / "once.gguf", twice = folder / "twice.gguf";
    REQUIRE(
        run(folder, {folder / "in.gguf", once, "--scheme", "q8_0", "--keep", "^f\\."}).exit_code ==
        0);
    CHECK(type_in(gguf::file::open(once), "f.experts") == type::f32);
    const outcome ran = run(folder, {once, twice, "--scheme", "q8_0", "--rule", "b=q5_0",
                                     "--no-fallback", "--rule", "f=keep"});
    CAPTURE(ran.err);
    REQUIRE(ran.exit_code == 0);
    CHECK(ran.err == "quantize: warning: 1 tensors are quantized already (q8_0); quantizing them "
                     "again adds to what they lost\n");
    CHECK(contains(ran.out, "is of this type already"));
    const auto first = gguf::file::open(once), second = gguf::file::open(twice);
    CHECK(type_in(second, "b.weight") == type::q5_0);
    CHECK(std::ranges::equal(first.find("a.weight")->data(), second.find("a.weight")->data()));
}

TEST_CASE("quantize: safetensors, in one file and in two", "[program]") {
    const work_folder folder;
    const auto write = [&](std::string_view file, std::initializer_list<std::string_view> names) {
        auto out = quant::safetensors::writer::create(folder / file);
        for (const auto name : names)
            out.add_tensor(name, quant::safetensors::dtype::f32, {4, 256});
        const auto values = weights(1024);
        for (std::size_t i = 0; i < names.size(); ++i) {
            out.write(std::as_bytes(std::span(values)));
        }
        out.finish();
    };
    write("one.safetensors", {"model.w"});
    write("two.safetensors", {"model.v", "model.u"});
    std::ofstream(folder / "all.json") << R"({"weight_map": {"model.w": "one.safetensors",)"
                                          R"("model.u": "two.safetensors"}})";
    REQUIRE(run(folder, {folder / "one.safetensors", folder / "one.gguf"}).exit_code == 0);
    REQUIRE(run(folder, {folder / "all.json", folder / "all.gguf"}).exit_code == 0);
    const auto one = gguf::file::open(folder / "one.gguf"),
               all = gguf::file::open(folder / "all.gguf");
    CHECK(type_in(one, "model.w") == type::q4_k);
    CHECK(one.find("model.w")->cols() == 256);
    CHECK(one.get<std::string_view>("general.name") == "one");
    CHECK(all.tensors().size() == 2);
    CHECK(std::ranges::equal(all.find("model.u")->data(), one.find("model.w")->data()));

    write("bad.safetensors", {});
    CHECK(run(folder, {folder / "bad.safetensors", folder / "bad.gguf"}).err ==
          "quantize: " + folder / "bad.safetensors" + ": holds no tensors\n");
}

TEST_CASE("quantize: errors are one line and leave nothing behind", "[program]") {
    const work_folder folder;
    const std::string in = folder / "in.gguf", out = folder / "out.gguf";
    write_model(in);
    const auto check = [&](const std::vector<std::string>& arguments, const std::string& message) {
        const outcome ran = run(folder, arguments);
        CHECK(ran.exit_code == 1);
        CHECK(ran.err == "quantize: " + message + "\n");
        CHECK(folder.files() == 3); // in.gguf and what the program printed
    };
    check({in}, "OUTPUT is required");
    check({folder / "none", out}, folder / "none" + ": cannot be opened");
    check({folder / "", out}, folder / "" + ": is a folder; name the file in it");
    check({"/dev/zero", out}, "/dev/zero: is no regular file, which can be mapped");
    check({in, in, "--force"}, in + ": is the input; name another file");
    check({in, folder / "err.txt"}, folder / "err.txt" + ": is there already; --force replaces it");
    check({in, out, "--report", out}, out + ": is the output; name another file");
    check({in, out, "--report", folder / "err.txt"},
          folder / "err.txt" + ": is there already; --force replaces it");
    check({in, out, "--force", "--report", "/dev/null"},
          "/dev/null: is there and is no file that can be replaced");
    check({in, out, "--report", folder / "no/report"},
          folder / "no/report" + ": is in no folder that is there");
    check({in, out, "--keep", "("}, "--keep: \"(\" is no regular expression");
    check({in, out, "--keep", std::string(30000, '(') + std::string(30000, ')')},
          "--keep: a regular expression of 60000 bytes; at most 4096");
    check({in, out, "--rule", "a"}, "--rule: \"a\" is not of the form REGEX=SCHEME");
    check({in, out, "--range", "best"}, "--range: unknown range \"best\"; there are: mse min_max "
                                        "percentile entropy half_quadratic mse_optimal");
    CHECK(contains(run(folder, {in, out, "--scheme", "iq3_s"}).err,
                   "quantize: --scheme: unknown scheme \"iq3_s\"; there are: keep f32 "));
    CHECK(contains(run(folder, {in, folder / "no/out.gguf"}).err, "cannot create a file beside"));

    auto broken = gguf::writer::create(in);
    broken.add_tensor("w", type::f32, {256, 2});
    auto values = weights(512);
    values[300] = std::nanf("");
    broken.write(std::as_bytes(std::span(values)));
    broken.finish();
    check({in, out}, "tensor w, from row 0 on: gguf::quantize: w: NaN at row 1, column 44");
}

TEST_CASE("quantize: a name that no GGUF file may have meets no regular expression", "[program]") {
    const work_folder folder;
    const std::string in = folder / "in.safetensors", name(300000, 'x');
    auto out = quant::safetensors::writer::create(in);
    out.add_tensor(name, quant::safetensors::dtype::f32, {4, 256});
    const auto values = weights(1024);
    out.write(std::as_bytes(std::span(values)));
    out.finish();
    const outcome ran = run(folder, {in, folder / "out.gguf", "--keep", "(x|y)*z"});
    CHECK(ran.exit_code == 1);
    CHECK(ran.err == "quantize: " + in + ": tensor " + name.substr(0, 63) +
                         "... has a name of 300000 bytes; GGUF names have at most 63\n");
}

TEST_CASE("quantize: what a killed run has left is not touched, but named", "[program]") {
    const work_folder folder;
    const std::string in = folder / "in.gguf", left = folder / "out.gguf.part0";
    write_model(in);
    std::ofstream(left) << "half of a model";
    const outcome ran = run(folder, {in, folder / "out.gguf"});
    CHECK(ran.exit_code == 0);
    CHECK(ran.err == "quantize: warning: " + left +
                         " is there; unless another program is writing it, a run that was killed "
                         "has left it, and it can be removed\n");
    CHECK(text_of(left) == "half of a model");
    CHECK(gguf::file::open(folder / "out.gguf").tensors().size() == 6);
}

TEST_CASE("quantize: --force replaces a file", "[program]") {
    const work_folder folder;
    write_model(folder / "in.gguf");
    std::ofstream(folder / "out.gguf") << "something";
    REQUIRE(run(folder, {folder / "in.gguf", folder / "out.gguf", "--force"}).exit_code == 0);
    CHECK(gguf::file::open(folder / "out.gguf").tensors().size() == 6);
}

TEST_CASE("quantize: a signal stops it, and nothing is left", "[program]") {
    const work_folder folder;
    const std::string in = folder / "in.gguf", out = folder / "out.gguf";
    {
        auto large = gguf::writer::create(in); // seconds of work
        large.add_tensor("w", type::f32, {4096, 4096});
        const auto some = weights(1 << 20);
        for (int i = 0; i < 16; ++i) large.write(std::as_bytes(std::span(some)));
        large.finish();
    }
    for (const int signal : {SIGINT, SIGTERM}) {
        const pid_t child = start(folder, {in, out, "--scheme", "q4_k", "--threads", "1"});
        while (!fs::exists(out + ".part0") && waitpid(child, nullptr, WNOHANG) == 0) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        kill(child, signal);
        const outcome ran = wait_for(folder, child);
        CHECK(ran.exit_code == 130);
        CHECK(ran.err == "quantize: interrupted; no file was written\n");
        CHECK(folder.files() == 3);
    }
}
