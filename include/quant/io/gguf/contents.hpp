// What a GGUF file says, once read: entries and tensors in the file's order and sorted by name.
#pragma once

#include <quant/core/buffer.hpp>
#include <quant/io/gguf/metadata.hpp>
#include <quant/io/gguf/tensor.hpp>
#include <quant/io/growing.hpp>
#include <quant/io/name_order.hpp>

#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Views into the file's bytes and the arrays that hold them.
struct gguf_contents {
    std::uint32_t version = 0;
    std::size_t alignment = 32; // unless general.alignment says otherwise
    growing<gguf::entry> entries;
    growing<gguf::tensor> tensors;
    growing<std::size_t> strings;     // for each array of strings: where its elements stand
    buffer<std::size_t> entry_order;  // by key
    buffer<std::size_t> tensor_order; // by name
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
