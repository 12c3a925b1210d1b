// The formats that the engine runs a model in, by name.
#pragma once

#include "model.hpp"

#include <quant/io/packed_file/reader.hpp>

#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace lm {

/// Puts a matrix into a format. A float one is referred to, not copied.
using matrix_maker = weight_pointer (*)(const float_matrix& weights, quant::thread_pool& pool);
/// Views a matrix of a packed file, which must outlive it; null if it is in another format.
using matrix_opener = weight_pointer (*)(const quant::packed_tensor& stored);

struct matrix_format {
    matrix_maker make;
    matrix_opener open;
};

struct scheme_entry {
    std::string_view name;
    std::string_view meaning;
    matrix_format linear;
    matrix_format embedding; ///< of the classifier too
};

/// All schemes: the float model first, then the file's own formats, then from many bits to few.
[[nodiscard]] std::span<const scheme_entry> all_schemes();

/// @throws failure that lists the names, if this is none.
[[nodiscard]] const scheme_entry& find_scheme(std::string_view name);

/// A matrix of a packed file, in place, in whichever of these formats it is.
/// @throws failure if it is in none.
[[nodiscard]] weight_pointer open_matrix(const quant::packed_tensor& stored);

/// The model in a format. Norms stay float.
/// @param weights must outlive a model in the scheme f32, or in the file's own if that is float:
/// these refer to it.
/// @throws quant::error for weights that are not finite.
[[nodiscard]] model prepare(const float_model& weights, const scheme_entry& scheme,
                            quant::thread_pool& pool,
                            const std::function<void(double)>& progress = {});

} // namespace lm
