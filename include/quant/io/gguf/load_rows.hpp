// Rows of GGUF tensors as codes and numbers of a scheme: what loading reads.
#pragma once

#include <quant/io/gguf/blocks.hpp>
#include <quant/io/gguf/tensor.hpp>
#include <quant/pack/pack.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Whether a type's weights are those of scheme S.
template <gguf::type T, quantization_scheme S>
[[nodiscard]] consteval bool gguf_is_of() {
    if constexpr (gguf_find_block(T) == nullptr) {
        return false;
    } else if constexpr (gguf_is_composition<T>) {
        return std::is_same_v<typename gguf_codec<T>::scheme, S>;
    } else {
        return false;
    }
}

/// How blocks of a type become codes and numbers of scheme S; null for types of other schemes.
template <quantization_scheme S>
struct gguf_reader {
    void (*read)(const std::byte* block, std::uint8_t* codes, const gguf_numbers<S>& to) noexcept;
    bool (*fits)(const std::byte* block) noexcept; ///< null if all blocks do

    template <gguf::type T>
    [[nodiscard]] static consteval gguf_reader of() {
        if constexpr (gguf_is_of<T, S>()) {
            if constexpr (requires { &gguf_codec<T>::fits; }) {
                return {&gguf_codec<T>::read, &gguf_codec<T>::fits};
            } else {
                return {&gguf_codec<T>::read, nullptr};
            }
        } else {
            return {nullptr, nullptr};
        }
    }
};

using gguf_all_ids = std::make_index_sequence<std::size(gguf_blocks)>;

/// By id.
template <quantization_scheme S>
inline constexpr auto gguf_readers = []<std::size_t... Ids>(std::index_sequence<Ids...>) {
    return std::array{gguf_reader<S>::template of<static_cast<gguf::type>(Ids)>()...};
}(gguf_all_ids());

template <quantization_scheme S>
[[nodiscard]] constexpr const gguf_reader<S>* gguf_find_reader(gguf::type which) noexcept {
    const auto id = static_cast<std::size_t>(which);
    if (id >= gguf_readers<S>.size() || gguf_readers<S>[id].read == nullptr) return nullptr;
    return &gguf_readers<S>[id];
}

template <quantization_scheme S>
inline constexpr bool gguf_has_scheme =
    std::any_of(gguf_readers<S>.begin(), gguf_readers<S>.end(),
                [](const auto& one) { return one.read != nullptr; });

/// "gguf::load: NAME".
struct gguf_where {
    explicit gguf_where(const gguf::tensor& of) noexcept {
        const std::string_view name = of.name();
        std::snprintf(text, sizeof text, "gguf::load: %.*s", static_cast<int>(name.size()),
                      name.data());
    }
    char text[96];
};

/// A tensor whose type is none of scheme S: an error that names both.
template <quantization_scheme S>
[[nodiscard]] error gguf_other_type(const gguf::tensor& tensor) noexcept {
    char types[64] = "";
    std::size_t used = 0;
    for (std::size_t id = 0; id < gguf_readers<S>.size(); ++id) {
        if (gguf_readers<S>[id].read == nullptr || used >= sizeof types) continue;
        const int written = std::snprintf(types + used, sizeof types - used, "%s%s",
                                          used == 0 ? "" : ", ", gguf_blocks[id].name);
        used += static_cast<std::size_t>(std::max(written, 0));
    }
    return make_error(errc::unsupported, gguf_where(tensor).text,
                      "its type is %s, the scheme is that of %s", to_string(tensor.type()), types);
}

/// Tensors of one width below each other, read row by row as scheme S.
template <quantization_scheme S>
class gguf_rows {
public:
    /// Errors: empty, shape_mismatch, size_overflow, unsupported.
    [[nodiscard]] static result<gguf_rows>
    try_make(std::span<const gguf::tensor> tensors) noexcept {
        if (tensors.empty()) return error(errc::empty, "gguf::load: tensors", "there are none");
        gguf_rows made;
        made.tensors_ = tensors;
        maybe_size rows = 0;
        for (const gguf::tensor& one : tensors) {
            if (one.cols() != made.cols()) {
                return make_error(errc::shape_mismatch, gguf_where(one).text,
                                  "its rows have %zu columns, the first tensor's %zu", one.cols(),
                                  made.cols());
            }
            if (gguf_find_reader<S>(one.type()) == nullptr) return gguf_other_type<S>(one);
            rows = checked_add(rows, one.rows());
        }
        if (!rows) return error(errc::size_overflow, "gguf::load: tensors", "rows in all");
        made.rows_ = *rows;
        return made;
    }

    [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
    [[nodiscard]] std::size_t cols() const noexcept { return tensors_.front().cols(); }

    /// Reads a row: cols() codes, and the numbers of its groups.
    /// Errors: non_finite, code_out_of_range, naming tensor, row and block.
    [[nodiscard]] result<void> read(std::size_t row, std::uint8_t* codes,
                                    const row_numbers<S, true>& to) const noexcept {
        const gguf::tensor* tensor = tensors_.data();
        for (; row >= tensor->rows(); ++tensor) row -= tensor->rows();
        const gguf_block block = *gguf_find_block(tensor->type());
        const gguf_reader<S> reader = *gguf_find_reader<S>(tensor->type());
        const std::size_t blocks = cols() / block.weights;
        const std::size_t groups = block.weights / S::group_cols;
        const std::size_t supers = groups / S::super_groups;
        const std::byte* from = tensor->data().data() + row * blocks * block.bytes;
        gguf_numbers<S> numbers{to.scales, to.offsets, to.supers, to.super_minimums};
        for (std::size_t b = 0; b < blocks; ++b) {
            if (reader.fits != nullptr && !reader.fits(from)) {
                return make_error(errc::code_out_of_range, gguf_where(*tensor).text,
                                  "row %zu, block %zu: a code of %s stands for no level", row, b,
                                  block.name);
            }
            reader.read(from, codes, numbers);
            if (!all_finite(numbers, groups, supers)) {
                return make_error(errc::non_finite, gguf_where(*tensor).text,
                                  "row %zu, block %zu: a scale or minimum is not finite", row, b);
            }
            from += block.bytes;
            codes += block.weights;
            numbers.advance(groups, supers);
        }
        return {};
    }

private:
    template <class T>
    [[nodiscard]] static bool are_finite(const T* numbers, std::size_t count) noexcept {
        return std::all_of(numbers, numbers + count,
                           [](T number) { return std::isfinite(static_cast<float>(number)); });
    }
    [[nodiscard]] static bool all_finite(const gguf_numbers<S>& numbers, std::size_t groups,
                                         std::size_t supers) noexcept {
        if constexpr (S::is_two_level) {
            return are_finite(numbers.supers, supers) &&
                   (!S::has_minimum || are_finite(numbers.super_minimums, supers));
        } else if constexpr (S::has_minimum) {
            return are_finite(numbers.scales, groups) && are_finite(numbers.offsets, groups);
        } else {
            return are_finite(numbers.scales, groups);
        }
    }

    std::span<const gguf::tensor> tensors_;
    std::size_t rows_ = 0;
};

/// A panel's rows while they are read.
template <quantization_scheme S>
class gguf_panel_scratch {
public:
    [[nodiscard]] static result<gguf_panel_scratch> try_make(std::size_t cols,
                                                             const char* where) noexcept {
        gguf_panel_scratch made;
        made.cols_ = cols;
        const std::size_t groups = panel_rows * S::groups_per_row(cols);
        const std::size_t supers = panel_rows * S::supers_per_row(cols);
        const auto take = [&](auto& buffer, std::size_t count) -> result<void> {
            auto taken = std::remove_reference_t<decltype(buffer)>::uninitialized(count, where);
            if (!taken) return taken.failure();
            buffer = *std::move(taken);
            return {};
        };
        if (auto done = take(made.codes_, panel_rows * cols); !done) return done.failure();
        if (auto done = take(made.scales_, groups); !done) return done.failure();
        if (auto done = take(made.offsets_, S::has_offset ? groups : 0); !done) {
            return done.failure();
        }
        if (auto done = take(made.supers_, supers); !done) return done.failure();
        if (auto done = take(made.super_minimums_, S::has_minimum ? supers : 0); !done) {
            return done.failure();
        }
        return made;
    }

    /// Reads rows [first, first + count), to be packed.
    [[nodiscard]] result<panel_rows_source<S>> read(const gguf_rows<S>& rows, std::size_t first,
                                                    std::size_t count) noexcept {
        panel_rows_source<S> source;
        source.codes = codes_.data();
        source.cols = cols_;
        source.rows = count;
        const std::size_t groups = S::groups_per_row(cols_), supers = S::supers_per_row(cols_);
        for (std::size_t i = 0; i < count; ++i) {
            row_numbers<S, true> numbers;
            numbers.scales = scales_.data() + i * groups;
            if (S::has_offset) numbers.offsets = offsets_.data() + i * groups;
            if (S::is_two_level) {
                numbers.supers = supers_.data() + i * supers;
                if (S::has_minimum) numbers.super_minimums = super_minimums_.data() + i * supers;
            }
            auto done = rows.read(first + i, codes_.data() + i * cols_, numbers);
            if (!done) return done.failure();
            source.set_row(i, numbers);
        }
        return source;
    }

private:
    std::size_t cols_ = 0;
    buffer<std::uint8_t> codes_;
    buffer<typename S::scale_type> scales_;
    buffer<typename S::offset_type> offsets_;
    buffer<typename S::super_type> supers_;
    buffer<typename S::super_type> super_minimums_;
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
