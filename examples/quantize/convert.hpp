// A model file from another, tensor by tensor.
#pragma once

#include "settings.hpp"

#include <ostream>

namespace quantizer {

/// Reads, quantizes and writes as `given` says; prints the report as it goes, warnings and progress
/// on the standard error. Beside the mapped input it holds some tens of megabytes, or 16 rows.
///
/// @throws lm::failure, quant::error, interrupted; the output file is then not there, or as it was.
void convert(const settings& given, std::ostream& out);

} // namespace quantizer
