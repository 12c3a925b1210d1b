// Safetensors files: quant::safetensors::file reads one, quant::safetensors::writer writes one,
// quant::safetensors::to_floats widens tensors, quant::safetensors::import_… take quantized layers
// of other libraries as they are.
#pragma once

#include <quant/io/safetensors/dtype.hpp>
#include <quant/io/safetensors/file.hpp>
#include <quant/io/safetensors/floats.hpp>
#include <quant/io/safetensors/import_awq.hpp>
#include <quant/io/safetensors/import_bitsandbytes.hpp>
#include <quant/io/safetensors/import_compressed_tensors.hpp>
#include <quant/io/safetensors/import_fp8.hpp>
#include <quant/io/safetensors/import_gptq.hpp>
#include <quant/io/safetensors/import_torchao.hpp>
#include <quant/io/safetensors/index.hpp>
#include <quant/io/safetensors/tensor.hpp>
#include <quant/io/safetensors/writer.hpp>
