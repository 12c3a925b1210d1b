#include "report.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <ostream>

namespace lm {
namespace {

constexpr double bytes_per_megabyte = 1e6;

/// printf to a stream, lines of at most 511 bytes.
template <class... Values>
void print(std::ostream& out, const char* format, Values... values) {
    char line[512];
    std::snprintf(line, sizeof line, format, values...);
    out << line;
}

/// At most a table's width of a text, whole characters.
std::string beginning(const std::string& text) {
    std::size_t end = 96;
    if (text.size() <= end) return text;
    while ((static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80) --end;
    return text.substr(0, end) + "...";
}

} // namespace

void print_heading(std::ostream& out, const loaded_model& loaded) {
    out << loaded.name << ", weights in the file: " << loaded.file_types << "\n\n";
    print(out, "%-16s %6s %8s %6s %6s %7s %9s %9s %9s %6s %8s\n", "scheme", "bits/w", "MB", "% f32",
          "% f16", "quant s", "prompt/s", "decode/s", "KL", "top-1", "ppl");
}

void print_row(std::ostream& out, const scheme_report& report) {
    print(out, "%-16s %6.2f %8.2f %6.1f %6.1f %7.2f %9.1f %9.1f %9.5f %6.1f %8.5g\n",
          report.name.c_str(), report.bits_per_weight,
          static_cast<double>(report.bytes) / bytes_per_megabyte, 100.0 * report.share_of_f32,
          100.0 * report.share_of_f16, report.quantize_seconds, report.prompt_rate,
          report.decode_rate, report.divergence, 100.0 * report.agreement, report.perplexity);
    out << "    > " << beginning(report.text) << '\n' << std::flush;
}

void print_legend(std::ostream& out, const loaded_model& loaded, const comparison& compared) {
    out << "\nbits/w    bits per weight of the matrices, scales counted\n"
           "MB        the model in memory (10^6 bytes), scales, padding and norms counted\n";
    print(out, "prompt/s  tokens per second, read as one prompt of %zu\n", compared.prompt_tokens);
    print(out, "decode/s  tokens per second, one at a time, median of %zu\n",
          compared.decode_tokens);
    print(out,
          "KL, top-1 mean divergence from f32 in nats and share (%%) of equal first choices, "
          "over %zu\n          tokens that f32 wrote itself at temperature 1; ppl: perplexity "
          "on the same\n",
          compared.scored_tokens);
    out << "\nProducts are the library's default: activations in 8 bits by the group, or by the "
           "token"
           "\nwhere weights have a scale per row. _e8: embedding and classifier in int8_g32.\n";
    if (loaded.file_types.find('q') != std::string::npos) {
        out << "\nNote: the weights in the file lie on quantized grids already ("
            << loaded.file_types
            << "), and f32 here is\nthese grids in float. A scheme on the same grid is near "
               "lossless "
               "by construction: int8_g32 on\nq8_0, int4_g32_asym on q4_1 (int4_g32_asym_e8 where "
               "the embedding is q8_0). What a scheme really\ncosts, only models of float origin "
               "can tell.\n";
    }
    out << std::flush;
}

std::string to_json(const loaded_model& loaded, const comparison& compared, std::size_t threads,
                    std::uint64_t seed) {
    nlohmann::ordered_json all = {
        {"model", loaded.name},
        {"file_types", loaded.file_types},
        {"weights", compared.weights},
        {"threads", threads},
        {"seed", seed},
        {"scored_tokens", compared.scored_tokens},
        {"prompt_tokens", compared.prompt_tokens},
        {"decode_tokens", compared.decode_tokens},
        {"schemes", nlohmann::ordered_json::array()},
    };
    for (const scheme_report& one : compared.schemes) {
        all["schemes"].push_back({
            {"name", one.name},
            {"meaning", one.meaning},
            {"bits_per_weight", one.bits_per_weight},
            {"bytes", one.bytes},
            {"share_of_f32", one.share_of_f32},
            {"share_of_f16", one.share_of_f16},
            {"quantize_seconds", one.quantize_seconds},
            {"prompt_tokens_per_second", one.prompt_rate},
            {"decode_tokens_per_second", one.decode_rate},
            {"kl_divergence", one.divergence},
            {"top1_agreement", one.agreement},
            {"perplexity", one.perplexity},
            {"text", one.text},
        });
    }
    // A text may end within a character.
    return all.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

} // namespace lm
