// Packed files, models in the kernels' own layout: quant::packed_file maps one and runs it as it
// lies, quant::packed_file_writer writes one.
#pragma once

#include <quant/io/packed_file/reader.hpp>
#include <quant/io/packed_file/writer.hpp>
