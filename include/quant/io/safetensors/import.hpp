// What the imports of quantized checkpoints share: a layer's tensors by name, packed fields, groups
// in another order, and the matrix that they fill.
//
// A format gives N rows, K columns, the code of a weight and the numbers of a group; everything
// else is here. Weights of other libraries are often stored transposed, [K, N]; matrices here are N
// × K.
#pragma once

#include <quant/io/safetensors/file.hpp>
#include <quant/quantize/quantized_matrix.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace safetensors {

/// Weights from a checkpoint, and the order of their columns.
template <quantization_scheme S>
class imported_matrix {
public:
    imported_matrix(quantized_matrix<S> matrix, detail::buffer<std::uint32_t> order) noexcept
        : weights(std::move(matrix)), order_(std::move(order)) {}

    /// rows = output features, columns = input features, in the order of permutation().
    quantized_matrix<S> weights;

    /// Empty if columns are in the model's order. Otherwise, for groups whose columns are scattered
    /// (act-order): column j is the model's column permutation()[j], and products take the stage
    /// prologue::permutation(permutation()).
    [[nodiscard]] std::span<const std::uint32_t> permutation() const noexcept {
        return order_.span();
    }

private:
    detail::buffer<std::uint32_t> order_;
};

} // namespace safetensors

namespace detail {

/// The tensors of a layer, PREFIX.NAME, and errors that name them.
class st_layer {
public:
    /// @param where the public function, for errors.
    st_layer(const safetensors::file& from, std::string_view prefix, const char* where) noexcept
        : from_(from), prefix_(prefix), where_(where) {}

    /// The tensor, or null.
    [[nodiscard]] const safetensors::tensor* look_for(std::string_view name) const {
        std::string full(prefix_);
        if (!full.empty()) full += '.';
        full += name;
        return from_.find(full);
    }
    /// A tensor of one of these dtypes.
    [[nodiscard]] result<const safetensors::tensor*>
    find(const char* name, std::initializer_list<safetensors::dtype> types) const {
        const auto* const found = look_for(name);
        if (found == nullptr) {
            return make_error(errc::not_found, at(name).text, "no such tensor in \"%s\"",
                              printable_name(prefix_).text);
        }
        if (std::find(types.begin(), types.end(), found->dtype()) == types.end()) {
            return make_error(errc::unsupported, at(name).text, "is %s", to_string(found->dtype()));
        }
        return found;
    }
    /// A tensor of two dimensions, neither of them zero.
    [[nodiscard]] result<const safetensors::tensor*>
    find_matrix(const char* name, std::initializer_list<safetensors::dtype> types) const {
        const auto found = find(name, types);
        if (!found) return found;
        if ((*found)->shape().size() != 2 || (*found)->elements() == 0) {
            return make_error(errc::shape_mismatch, at(name).text,
                              "%zu dimensions, %zu elements; a matrix is needed",
                              (*found)->shape().size(), (*found)->elements());
        }
        return found;
    }

    [[nodiscard]] result<void> check_shape(const char* name, const safetensors::tensor& of,
                                           std::size_t rows, std::size_t cols) const {
        if (of.rows() == rows && of.cols() == cols) return {};
        return make_error(errc::shape_mismatch, at(name).text, "%zu x %zu, not %zu x %zu",
                          of.rows(), of.cols(), rows, cols);
    }

    /// "safetensors::import_gptq: qweight"
    struct place {
        char text[80];
    };
    [[nodiscard]] place at(const char* name) const noexcept {
        place made;
        std::snprintf(made.text, sizeof made.text, "%s: %s", where_, name);
        return made;
    }
    [[nodiscard]] const char* where() const noexcept { return where_; }

private:
    const safetensors::file& from_;
    std::string_view prefix_;
    const char* where_;
};

/// Field i of B bits, the first in the lowest bits, dense across little-endian words of 32 bits
/// that are `stride` bytes apart.
template <int B>
[[nodiscard]] unsigned st_field_of(const std::byte* words, std::size_t i,
                                   std::size_t stride) noexcept {
    const std::size_t bit = i * B;
    const std::byte* const word = words + bit / 32 * stride;
    const unsigned shift = bit % 32;
    std::uint32_t value = load_le<std::uint32_t>(word) >> shift;
    if (shift + B > 32) value |= load_le<std::uint32_t>(word + stride) << (32 - shift);
    return value & ((1u << B) - 1u);
}

/// Element i of a tensor of floating-point numbers.
[[nodiscard]] inline float st_number(const safetensors::tensor& of, std::size_t i) noexcept {
    const std::byte* const data = of.data().data();
    switch (of.dtype()) {
    case safetensors::dtype::f16: return static_cast<float>(st_load<fp16>(data + 2 * i));
    case safetensors::dtype::bf16: return static_cast<float>(st_load<quant::bf16>(data + 2 * i));
    default: return st_load<float>(data + 4 * i);
    }
}

/// Element i of a tensor of i32 or i64.
[[nodiscard]] inline std::int64_t st_integer(const safetensors::tensor& of,
                                             std::size_t i) noexcept {
    const std::byte* const data = of.data().data();
    return of.dtype() == safetensors::dtype::i32 ? load_le<std::int32_t>(data + 4 * i)
                                                 : load_le<std::int64_t>(data + 8 * i);
}

inline constexpr std::initializer_list<safetensors::dtype> st_floats = {
    safetensors::dtype::f16, safetensors::dtype::bf16, safetensors::dtype::f32};
inline constexpr std::initializer_list<safetensors::dtype> st_integers = {safetensors::dtype::i32,
                                                                          safetensors::dtype::i64};

/// Where a model's columns go.
struct st_columns {
    buffer<std::uint32_t> order;    ///< model's column of each; empty: the same
    buffer<std::uint32_t> position; ///< of each of the model's columns; empty: the same
};

/// Columns sorted by their groups, of `groups` equal ones, in the model's order within each.
/// @param g_idx group of each of the model's columns; null: consecutive groups.
[[nodiscard]] inline result<st_columns> st_order_columns(const st_layer& layer, const char* name,
                                                         const safetensors::tensor* g_idx,
                                                         std::size_t cols, std::size_t groups) {
    st_columns made;
    if (cols % groups != 0) {
        return make_error(errc::unsupported, layer.where(), "%zu columns in %zu groups", cols,
                          groups);
    }
    if (g_idx == nullptr) return made;
    if (g_idx->elements() != cols || cols > UINT32_MAX) {
        return make_error(errc::shape_mismatch, layer.at(name).text, "%zu numbers for %zu columns",
                          g_idx->elements(), cols);
    }
    const std::size_t size = cols / groups;
    bool in_order = true;
    for (std::size_t k = 0; k < cols; ++k) {
        const std::int64_t group = st_integer(*g_idx, k);
        if (group < 0 || static_cast<std::uint64_t>(group) >= groups) {
            return make_error(errc::invalid_argument, layer.at(name).text,
                              "group %lld of column %zu; there are %zu",
                              static_cast<long long>(group), k, groups);
        }
        in_order = in_order && static_cast<std::size_t>(group) == k / size;
    }
    if (in_order) return made;

    auto order = buffer<std::uint32_t>::uninitialized(cols, layer.where());
    if (!order) return order.failure();
    auto position = buffer<std::uint32_t>::uninitialized(cols, layer.where());
    if (!position) return position.failure();
    auto filled = buffer<std::uint32_t>::zeroed(groups, layer.where());
    if (!filled) return filled.failure();
    for (std::size_t k = 0; k < cols; ++k) {
        const auto group = static_cast<std::size_t>(st_integer(*g_idx, k));
        if (filled->data()[group] == size) {
            return make_error(errc::unsupported, layer.at(name).text,
                              "group %zu has more than %zu columns", group, size);
        }
        const std::size_t j = group * size + filled->data()[group]++;
        order->data()[j] = static_cast<std::uint32_t>(k);
        position->data()[k] = static_cast<std::uint32_t>(j);
    }
    made.order = *std::move(order);
    made.position = *std::move(position);
    return made;
}

/// What a group says: w = scale·(code − zero), or scale·level, or scale·code + minimum.
struct st_group {
    float scale;
    int zero = 0;
    float minimum = 0;
};

/// Whether a number is finite and the type holds it; it is stored then.
template <class T>
[[nodiscard]] result<void> st_store(float value, T& into, const st_layer& layer, const char* what,
                                    std::size_t row, std::size_t group) noexcept {
    if (!std::isfinite(value)) {
        return make_error(errc::non_finite, layer.where(), "%s of row %zu, group %zu", what, row,
                          group);
    }
    into = static_cast<T>(value);
    if (static_cast<float>(into) == value) return {};
    return make_error(errc::unsupported, layer.where(),
                      "%s of row %zu, group %zu, %g, is no number of the scheme's type", what, row,
                      group, static_cast<double>(value));
}

/// Fills a matrix. @param groups per row, of equal size. @param code (row, model's column) → code.
/// @param numbers (row, group) → st_group.
///
/// The scheme's groups may be finer than the file's: they repeat its numbers.
template <class S, class Code, class Numbers>
[[nodiscard]] result<safetensors::imported_matrix<S>>
st_fill(const st_layer& layer, std::size_t rows, std::size_t cols, std::size_t groups,
        st_columns columns, const Code& code, const Numbers& numbers) noexcept {
    static_assert(S::group_rows == 1 && !S::is_two_level && sizeof(typename S::scale_type) > 1,
                  "quant::safetensors: imports fill schemes with groups within a row, per_channel "
                  "or group_wise<N>, and scales of float, fp16 or bf16");
    const std::size_t file_group = cols / groups;
    const std::size_t group = S::group_size(cols);
    if (file_group % group != 0) {
        return make_error(errc::unsupported, layer.where(),
                          "groups of %zu columns, of which the scheme's %zu are no part",
                          file_group, group);
    }
    auto made = matrix_internals::make<quantized_matrix<S>>(rows, cols, layer.where());
    if (!made) return made.failure();

    std::uint8_t* const codes = made->mutable_codes().data();
    const std::uint32_t* const position = columns.position.data();
    int invalid = -1;
    // Transposed sources are read a cache line of rows at a time.
    constexpr std::size_t tile = 16;
    for (std::size_t first = 0; first < rows; first += tile) {
        const std::size_t last = std::min(rows, first + tile);
        for (std::size_t k = 0; k < cols; ++k) {
            const std::size_t to = position != nullptr ? position[k] : k;
            for (std::size_t n = first; n < last; ++n) {
                const auto u = static_cast<int>(code(n, k));
                if (!S::is_level(u)) invalid = u;
                codes[n * cols + to] = static_cast<std::uint8_t>(u);
            }
        }
    }
    if (invalid >= 0) {
        return make_error(errc::code_out_of_range, layer.where(), "code %d is no number", invalid);
    }

    const std::size_t per_row = made->groups_per_row();
    for (std::size_t n = 0; n < rows; ++n) {
        for (std::size_t g = 0; g < per_row; ++g) {
            const std::size_t i = n * per_row + g;
            const st_group says = numbers(n, g * group / file_group);
            auto stored = st_store(says.scale, made->mutable_scales()[i], layer, "the scale", n, g);
            if (!stored) return stored.failure();
            if constexpr (S::has_minimum) {
                stored =
                    st_store(says.minimum, made->mutable_offsets()[i], layer, "the minimum", n, g);
                if (!stored) return stored.failure();
            } else if constexpr (S::has_zero_point) {
                made->mutable_offsets()[i] = static_cast<std::uint8_t>(says.zero);
            } else if constexpr (S::is_linear) {
                if (says.zero != S::offset) {
                    return make_error(errc::unsupported, layer.where(),
                                      "the zero point of row %zu, group %zu is %d; a symmetric "
                                      "scheme has %d",
                                      n, g, says.zero, S::offset);
                }
            }
        }
    }
    return safetensors::imported_matrix<S>(*std::move(made), std::move(columns.order));
}

/// Schemes whose weights are scale · (code − integer).
template <class S>
inline constexpr bool st_is_integer_scheme = S::is_linear && S::multiplier == 1 && !S::has_minimum;

} // namespace detail
} // namespace quant::inline QUANT_ABI
