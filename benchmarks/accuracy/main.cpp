// benchmark.accuracy: relative error of every preset on random weights, against its bits, and
// how fast one thread quantizes.
//
//     benchmark.accuracy [--rows N] [--cols N] [--full] [--repeat N] [--optimal] [--json FILE]
//
//     --rows, --cols   the shape of each matrix (512 × 4096); --full: 4096 × 4096
//     --repeat N       quantizes each matrix N times, for speeds where others use the machine, too
//     --optimal        some presets alone, by mse_optimal beside mse (64 × 4096)
//     --json FILE      the same numbers for benchmarks/accuracy/report.py
//
// Weights are normal and Student-t(4) numbers, a matrix of each for the seeds 1, 2 and 3. Errors
// are ‖w − q‖ / ‖w‖ over all three. Exits with 1 if one of the best presets misses its target.
#include "formats.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <numbers>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace accuracy {
namespace {

/// Normal numbers by Box and Muller, in double, the same with every standard library.
class normal_numbers {
public:
    explicit normal_numbers(std::uint64_t seed) : bits_(seed) {}

    double operator()() {
        if (has_spare_) {
            has_spare_ = false;
            return spare_;
        }
        const double radius = std::sqrt(-2.0 * std::log(uniform()));
        const double angle = 2.0 * std::numbers::pi * uniform();
        spare_ = radius * std::sin(angle);
        has_spare_ = true;
        return radius * std::cos(angle);
    }

private:
    /// Of (0, 1): 53 bits and a half.
    double uniform() { return (static_cast<double>(bits_() >> 11) + 0.5) * 0x1p-53; }

    std::mt19937_64 bits_;
    double spare_ = 0;
    bool has_spare_ = false;
};

enum class distribution { normal, student };

std::vector<float> make_weights(distribution kind, std::uint64_t seed, std::size_t count) {
    normal_numbers next(seed);
    std::vector<float> made(count);
    for (float& w : made) {
        double x = next();
        if (kind == distribution::student) {
            double squares = 0;
            for (int i = 0; i < 4; ++i) {
                const double y = next();
                squares += y * y;
            }
            x /= std::sqrt(squares / 4);
        }
        w = static_cast<float>(x);
    }
    return made;
}

struct options {
    std::size_t rows = 512, cols = 4096, repeat = 1;
    bool optimal = false;
    std::string json;
};

/// A format under one range estimator.
struct outcome {
    std::array<quant::error_sums, 2> errors; ///< by distribution
    /// Of the quickest, over all matrices: slower ones tell what else the machine did.
    double seconds = std::numeric_limits<double>::infinity();

    [[nodiscard]] double error(distribution kind) const {
        return errors[static_cast<std::size_t>(kind)].relative_rms();
    }
};

struct row {
    format of;
    outcome min_max, mse, optimal;
};

/// What to beat: the least errors known for a budget of bits.
struct target {
    double bits;
    double normal, student;
    const char* preset;
};
constexpr target targets[] = {
    {2.38, .297, .355, "best_2_4"},   {2.69, .238, .261, "best_2_7"},
    {3.19, .155, .197, "best_3_2"},   {3.44, .135, .154, "best_3_4"},
    {4.26, .0743, .0919, "best_4_3"}, {4.5, .0649, .0754, "best_4_5"},
    {5.26, .0365, .0467, "best_5_3"}, {5.5, .0323, .0384, "best_5_5"},
    {6.6, .0154, .0179, "best_6_5"},  {8.5, .0053, .0073, "best_8_5"},
};

bool meets(const target& wanted, const row& by) {
    return by.of.bits <= wanted.bits && by.mse.error(distribution::normal) < wanted.normal &&
           by.mse.error(distribution::student) < wanted.student;
}

const row& find(const std::vector<row>& rows, std::string_view name) {
    for (const row& one : rows) {
        if (one.of.name == name) return one;
    }
    std::abort();
}

std::vector<row> all_formats() {
    std::vector<row> rows;
    for (const auto formats : {integer_formats(), k_formats(), table_formats(), minifloat_formats(),
                               best_few_bits(), best_many_bits()}) {
        for (const format& one : formats) rows.push_back({one, {}, {}, {}});
    }
    return rows;
}

/// Those that are measured by mse_optimal.
std::vector<row> some_formats() {
    auto rows = all_formats();
    constexpr std::string_view names[] = {"q4_0", "q4_1", "q8_0", "iq4_nl", "mxfp4", "nf4_64"};
    std::erase_if(rows, [&](const row& one) {
        return std::find(std::begin(names), std::end(names), one.of.name) == std::end(names);
    });
    return rows;
}

std::vector<row> measure_all(const options& wanted) {
    auto rows = wanted.optimal ? some_formats() : all_formats();
    const std::size_t count = wanted.rows * wanted.cols;
    std::vector<float> decoded(count);
    const quant::matrix_view<float> out(decoded.data(), wanted.rows, wanted.cols);
    for (const auto kind : {distribution::normal, distribution::student}) {
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            const auto weights = make_weights(kind, seed, count);
            const quant::matrix_view<const float> in(weights.data(), wanted.rows, wanted.cols);
            const auto add = [&](const row& one, quant::range_estimator range, outcome& to) {
                for (std::size_t i = 0; i < wanted.repeat; ++i) {
                    const sample taken = one.of.measure(in, range, out);
                    if (i == 0) to.errors[static_cast<std::size_t>(kind)].merge(taken.errors);
                    to.seconds = std::min(to.seconds, taken.seconds);
                }
            };
            for (row& one : rows) {
                add(one, quant::range_estimator::mse, one.mse);
                if (wanted.optimal) {
                    add(one, quant::range_estimator::mse_optimal, one.optimal);
                    continue;
                }
                if (!one.of.two_levels) {
                    add(one, quant::range_estimator::min_max, one.min_max);
                }
            }
        }
    }
    return rows;
}

double rate(const outcome& of, const options& wanted) {
    return static_cast<double>(wanted.rows * wanted.cols) / of.seconds;
}

void print_table(const std::vector<row>& rows, const options& wanted) {
    std::printf("%zu x %zu, seeds 1 to 3; ||w - q|| / ||w||; M/s: million weights per second\n\n",
                wanted.rows, wanted.cols);
    std::printf("%-12s %6s %28s   %28s\n", "", "", "mse", "min_max");
    std::printf("%-12s %6s %9s %9s %8s   %9s %9s %8s\n", "preset", "bits", "normal", "t(4)", "M/s",
                "normal", "t(4)", "M/s");
    const auto print = [&](const outcome& of) {
        std::printf(" %9.5f %9.5f %8.1f  ", of.error(distribution::normal),
                    of.error(distribution::student), rate(of, wanted) / 1e6);
    };
    for (const row& one : rows) {
        std::printf("%-12s %6.3f", one.of.name, one.of.bits);
        print(one.mse);
        if (!one.of.two_levels) print(one.min_max);
        std::printf("\n");
    }
    std::printf("\n%6s %20s %22s\n", "budget", "to beat", "preset and its errors");
    for (const target& one : targets) {
        const row& by = find(rows, one.preset);
        std::printf("%6.2f %9.4f %9.4f   %-10s %9.5f %9.5f  %s\n", one.bits, one.normal,
                    one.student, one.preset, by.mse.error(distribution::normal),
                    by.mse.error(distribution::student), meets(one, by) ? "beaten" : "MISSED");
    }
}

void print_optimal(const std::vector<row>& rows, const options& wanted) {
    std::printf("%zu x %zu, seeds 1 to 3; ||w - q|| / ||w||; M/s: million weights per second\n\n",
                wanted.rows, wanted.cols);
    std::printf("%-12s %28s   %28s\n", "", "mse", "mse_optimal");
    std::printf("%-12s %9s %9s %8s   %9s %9s %8s\n", "preset", "normal", "t(4)", "M/s", "normal",
                "t(4)", "M/s");
    for (const row& one : rows) {
        std::printf("%-12s", one.of.name);
        for (const outcome* of : {&one.mse, &one.optimal}) {
            std::printf(" %9.5f %9.5f %8.3f  ", of->error(distribution::normal),
                        of->error(distribution::student), rate(*of, wanted) / 1e6);
        }
        std::printf("\n");
    }
}

bool write_json(const std::vector<row>& rows, const options& wanted) {
    std::FILE* const file = std::fopen(wanted.json.c_str(), "w");
    if (file == nullptr) return false;
    std::fprintf(file, "{\n  \"rows\": %zu,\n  \"cols\": %zu,\n  \"%s\": [", wanted.rows,
                 wanted.cols, wanted.optimal ? "optimal" : "presets");
    const auto print = [&](const char* range, const outcome& of) {
        std::fprintf(file,
                     ",\n     \"%s\": {\"normal\": %.8g, \"student\": %.8g, "
                     "\"weights_per_second\": %.4g}",
                     range, of.error(distribution::normal), of.error(distribution::student),
                     rate(of, wanted));
    };
    const char* separator = "\n";
    for (const row& one : rows) {
        std::fprintf(file, "%s    {\"name\": \"%s\", \"family\": \"%s\", \"bits\": %.6g", separator,
                     one.of.name, one.of.family, one.of.bits);
        print("mse", one.mse);
        if (wanted.optimal)
            print("mse_optimal", one.optimal);
        else if (!one.of.two_levels)
            print("min_max", one.min_max);
        std::fprintf(file, "}");
        separator = ",\n";
    }
    std::fprintf(file, "\n  ],\n  \"targets\": [");
    separator = "\n";
    for (const target& one : targets) {
        if (wanted.optimal) break;
        std::fprintf(file,
                     "%s    {\"bits\": %g, \"normal\": %g, \"student\": %g, \"preset\": \"%s\", "
                     "\"beaten\": %s}",
                     separator, one.bits, one.normal, one.student, one.preset,
                     meets(one, find(rows, one.preset)) ? "true" : "false");
        separator = ",\n";
    }
    std::fprintf(file, "\n  ]\n}\n");
    return std::fclose(file) == 0;
}

/// False if there is a word that is none of ours.
bool read_arguments(int count, char** words, options& wanted) {
    for (int i = 1; i < count; ++i) {
        const std::string_view word = words[i];
        if (word == "--full") {
            wanted.rows = wanted.cols = 4096;
            continue;
        }
        if (word == "--optimal") {
            wanted.optimal = true;
            wanted.rows = 64;
            continue;
        }
        if (++i == count) return false;
        if (word == "--json") {
            wanted.json = words[i];
        } else if (word == "--rows" || word == "--cols" || word == "--repeat") {
            const auto number = static_cast<std::size_t>(std::strtoull(words[i], nullptr, 10));
            if (number == 0) return false;
            (word == "--rows"   ? wanted.rows
             : word == "--cols" ? wanted.cols
                                : wanted.repeat) = number;
        } else {
            return false;
        }
    }
    return true;
}

} // namespace
} // namespace accuracy

int main(int argc, char** argv) {
    accuracy::options wanted;
    if (!accuracy::read_arguments(argc, argv, wanted)) {
        std::fprintf(stderr,
                     "usage: %s [--rows N] [--cols N] [--full] [--repeat N] [--optimal] "
                     "[--json FILE]\n",
                     argv[0]);
        return 2;
    }
    const auto rows = accuracy::measure_all(wanted);
    (wanted.optimal ? accuracy::print_optimal : accuracy::print_table)(rows, wanted);
    if (!wanted.json.empty() && !accuracy::write_json(rows, wanted)) {
        std::fprintf(stderr, "cannot write %s\n", wanted.json.c_str());
        return 2;
    }
    if (wanted.optimal) return 0;
    bool all_beaten = true;
    for (const auto& one : accuracy::targets) {
        all_beaten &= accuracy::meets(one, accuracy::find(rows, one.preset));
    }
    return all_beaten ? 0 : 1;
}
