// Files that tensors are written to.
#pragma once

#include "plan.hpp"

#include <quant/core/matrix_view.hpp>
#include <quant/core/thread_pool.hpp>
#include <quant/quantize/options.hpp>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

namespace quantizer {

/// A file under construction, which knows all tensors from the start and gets them in that order. A
/// format is an implementation of it. Dropped before finish(), it leaves nothing behind.
class output {
public:
    virtual ~output() = default;

    /// The next rows of a tensor that is quantized.
    /// @param rows as many in each call as the caller likes; only the last may have a number that
    /// is no multiple of 16.
    /// @param stored the weights that the file now holds for them, rows side by side.
    virtual void quantize(const planned_tensor& tensor, quant::matrix_view<const float> rows,
                          const quant::quantize_options& options, quant::thread_pool& pool,
                          std::span<float> stored) = 0;

    /// The next bytes of a tensor that is kept.
    virtual void copy(std::span<const std::byte> data) = 0;

    /// Gives the file its name.
    virtual void finish() = 0;
};

/// A GGUF file with the metadata of the source: all entries of a GGUF file, else a name.
/// @throws quant::error
[[nodiscard]] std::unique_ptr<output> create_gguf(const std::filesystem::path& path,
                                                  const source& from,
                                                  std::span<const planned_tensor> tensors);

/// A packed file, with the same metadata; stacks of matrices are one, below each other.
/// @throws quant::error
[[nodiscard]] std::unique_ptr<output> create_packed(const std::filesystem::path& path,
                                                    const source& from,
                                                    std::span<const planned_tensor> tensors);

} // namespace quantizer
