#include "report.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace quantizer {
namespace {

constexpr double bytes_per_megabyte = 1e6;

double bits_per_weight(std::size_t bytes, std::size_t weights) {
    return 8.0 * static_cast<double>(bytes) / static_cast<double>(weights);
}

struct sums {
    std::size_t weights = 0;
    std::size_t bytes_before = 0;
    std::size_t bytes_after = 0;
    std::size_t quantized = 0; // tensors
    quant::error_sums error;

    explicit sums(std::span<const tensor_report> reports) {
        for (const tensor_report& each : reports) {
            weights += each.tensor->from->elements();
            bytes_before += each.tensor->from->data.size();
            bytes_after += each.tensor->bytes();
            quantized += each.tensor->to != nullptr ? 1u : 0u;
            error.merge(each.error);
        }
    }
};

/// printf to a stream, lines of at most 511 bytes.
template <class... Values>
void print(std::ostream& out, const char* format, Values... values) {
    char line[512];
    std::snprintf(line, sizeof line, format, values...);
    out << line;
}

std::string shape_of(const source_tensor& tensor) {
    std::string text;
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
        text += text.empty() ? "" : " x ";
        text += std::to_string(*size);
    }
    return text;
}

} // namespace

table::table(std::ostream& out, std::span<const planned_tensor> tensors) : out_(&out) {
    std::size_t widest = 6;
    for (const planned_tensor& each : tensors) widest = std::max(widest, each.from->name.size());
    name_width_ = static_cast<int>(std::min<std::size_t>(widest, 64));
}

void table::heading() {
    print(*out_, "%-*s  %15s  %-8s %-8s %7s %9s\n", name_width_, "tensor", "shape", "from", "to",
          "bits/w", "rel. rms");
}

void table::row(const tensor_report& report) {
    const planned_tensor& tensor = *report.tensor;
    char error[16] = "-";
    if (tensor.to != nullptr) {
        std::snprintf(error, sizeof error, "%.5f", report.error.relative_rms());
    }
    print(*out_, "%-*s  %15s  %-8s %-8s %7.3f %9s%s%s\n", name_width_,
          tensor.from->shown_name().c_str(), shape_of(*tensor.from).c_str(),
          to_string(tensor.from->type),
          tensor.to != nullptr ? std::string(tensor.to->name).c_str() : "kept",
          bits_per_weight(tensor.bytes(), tensor.from->elements()), error,
          tensor.note.empty() ? "" : "  ", tensor.note.c_str());
    *out_ << std::flush;
}

void table::totals(std::span<const tensor_report> reports, double seconds) {
    const sums all(reports);
    print(*out_, "\n%zu of %zu tensors quantized", all.quantized, reports.size());
    if (all.quantized > 0) print(*out_, ", relative error (rms) %.5f", all.error.relative_rms());
    *out_ << '\n';
    print(*out_, "%.2f MB -> %.2f MB, %.3f -> %.3f bits per weight, %.1f s\n",
          static_cast<double>(all.bytes_before) / bytes_per_megabyte,
          static_cast<double>(all.bytes_after) / bytes_per_megabyte,
          bits_per_weight(all.bytes_before, all.weights),
          bits_per_weight(all.bytes_after, all.weights), seconds);
    *out_ << std::flush;
}

std::string to_json(std::span<const tensor_report> reports, const settings& given, double seconds) {
    nlohmann::ordered_json tensors = nlohmann::ordered_json::array();
    for (const tensor_report& each : reports) {
        const planned_tensor& tensor = *each.tensor;
        nlohmann::ordered_json one = {
            {"name", tensor.from->name},
            {"shape", tensor.from->shape},
            {"from", to_string(tensor.from->type)},
            {"to", tensor.to != nullptr ? tensor.to->name : to_string(tensor.type())},
            {"quantized", tensor.to != nullptr},
            {"bytes", tensor.bytes()},
            {"bits_per_weight", bits_per_weight(tensor.bytes(), tensor.from->elements())},
        };
        if (tensor.to != nullptr) {
            one["relative_rms"] = each.error.relative_rms();
            one["mse"] = each.error.mse();
            one["max_abs_error"] = each.error.max_abs_error;
            one["seconds"] = each.seconds;
        }
        if (!tensor.note.empty()) one["note"] = tensor.note;
        tensors.push_back(std::move(one));
    }
    const sums all(reports);
    const nlohmann::ordered_json whole = {
        {"input", given.input.string()},
        {"output", given.output.string()},
        {"range", given.range},
        {"tensors", std::move(tensors)},
        {"weights", all.weights},
        {"tensors_quantized", all.quantized},
        {"bytes_before", all.bytes_before},
        {"bytes_after", all.bytes_after},
        {"bits_per_weight", bits_per_weight(all.bytes_after, all.weights)},
        {"relative_rms", all.error.relative_rms()},
        {"seconds", seconds},
    };
    return whole.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

} // namespace quantizer
