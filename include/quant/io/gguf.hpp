// GGUF model files: quant::gguf::file reads one, quant::gguf::writer writes one,
// quant::gguf::dequantize decodes tensors, quant::gguf::load makes packed weights of them,
// quant::gguf::encode and quant::gguf::quantize make tensors.
#pragma once

#include <quant/io/gguf/blocks.hpp>
#include <quant/io/gguf/encode.hpp>
#include <quant/io/gguf/file.hpp>
#include <quant/io/gguf/load.hpp>
#include <quant/io/gguf/load_any.hpp>
#include <quant/io/gguf/metadata.hpp>
#include <quant/io/gguf/quantize.hpp>
#include <quant/io/gguf/tensor.hpp>
#include <quant/io/gguf/tensor_scale.hpp>
#include <quant/io/gguf/types.hpp>
#include <quant/io/gguf/writer.hpp>
