// Measured errors for people, as an aligned table, and for programs, as JSON.
#pragma once

#include <quant/calibrate/metrics.hpp>
#include <quant/core/utf8.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quant::inline QUANT_VOCABULARY {

/// How much of a report is written.
enum class report_detail {
    tensors, ///< one line or object per tensor
    rows,    ///< each row of each tensor, too
};

} // namespace quant::inline QUANT_VOCABULARY

namespace quant::inline QUANT_ABI {
namespace detail {

// libc++ before 14 has std::to_chars for integers alone.
#if defined(_LIBCPP_VERSION) && _LIBCPP_VERSION < 14000
#define QUANT_DETAIL_PRINTS_NUMBERS 1
#else
#define QUANT_DETAIL_PRINTS_NUMBERS 0
#endif

/// printf's %.{digits}g, whatever the locale.
[[nodiscard]] inline std::string format_number(double value, int digits) {
    char text[64];
#if QUANT_DETAIL_PRINTS_NUMBERS
    const int length = std::snprintf(text, sizeof text, "%.*g", digits, value);
    std::replace(text, text + length, ',', '.');
    return {text, text + length};
#else
    const auto end =
        std::to_chars(text, text + sizeof text, value, std::chars_format::general, digits);
    return {text, end.ptr};
#endif
}
/// The shortest digits that give the same finite double again.
[[nodiscard]] inline std::string format_number(double value) {
#if QUANT_DETAIL_PRINTS_NUMBERS
    char text[32];
    int digits = 1;
    do {
        static_cast<void>(std::snprintf(text, sizeof text, "%.*g", digits, value));
    } while (std::strtod(text, nullptr) != value && ++digits < 17);
    return format_number(value, digits);
#else
    char text[32];
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
#endif
}
#undef QUANT_DETAIL_PRINTS_NUMBERS

/// A string as JSON writes it, quotes included. Bytes that are not UTF-8 become U+FFFD.
inline void append_json_string(std::string& to, std::string_view text) {
    constexpr const char* hex = "0123456789abcdef";
    to += '"';
    while (!text.empty()) {
        const std::size_t length = utf8_sequence(text);
        const char first = text.front();
        const auto byte = static_cast<unsigned char>(first);
        if (length == 0) {
            to += "\\ufffd";
        } else if (first == '"' || first == '\\') {
            to += '\\';
            to += first;
        } else if (byte < 0x20) {
            to += "\\u00";
            to += hex[byte >> 4];
            to += hex[byte & 15];
        } else {
            to += text.substr(0, length);
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    to += '"';
}

/// null for what JSON has no number for.
inline void append_json_number(std::string& to, double value) {
    to += std::isfinite(value) ? format_number(value) : "null";
}

/// The metrics of a report, by their names in JSON.
struct named_metric {
    const char* name;
    double value;
};
[[nodiscard]] inline std::array<named_metric, 5> metrics_of(const error_sums& sums) noexcept {
    return {{{"mse", sums.mse()},
             {"relative_rms", sums.relative_rms()},
             {"sqnr_db", sums.sqnr_db()},
             {"max_abs_error", sums.max_abs_error},
             {"cosine_similarity", sums.cosine_similarity()}}};
}

inline void append_json_metrics(std::string& to, const error_sums& sums) {
    const char* separator = "";
    for (const named_metric& one : metrics_of(sums)) {
        to += std::exchange(separator, ", ");
        append_json_string(to, one.name);
        to += ": ";
        append_json_number(to, one.value);
    }
}

/// What terminals would obey or misalign, as '?'.
[[nodiscard]] inline std::string table_name(std::string_view name) {
    std::string shown(name);
    for (char& c : shown) c = c >= ' ' && c <= '~' ? c : '?';
    return shown;
}

[[nodiscard]] inline std::vector<std::string> table_line(std::string name, std::string shape,
                                                         const error_sums& sums) {
    std::vector<std::string> cells = {std::move(name), std::move(shape)};
    for (const named_metric& one : metrics_of(sums)) {
        cells.push_back(format_number(one.value, one.name == std::string_view("sqnr_db") ? 4 : 5));
    }
    return cells;
}

/// Lines of as many cells each: the first column to the left, the others to the right.
[[nodiscard]] inline std::string aligned(const std::vector<std::vector<std::string>>& lines) {
    std::vector<std::size_t> widths(lines.front().size());
    for (const auto& line : lines) {
        for (std::size_t i = 0; i < line.size(); ++i) {
            widths[i] = std::max(widths[i], line[i].size());
        }
    }
    std::string text;
    for (const auto& line : lines) {
        for (std::size_t i = 0; i < line.size(); ++i) {
            const std::string room(widths[i] - line[i].size(), ' ');
            text += i == 0 ? line[i] + room : "  " + room + line[i];
        }
        text += '\n';
    }
    return text;
}

} // namespace detail

/// Reports as a table: a heading, a line per tensor and, if asked for, one per row, columns aligned
/// and apart by two spaces; five digits, four of the SQNR. Names are shown in ASCII, other bytes
/// as '?'. Independent of the locale. Throws std::bad_alloc alone.
[[nodiscard]] inline std::string to_table(std::span<const tensor_report> reports,
                                          report_detail level = report_detail::tensors) {
    std::vector<std::vector<std::string>> lines = {
        {"tensor", "shape", "mse", "rel. rms", "sqnr dB", "max error", "cosine"}};
    for (const tensor_report& one : reports) {
        lines.push_back(detail::table_line(
            detail::table_name(one.name()),
            std::to_string(one.rows()) + " x " + std::to_string(one.cols()), one.total()));
        if (level != report_detail::rows) continue;
        for (std::size_t r = 0; r < one.rows(); ++r) {
            lines.push_back(detail::table_line("  row " + std::to_string(r),
                                               "1 x " + std::to_string(one.cols()),
                                               one.by_row()[r]));
        }
    }
    return detail::aligned(lines);
}

/// A report as a table. @copydetails to_table
[[nodiscard]] inline std::string to_table(const tensor_report& report,
                                          report_detail level = report_detail::tensors) {
    return to_table(std::span(&report, 1), level);
}

/// Reports as JSON (RFC 8259): an array of objects with `name`, `rows`, `cols`, the metrics by the
/// names that error_sums gives them and, if asked for, `by_row`, an array of objects with the
/// metrics of each row. Numbers read back as the same doubles; infinity, of which JSON has none, is
/// null: an `sqnr_db` of null beside an `mse` of 0 means that nothing was lost. Bytes of names that
/// are not UTF-8 become U+FFFD. Throws std::bad_alloc alone.
[[nodiscard]] inline std::string to_json(std::span<const tensor_report> reports,
                                         report_detail level = report_detail::tensors) {
    std::string text = "[";
    const char* separator = "\n";
    for (const tensor_report& one : reports) {
        text += std::exchange(separator, ",\n");
        text += "  {\"name\": ";
        detail::append_json_string(text, one.name());
        text += ", \"rows\": " + std::to_string(one.rows());
        text += ", \"cols\": " + std::to_string(one.cols()) + ", ";
        detail::append_json_metrics(text, one.total());
        if (level == report_detail::rows) {
            text += ", \"by_row\": [";
            const char* row_separator = "\n    {";
            for (const error_sums& row : one.by_row()) {
                text += std::exchange(row_separator, ",\n    {");
                detail::append_json_metrics(text, row);
                text += '}';
            }
            text += ']';
        }
        text += '}';
    }
    return text += reports.empty() ? "]\n" : "\n]\n";
}

/// A report as JSON, an array of one. @copydetails to_json
[[nodiscard]] inline std::string to_json(const tensor_report& report,
                                         report_detail level = report_detail::tensors) {
    return to_json(std::span(&report, 1), level);
}

} // namespace quant::inline QUANT_ABI
