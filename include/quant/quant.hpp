// quant: composable weight quantization for CPUs. The umbrella: everything but the opt-in parts
// (run-time dispatch, post-training quantization, file formats).
#pragma once

#include <quant/calibrate/logits.hpp>
#include <quant/calibrate/observers.hpp>
#include <quant/calibrate/report.hpp>
#include <quant/core/executor.hpp>
#include <quant/core/half.hpp>
#include <quant/core/matrix_view.hpp>
#include <quant/core/result.hpp>
#include <quant/core/scratch.hpp>
#include <quant/core/thread_pool.hpp>
#include <quant/kernel/any_packed_matrix.hpp>
#include <quant/kernel/matmul.hpp>
#include <quant/kernel/matmul_batch.hpp>
#include <quant/kernel/scratch_bytes.hpp>
#include <quant/pack/any_packed_view.hpp>
#include <quant/pack/dequantize_packed.hpp>
#include <quant/pack/gather_rows.hpp>
#include <quant/pack/pack.hpp>
#include <quant/policy/activations.hpp>
#include <quant/policy/descriptor.hpp>
#include <quant/policy/presets.hpp>
#include <quant/policy/scheme.hpp>
#include <quant/quantize/dequantize.hpp>
#include <quant/quantize/quantize.hpp>
