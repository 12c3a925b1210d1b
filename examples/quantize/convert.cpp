#include "convert.hpp"

#include "../lm/clock.hpp"
#include "../lm/failure.hpp"
#include "../lm/progress_bar.hpp"
#include "interruption.hpp"
#include "output.hpp"
#include "plan.hpp"
#include "report.hpp"

#include <quant/io/gguf/blocks.hpp>

#include <algorithm>
#include <cstdio>
#include <set>
#include <utility>

namespace quantizer {
namespace {

namespace fs = std::filesystem;
using lm::failure;

bool are_same(const fs::path& a, const fs::path& b) {
    std::error_code ignored;
    return fs::equivalent(a, b, ignored) ||
           fs::weakly_canonical(a, ignored) == fs::weakly_canonical(b, ignored);
}

/// Refuses to write what is read, or what is there.
void check_target(const fs::path& target, const source& from, bool force) {
    for (const fs::path& each : from.paths) {
        if (are_same(target, each)) {
            throw failure(target.string(), ": is the input; name another file");
        }
    }
    std::error_code ignored;
    const fs::file_status status = fs::status(target, ignored);
    if (fs::exists(status) && !fs::is_regular_file(status)) {
        throw failure(target.string(), ": is there and is no file that can be replaced");
    }
    if (!force && fs::exists(fs::symlink_status(target, ignored))) {
        throw failure(target.string(), ": is there already; --force replaces it");
    }
}

void warn_of_lossy_sources(std::span<const planned_tensor> tensors) {
    std::size_t count = 0;
    std::set<std::string_view> types;
    for (const planned_tensor& each : tensors) {
        if (each.to == nullptr || !each.from->is_quantized()) continue;
        ++count;
        types.insert(to_string(each.from->type));
    }
    if (count == 0) return;
    std::string list;
    for (const std::string_view each : types) list += lm::text_of(list.empty() ? "" : ", ", each);
    std::fprintf(stderr,
                 "quantize: warning: %zu tensors are quantized already (%s); quantizing them again "
                 "adds to what they lost\n",
                 count, list.c_str());
}

/// What a run that was killed leaves behind; it may as well be somebody's who is still writing.
void warn_of_leftovers(const fs::path& target) {
    for (int i = 0; i < 10; ++i) {
        fs::path partial = target;
        partial += ".part" + std::to_string(i);
        std::error_code ignored;
        if (!fs::exists(fs::symlink_status(partial, ignored))) continue;
        std::fprintf(stderr,
                     "quantize: warning: %s is there; unless another program is writing it, a run "
                     "that was killed has left it, and it can be removed\n",
                     partial.string().c_str());
    }
}

/// A text file that is written beside its name, under one that nobody has, and renamed.
void write_text(const fs::path& path, const std::string& text) {
    fs::path partial;
    std::FILE* file = nullptr;
    for (int i = 0; i < 100 && file == nullptr; ++i) {
        partial = path;
        partial += ".part" + std::to_string(i);
        file = std::fopen(partial.c_str(), "wbx");
    }
    if (file != nullptr) {
        const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
        const bool closed = std::fclose(file) == 0;
        std::error_code failed;
        if (written && closed) fs::rename(partial, path, failed);
        if (written && closed && !failed) return;
        fs::remove(partial, failed);
    }
    throw failure(path.string(), ": the report cannot be written; the model is complete");
}

/// The loop over tensors, with the memory that it uses again and again.
class converter {
public:
    explicit converter(const settings& given) : pool_(given.threads) {
        options_.range = find_range(given.range);
        options_.cancel = &interruption();
    }

    [[nodiscard]] tensor_report run(const planned_tensor& tensor, output& to) {
        const lm::stopwatch watch;
        tensor_report report{&tensor, {}, 0};
        lm::progress_bar bar(tensor.from->shown_name());
        if (tensor.to == nullptr) {
            copy(*tensor.from, to, bar);
        } else {
            quantize(tensor, to, report.error, bar);
        }
        report.seconds = watch.seconds();
        return report;
    }

private:
    static constexpr std::size_t weights_at_once = std::size_t{1} << 22;
    static constexpr std::size_t bytes_at_once = std::size_t{1} << 24;

    static void copy(const source_tensor& from, output& to, lm::progress_bar& bar) {
        const std::size_t size = from.data.size();
        for (std::size_t at = 0; at < size; at += bytes_at_once) {
            if (interruption()) throw interrupted();
            to.copy(from.data.subspan(at, std::min(bytes_at_once, size - at)));
            bar.show(static_cast<double>(at) / static_cast<double>(size));
        }
    }

    void quantize(const planned_tensor& tensor, output& to, quant::error_sums& error,
                  lm::progress_bar& bar) {
        const source_tensor& from = *tensor.from;
        const std::size_t rows = from.rows(), cols = from.cols();
        const std::size_t at_once = std::max<std::size_t>(weights_at_once / cols / 16, 1) * 16;
        for (std::size_t first = 0; first < rows; first += at_once) {
            const std::size_t count = std::min(at_once, rows - first);
            options_.progress = [&](std::size_t done, std::size_t) {
                bar.show(static_cast<double>(first + done) / static_cast<double>(rows));
            };
            try {
                error.merge(quantize_rows(tensor, to, first, count));
            } catch (const quant::error& problem) {
                if (problem.code() == quant::errc::cancelled) throw interrupted();
                throw failure("tensor ", from.shown_name(), ", from row ", first,
                              " on: ", problem.what());
            }
        }
    }

    quant::error_sums quantize_rows(const planned_tensor& tensor, output& to, std::size_t first,
                                    std::size_t count) {
        const source_tensor& from = *tensor.from;
        const std::size_t cols = from.cols(), row_bytes = from.data.size() / from.rows();
        weights_.resize(count * cols);
        stored_.resize(count * cols);
        quant::gguf::dequantize(from.type, from.data.subspan(first * row_bytes, count * row_bytes),
                                weights_);
        const quant::matrix_view<const float> rows(weights_.data(), count, cols);
        to.quantize(tensor, rows, options_, pool_, stored_);
        return quant::measure_error(
            rows, quant::matrix_view<const float>(stored_.data(), count, cols), pool_);
    }

    quant::thread_pool pool_;
    quant::quantize_options options_;
    std::vector<float> weights_; // some rows, as the source has them
    std::vector<float> stored_;  // and as the output has them
};

} // namespace

void convert(const settings& given, std::ostream& out) {
    const lm::stopwatch watch;
    converter work(given);
    const source from = open_source(given.input);
    const std::vector<planned_tensor> tensors = plan(from, given);
    check_target(given.output, from, given.force);
    if (!given.report.empty()) {
        check_target(given.report, from, given.force);
        if (are_same(given.report, given.output)) {
            throw failure(given.report.string(), ": is the output; name another file");
        }
        // Better now than after an hour's work.
        const fs::path folder = given.report.parent_path();
        if (!folder.empty() && !fs::is_directory(folder)) {
            throw failure(given.report.string(), ": is in no folder that is there");
        }
    }
    warn_of_lossy_sources(tensors);
    warn_of_leftovers(given.output);

    const std::unique_ptr<output> to = given.packed ? create_packed(given.output, from, tensors)
                                                    : create_gguf(given.output, from, tensors);
    table printed(out, tensors);
    printed.heading();
    std::vector<tensor_report> reports;
    for (const planned_tensor& each : tensors) {
        reports.push_back(work.run(each, *to));
        printed.row(reports.back());
    }
    if (interruption()) throw interrupted();
    to->finish();
    const double seconds = watch.seconds();
    printed.totals(reports, seconds);
    if (!given.report.empty()) write_text(given.report, to_json(reports, given, seconds));
    if (!out.flush())
        throw failure("the table could not be printed; ", given.output.string(), " is complete");
}

} // namespace quantizer
