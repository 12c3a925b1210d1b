// Safetensors files: quant::safetensors::file reads one, quant::safetensors::writer writes one,
// quant::safetensors::to_floats widens tensors.
#pragma once

#include <quant/io/safetensors/dtype.hpp>
#include <quant/io/safetensors/file.hpp>
#include <quant/io/safetensors/floats.hpp>
#include <quant/io/safetensors/tensor.hpp>
#include <quant/io/safetensors/writer.hpp>
