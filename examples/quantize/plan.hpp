// What becomes of each tensor, by the rules of the command line.
#pragma once

#include "schemes.hpp"
#include "settings.hpp"
#include "source.hpp"

#include <string>
#include <vector>

namespace quantizer {

struct planned_tensor {
    const source_tensor* from = nullptr;
    const scheme_entry* to = nullptr; ///< null: kept as it is
    std::string note;                 ///< why it is kept, or of another scheme than asked for
    bool packed = false;              ///< in the kernels' layout

    /// Unless packed: of the tensor in the output.
    [[nodiscard]] quant::gguf::type type() const {
        return to != nullptr ? to->type.value() : from->type;
    }
    /// Of the tensor in the output.
    [[nodiscard]] std::size_t bytes() const;
};

/// Decides on all tensors, in the source's order.
///
/// Kept are, in this order: what --keep names; tensors of one dimension; integers; NVFP4 with a
/// tensor of scales beside it, which would no longer fit; then what the first rule that matches, or
/// else --scheme, says is kept, or of its scheme already. Rows that are no whole blocks get the
/// scheme's fallback if they are whole blocks of that, and are kept otherwise; in packed files
/// any row is as good as any other.
///
/// @throws lm::failure for what is no regular expression, no rule or no scheme.
[[nodiscard]] std::vector<planned_tensor> plan(const source& from, const settings& given);

} // namespace quantizer
