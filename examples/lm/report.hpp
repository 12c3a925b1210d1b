// A comparison for people, and for programs.
#pragma once

#include "compare.hpp"

#include <iosfwd>
#include <string>

namespace lm {

/// The table's title lines. @param file_types as in loaded_model.
void print_heading(std::ostream& out, const loaded_model& loaded);
/// One format: a row of the table, and below it what the model wrote.
void print_row(std::ostream& out, const scheme_report& report);
/// What the columns mean.
void print_legend(std::ostream& out, const loaded_model& loaded, const comparison& compared);

/// Everything as one JSON object.
[[nodiscard]] std::string to_json(const loaded_model& loaded, const comparison& compared,
                                  std::size_t threads, std::uint64_t seed);

} // namespace lm
