// lm: runs Llama-architecture models in quantized formats, and compares the formats.
#include "clock.hpp"
#include "compare.hpp"
#include "failure.hpp"
#include "generate.hpp"
#include "load.hpp"
#include "packed_model.hpp"
#include "progress_bar.hpp"
#include "report.hpp"
#include "schemes.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>

namespace {

struct arguments {
    std::string model;
    std::string tokenizer;
    std::size_t threads = 0;
    std::uint64_t seed = 1;
    std::string prompt = "Once upon a time";
    bool chat = false;
    std::string system;
    std::size_t tokens = 128;

    std::optional<std::string> scheme;
    double temperature = 0.0;
    std::size_t top_k = 0;
    double top_p = 1.0;
    bool quiet = false;

    std::vector<std::string> schemes;
    std::vector<std::string> packed;
    std::size_t scored_tokens = 512;
    bool json = false;

    std::string out;
};

constexpr std::string_view default_scheme = "int4_g32_asym";

std::string scheme_names() {
    std::string names;
    for (const lm::scheme_entry& one : lm::all_schemes()) {
        names += names.empty() ? "" : ", ";
        names += one.name;
    }
    return names;
}

/// Options that all commands have.
void add_common(CLI::App& command, arguments& to) {
    command.add_option("--model", to.model, "GGUF file, or model of llama2.c")->required();
    command.add_option("--tokenizer", to.tokenizer, "tokenizer of a llama2.c model");
    command.add_option("--threads", to.threads, "threads that work at once; 0: one per core")
        ->check(CLI::Range(0, 1024));
}

/// Options of what is written.
void add_text(CLI::App& command, arguments& to) {
    command.add_option("--seed", to.seed, "of what is drawn at random");
    command.add_option("--prompt", to.prompt, "text to go on from")->capture_default_str();
    command.add_flag("--chat", to.chat, "put the prompt as a question in the chat template");
    command.add_option("--system", to.system, "system message of a chat");
}

void add_generation(CLI::App& app, arguments& to) {
    add_common(app, to);
    add_text(app, to);
    app.add_option("--scheme", to.scheme,
                   "format of the weights: " + scheme_names() + " (default: " +
                       std::string(default_scheme) + "; a packed file has its own)");
    app.add_option("--tokens", to.tokens, "most tokens to write")
        ->check(CLI::Range(1, 1 << 30))
        ->capture_default_str();
    app.add_option("--temperature", to.temperature, "0: always the most likely token")
        ->capture_default_str();
    app.add_option("--top-k", to.top_k, "draw among the k most likely; 0: all")
        ->check(CLI::Range(0, 1 << 30));
    app.add_option("--top-p", to.top_p, "draw among the most likely, up to this probability");
    app.add_flag("--quiet", to.quiet, "no speed on the standard error");
}

void add_comparison(CLI::App& app, arguments& to) {
    add_common(app, to);
    add_text(app, to);
    app.add_option("--schemes", to.schemes, "some of: " + scheme_names() + " (default: all)")
        ->delimiter(',');
    app.add_option("--packed", to.packed, "packed files of this model, compared as well")
        ->delimiter(',');
    app.add_option("--scored-tokens", to.scored_tokens, "tokens that f32 writes to compare on")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    app.add_flag("--json", to.json, "print JSON instead of a table");
}

void add_packing(CLI::App& app, arguments& to) {
    add_common(app, to);
    app.add_option("--scheme", to.scheme, "format of the weights: " + scheme_names())->required();
    app.add_option("--out", to.out, "the packed file to write")->required();
}

std::vector<lm::token> prompt_of(const arguments& given, const lm::tokenizer& text) {
    return given.chat ? lm::chat_prompt(text, given.system, given.prompt)
                      : text.encode_prompt(given.prompt);
}

/// A model that is ready to run, and what it may refer to.
struct ready_model {
    std::optional<lm::packed_model> packed; ///< if it came so, otherwise:
    lm::loaded_model loaded;
    lm::model quantized;

    std::string scheme;
    double seconds = 0; ///< until it was ready

    [[nodiscard]] const lm::model& weights() const { return packed ? packed->weights : quantized; }
    [[nodiscard]] const lm::tokenizer& text() const {
        return packed ? *packed->text : *loaded.text;
    }
};

/// In place, as a loaded model's weights may be referred to.
void make_ready(ready_model& made, const arguments& given, quant::thread_pool& pool) {
    const lm::stopwatch watch;
    made.packed = lm::load_packed(given.model);
    if (made.packed) {
        if (given.scheme) {
            throw lm::failure(given.model, ": a packed file, whose scheme is ", made.packed->scheme,
                              "; --scheme is for other models");
        }
        made.scheme = made.packed->scheme;
    } else {
        made.scheme = given.scheme.value_or(std::string(default_scheme));
        const lm::scheme_entry& scheme = lm::find_scheme(made.scheme);
        made.loaded = lm::load_model(given.model, given.tokenizer);
        made.quantized = lm::prepare(made.loaded.weights, scheme, pool);
    }
    made.seconds = watch.seconds();
}

void generate(const arguments& given) {
    quant::thread_pool pool(given.threads);
    ready_model ready;
    make_ready(ready, given, pool);
    const std::vector<lm::token> prompt = prompt_of(given, ready.text());
    const std::size_t context = ready.weights().shape.context;
    if (prompt.size() > context) {
        throw lm::failure("the prompt is too long: ", prompt.size(), " tokens, the model reads ",
                          context);
    }
    const std::size_t tokens = std::min(given.tokens, context - prompt.size() + 1);
    lm::transformer engine(ready.weights(), pool, std::min(context, prompt.size() + tokens));
    lm::sampler choose({given.temperature, given.top_k, given.top_p, given.seed});

    if (!given.chat) std::cout << given.prompt;
    const lm::generation made =
        lm::generate(engine, ready.text(), choose, prompt, tokens,
                     [](std::string_view bytes) { std::cout << bytes << std::flush; });
    std::cout << std::endl;
    if (given.quiet) return;
    std::fprintf(stderr,
                 "%s: ready in %.3f s; read %zu tokens, %.1f per second; wrote %zu, %.1f per "
                 "second\n",
                 ready.scheme.c_str(), ready.seconds, prompt.size(),
                 static_cast<double>(prompt.size()) / made.prompt_seconds, made.tokens.size(),
                 made.decode_rate());
}

void pack(const arguments& given) {
    const lm::scheme_entry& scheme = lm::find_scheme(*given.scheme);
    const lm::loaded_model loaded = lm::load_model(given.model, given.tokenizer);
    quant::thread_pool pool(given.threads);
    lm::progress_bar bar(given.out);
    lm::save_packed(given.out, loaded, scheme, pool, [&](double share) { bar.show(share); });
}

void compare(const arguments& given) {
    lm::compare_options options;
    for (const std::string& name : given.schemes) {
        options.schemes.push_back(&lm::find_scheme(name));
    }
    if (options.schemes.empty()) {
        for (const lm::scheme_entry& one : lm::all_schemes()) options.schemes.push_back(&one);
    }
    std::vector<lm::packed_model> packed;
    for (const std::string& path : given.packed) {
        auto opened = lm::load_packed(path);
        if (!opened) throw lm::failure(path, ": no packed file");
        packed.push_back(*std::move(opened));
    }
    for (const lm::packed_model& one : packed) options.packed.push_back(&one);
    const lm::loaded_model loaded = lm::load_model(given.model, given.tokenizer);
    options.scored_tokens = given.scored_tokens;
    options.seed = given.seed;
    options.prompt = prompt_of(given, *loaded.text);

    quant::thread_pool pool(given.threads);
    if (!given.json) lm::print_heading(std::cout, loaded);
    const lm::comparison compared =
        lm::compare(loaded, options, pool, [&](const lm::scheme_report& report) {
            if (!given.json) lm::print_row(std::cout, report);
        });
    if (given.json) {
        std::cout << lm::to_json(loaded, compared, pool.concurrency(), given.seed) << '\n';
    } else {
        lm::print_legend(std::cout, loaded, compared);
    }
}

struct command {
    std::string_view name; ///< the first argument; empty if there need be none
    const char* title;
    const char* meaning;
    void (*add)(CLI::App&, arguments&);
    void (*run)(const arguments&);
};

constexpr command commands[] = {
    {"compare", "lm compare", "Compares formats of one model: size, speed, accuracy.",
     add_comparison, compare},
    {"pack", "lm pack",
     "Writes a model in a quantized format as a packed file, which lm maps and runs as it lies.",
     add_packing, pack},
    {"", "lm",
     "Writes text with a Llama-architecture model in a quantized format.\n"
     "`lm compare --help` and `lm pack --help` tell about the other commands.",
     add_generation, generate},
};

int run(int argc, char** argv) {
    // CLI11 would ask the main command's required options of a subcommand's user too.
    const std::string_view first = argc > 1 ? argv[1] : "";
    const command* chosen = commands;
    while (!chosen->name.empty() && chosen->name != first) ++chosen;
    const int skipped = chosen->name.empty() ? 0 : 1;
    CLI::App app(chosen->meaning, chosen->title);
    arguments given;
    chosen->add(app, given);
    try {
        app.parse(argc - skipped, argv + skipped);
    } catch (const CLI::ParseError& stop) {
        if (stop.get_exit_code() == 0) return app.exit(stop); // --help
        throw lm::failure(stop.what());
    }
    chosen->run(given);
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::bad_alloc&) {
        std::fprintf(stderr, "lm: not enough memory\n");
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "lm: %s\n", problem.what());
    }
    return 1;
}
