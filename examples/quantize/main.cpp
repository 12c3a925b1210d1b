// quantize: makes a GGUF file or a packed file with quantized weights of a GGUF or safetensors
// file.
#include "../lm/failure.hpp"
#include "convert.hpp"
#include "interruption.hpp"
#include "schemes.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <iostream>
#include <new>
#include <string>

namespace {

constexpr int exit_of_interruption = 130; // as shells report SIGINT

std::string scheme_names() {
    std::string names = "keep";
    for (const auto& one : quantizer::all_schemes()) names += lm::text_of(", ", one.name);
    return names;
}

void add_options(CLI::App& app, quantizer::settings& to) {
    app.add_option("INPUT", to.input,
                   "GGUF file, safetensors file, or the index (.json) of several safetensors files")
        ->required();
    app.add_option("OUTPUT", to.output, "file to write")->required();
    app.add_option("--scheme", to.scheme, "of matrices that no rule names: " + scheme_names())
        ->capture_default_str();
    app.add_option("--rule", to.rules,
                   "REGEX=SCHEME: of matrices with such names; the first that matches counts")
        ->allow_extra_args(false);
    app.add_option("--keep", to.keep, "REGEX: tensors with such names are left as they are")
        ->allow_extra_args(false);
    app.add_flag("!--no-fallback", to.fallback,
                 "leave matrices as they are whose rows are no whole blocks of their scheme");
    std::string ranges;
    for (const quantizer::range_entry& one : quantizer::all_ranges()) {
        ranges += lm::text_of(ranges.empty() ? "" : ", ", one.name);
    }
    app.add_option("--range", to.range, "how the ranges of groups are found: " + ranges)
        ->capture_default_str();
    app.add_flag("--packed", to.packed,
                 "write a packed file: matrices in the kernels' layout, to be mapped and run");
    app.add_option("--threads", to.threads, "threads that work at once; 0: one per core")
        ->check(CLI::Range(0, 1024));
    app.add_option("--report", to.report, "write what was done to this file, too, as JSON");
    app.add_flag("--force", to.force, "replace OUTPUT if it is there");
}

int run(int argc, char** argv) {
    CLI::App app("Quantizes the weights of a model, tensor by tensor.", "quantize");
    quantizer::settings given;
    add_options(app, given);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& stop) {
        if (stop.get_exit_code() == 0) return app.exit(stop); // --help
        throw lm::failure(stop.what());
    }
    quantizer::catch_interruptions();
    quantizer::convert(given, std::cout);
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const quantizer::interrupted& stop) {
        std::fprintf(stderr, "quantize: %s\n", stop.what());
        return exit_of_interruption;
    } catch (const std::bad_alloc&) {
        std::fprintf(stderr, "quantize: not enough memory\n");
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "quantize: %s\n", problem.what());
    }
    return 1;
}
