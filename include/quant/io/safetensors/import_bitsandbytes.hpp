// Imports layers that bitsandbytes wrote: 4 bits by a table, and integers of 8 bits.
#pragma once

#include <quant/io/safetensors/import.hpp>
#include <quant/io/safetensors/json.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace safetensors {

/// The levels of bitsandbytes' FP4, multiples of its greatest, 12: 0, 1/16, 2, 3, 4, 6, 8, 12 and
/// their negatives, each divided in float.
struct bitsandbytes_fp4_levels {
    static constexpr std::array<float, 15> levels{
        -1.0f,      -8 / 12.0f,    -6 / 12.0f, -4 / 12.0f,   -3 / 12.0f,
        -2 / 12.0f, -0.0625f / 12, 0.0f,       0.0625f / 12, 2 / 12.0f,
        3 / 12.0f,  4 / 12.0f,     6 / 12.0f,  8 / 12.0f,    1.0f};
};
/// FP4 of bitsandbytes in its default blocks.
using bitsandbytes_fp4 =
    scheme<codebook<bitsandbytes_fp4_levels>, symmetric, group_wise<64>, float>;

} // namespace safetensors

namespace detail {

/// What a tensor quant_state says: JSON in its bytes, { "blocksize": 64, "shape": [N, K] … }.
class st_bnb_state {
public:
    std::uint64_t block = 0;
    std::uint64_t nested_block = 0;
    double nested_offset = 0;
    std::uint64_t shape[2] = {};
    std::size_t dims = 0;

    [[nodiscard]] bool begin_object() noexcept { return depth_++ == 0; }
    [[nodiscard]] bool end_object() noexcept { return true; }
    [[nodiscard]] bool begin_array() noexcept { return ++depth_ == 2; }
    [[nodiscard]] bool end_array() noexcept {
        --depth_;
        return true;
    }
    [[nodiscard]] bool key(std::string_view name) noexcept {
        key_ = name == "blocksize"          ? field::block
               : name == "nested_blocksize" ? field::nested_block
               : name == "nested_offset"    ? field::nested_offset
               : name == "shape"            ? field::shape
                                            : field::other;
        return true;
    }
    [[nodiscard]] bool string(std::string_view) noexcept { return true; }
    [[nodiscard]] bool number(std::uint64_t value) noexcept {
        switch (key_) {
        case field::block: block = value; break;
        case field::nested_block: nested_block = value; break;
        case field::nested_offset: nested_offset = static_cast<double>(value); break;
        case field::shape:
            if (dims < 2) shape[dims] = value;
            ++dims;
            break;
        case field::other: break;
        }
        return true;
    }
    [[nodiscard]] bool real(double value) noexcept {
        if (key_ == field::nested_offset) nested_offset = value;
        return true;
    }
    [[nodiscard]] bool other(const char*) noexcept { return true; }

private:
    enum class field { block, nested_block, nested_offset, shape, other };
    field key_ = field::other;
    int depth_ = 0;
};

/// The state of a weight of 4 bits, under the name that its table has.
[[nodiscard]] inline result<st_bnb_state> st_bnb_read_state(const st_layer& layer) {
    constexpr const char* nf4_name = "weight.quant_state.bitsandbytes__nf4";
    constexpr const char* fp4_name = "weight.quant_state.bitsandbytes__fp4";
    const char* const name = layer.look_for(fp4_name) != nullptr ? fp4_name : nf4_name;
    const auto text = layer.find(name, {safetensors::dtype::u8});
    if (!text) return text.failure();
    st_bnb_state state;
    const auto bytes = (*text)->data();
    json_events<st_bnb_state> events({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                     state);
    if (bytes.empty() || !events.run()) {
        return make_error(errc::bad_format, layer.at("weight.quant_state").text,
                          "no JSON of a quantization state");
    }
    // Bounded, so that products fit.
    if (state.dims != 2 || state.shape[0] == 0 || state.shape[1] == 0 ||
        state.shape[0] > PTRDIFF_MAX / 64 || state.shape[1] > PTRDIFF_MAX / 64 ||
        !checked_mul(static_cast<std::size_t>(state.shape[0]),
                     static_cast<std::size_t>(state.shape[1]))) {
        return make_error(errc::shape_mismatch, layer.at("weight.quant_state").text,
                          "the weight is no matrix");
    }
    return state;
}

/// The scales of blocks, which may be quantized themselves.
struct st_bnb_scales {
    const safetensors::tensor* absmax = nullptr;
    const safetensors::tensor* map = nullptr; ///< null: absmax are the scales
    const safetensors::tensor* nested = nullptr;
    std::size_t nested_block = 1;
    float nested_offset = 0;

    [[nodiscard]] float at(std::size_t block) const noexcept {
        if (map == nullptr) return st_number(*absmax, block);
        const auto code = std::to_integer<std::size_t>(absmax->data()[block]);
        // Rounded to float between the two steps, which compilers must not fuse.
        const double exact = static_cast<double>(st_number(*map, code)) *
                             static_cast<double>(st_number(*nested, block / nested_block));
        return static_cast<float>(exact) + nested_offset;
    }

    [[nodiscard]] static result<st_bnb_scales> of(const st_layer& layer, const st_bnb_state& state,
                                                  std::size_t blocks) {
        using enum safetensors::dtype;
        st_bnb_scales made;
        const auto wrong = [&](const char* name, std::size_t has, std::size_t needed) {
            return make_error(errc::shape_mismatch, layer.at(name).text, "%zu numbers, not %zu",
                              has, needed);
        };
        const auto absmax = layer.find("weight.absmax", {f32, u8});
        if (!absmax) return absmax.failure();
        made.absmax = *absmax;
        if ((*absmax)->elements() != blocks) {
            return wrong("weight.absmax", (*absmax)->elements(), blocks);
        }
        if ((*absmax)->dtype() == f32) return made;
        const auto map = layer.find("weight.nested_quant_map", {f32});
        if (!map) return map.failure();
        if ((*map)->elements() != 256) {
            return wrong("weight.nested_quant_map", (*map)->elements(), 256);
        }
        const auto nested = layer.find("weight.nested_absmax", {f32});
        if (!nested) return nested.failure();
        if (state.nested_block == 0 || state.nested_block > PTRDIFF_MAX) {
            return make_error(errc::bad_format, layer.at("weight.quant_state").text,
                              "no nested_blocksize, and scales of 8 bits");
        }
        made.nested_block = static_cast<std::size_t>(state.nested_block);
        const std::size_t needed = div_ceil(blocks, made.nested_block);
        if ((*nested)->elements() != needed) {
            return wrong("weight.nested_absmax", (*nested)->elements(), needed);
        }
        made.map = *map;
        made.nested = *nested;
        made.nested_offset = static_cast<float>(state.nested_offset);
        return made;
    }
};

/// For each of the file's codes, that of the scheme with the same level.
template <class S>
[[nodiscard]] result<std::array<std::uint8_t, 16>> st_bnb_codes(const st_layer& layer) {
    const auto map = layer.find("weight.quant_map", {safetensors::dtype::f32});
    if (!map) return map.failure();
    if ((*map)->elements() != 16) {
        return make_error(errc::shape_mismatch, layer.at("weight.quant_map").text,
                          "%zu numbers, not 16", (*map)->elements());
    }
    std::array<std::uint8_t, 16> codes{};
    for (std::size_t i = 0; i < 16; ++i) {
        const float level = st_number(**map, i);
        int code = 0;
        while (code <= S::max_code && S::unit * S::step(code) != level) ++code;
        if (code > S::max_code) {
            return make_error(errc::unsupported, layer.at("weight.quant_map").text,
                              "level %zu, %g, is none of the scheme's", i,
                              static_cast<double>(level));
        }
        codes[i] = static_cast<std::uint8_t>(code);
    }
    return codes;
}

template <class S>
[[nodiscard]] result<safetensors::imported_matrix<S>> st_import_bnb4(const st_layer& layer) {
    const auto weight = layer.find("weight", {safetensors::dtype::u8});
    if (!weight) return weight.failure();
    const auto state = st_bnb_read_state(layer);
    if (!state) return state.failure();
    const auto rows = static_cast<std::size_t>(state->shape[0]);
    const auto cols = static_cast<std::size_t>(state->shape[1]);
    if ((*weight)->elements() != div_ceil(rows * cols, 2)) {
        return make_error(errc::shape_mismatch, layer.at("weight").text,
                          "%zu bytes for %zu x %zu weights", (*weight)->elements(), rows, cols);
    }
    if (state->block == 0 || state->block > cols ||
        cols % static_cast<std::size_t>(state->block) != 0) {
        return make_error(errc::unsupported, layer.where(),
                          "blocks of %llu run over the ends of rows of %zu columns",
                          static_cast<unsigned long long>(state->block), cols);
    }
    const std::size_t groups = cols / static_cast<std::size_t>(state->block);
    const auto scales = st_bnb_scales::of(layer, *state, rows * groups);
    if (!scales) return scales.failure();
    const auto codes = st_bnb_codes<S>(layer);
    if (!codes) return codes.failure();
    const std::byte* const data = (*weight)->data().data();
    return st_fill<S>(
        layer, rows, cols, groups, st_columns{},
        [&](std::size_t n, std::size_t k) {
            const std::size_t i = n * cols + k;
            const auto byte = std::to_integer<std::size_t>(data[i / 2]);
            return (*codes)[i % 2 == 0 ? byte >> 4 : byte & 15];
        },
        [&](std::size_t n, std::size_t g) { return st_group{scales->at(n * groups + g)}; });
}

template <class S>
[[nodiscard]] result<safetensors::imported_matrix<S>> st_import_bnb8(const st_layer& layer) {
    const auto weight = layer.find_matrix("weight", {safetensors::dtype::i8});
    if (!weight) return weight.failure();
    const auto scb = layer.find("SCB", {safetensors::dtype::f32});
    if (!scb) return scb.failure();
    const std::size_t rows = (*weight)->rows();
    const std::size_t cols = (*weight)->cols();
    if ((*scb)->elements() != rows) {
        return make_error(errc::shape_mismatch, layer.at("SCB").text, "%zu numbers for %zu rows",
                          (*scb)->elements(), rows);
    }
    if (const auto* order = layer.look_for("weight_format"); order != nullptr) {
        for (const std::byte each : order->data()) {
            if (each == std::byte{0}) continue;
            return make_error(errc::unsupported, layer.at("weight_format").text,
                              "weights that are not in rows");
        }
    }
    const std::byte* const data = (*weight)->data().data();
    return st_fill<S>(
        layer, rows, cols, 1, st_columns{},
        [&](std::size_t n, std::size_t k) {
            return std::to_integer<unsigned>(data[n * cols + k]) ^ 128u;
        },
        [&](std::size_t n, std::size_t) {
            return st_group{st_number(**scb, n) / 127.0f, S::offset};
        });
}

} // namespace detail

namespace safetensors {

/// Imports a linear layer that bitsandbytes quantized.
///
/// 4 bits, exactly: w = scale·level. @param from an open file. @param prefix of the layer's
/// tensors: weight u8, N·K/2 bytes, the first weight in the high half; weight.quant_map f32 [16];
/// weight.absmax f32, one scale for each block of the flattened weight, or u8, quantized in turn
/// with weight.nested_quant_map f32 [256] and weight.nested_absmax f32 (scale = map[code]·nested +
/// offset, each step rounded to float, as there); weight.quant_state.bitsandbytes__nf4 (or __fp4)
/// u8, JSON with shape, blocksize and, for quantized scales, nested_blocksize and nested_offset.
/// S has a codebook with all levels of quant_map: nf4, or bitsandbytes_fp4_levels; groups of
/// blocksize columns (or of a divisor of it), and float scales. Blocks run over the flattened
/// tensor, so that K must be a multiple of blocksize: otherwise blocks straddle rows, which is
/// unsupported.
///
/// 8 bits: w = q·SCB/127, from weight i8 [N, K] and SCB f32 [N]. S is int8, symmetric, per_channel
/// (or groups), float; the scale is SCB/127 rounded to float.
///
/// Errors: not_found for a missing tensor; unsupported for a dtype, a level or a scheme that does
/// not fit, rows that are no whole blocks, or a weight_format other than rows; shape_mismatch;
/// bad_format for a quant_state that is none; non_finite; out_of_memory.
///
/// Source: the bitsandbytes project's Linear4bit and Linear8bitLt.
template <quantization_scheme S>
[[nodiscard]] result<imported_matrix<S>> try_import_bitsandbytes(const file& from,
                                                                 std::string_view prefix) noexcept {
    constexpr bool is_table = S::levels == level_kind::table && S::tables == 1 && S::bits == 4;
    constexpr bool is_int8 = detail::st_is_integer_scheme<S> && !S::has_offset && S::bits == 8;
    static_assert(
        (is_table || is_int8) && std::is_same_v<typename S::scale_type, float>,
        "quant::safetensors::import_bitsandbytes: a codebook of 4 bits or symmetric int8, "
        "with float scales");
    constexpr const char* where = "safetensors::import_bitsandbytes";
    return detail::guarded(where, [&] {
        const detail::st_layer layer(from, prefix, where);
        if constexpr (is_int8) {
            return detail::st_import_bnb8<S>(layer);
        } else {
            return detail::st_import_bnb4<S>(layer);
        }
    });
}

#if QUANT_HAS_EXCEPTIONS
/// @copydoc try_import_bitsandbytes
/// @throws quant::error
template <quantization_scheme S>
[[nodiscard]] imported_matrix<S> import_bitsandbytes(const file& from, std::string_view prefix) {
    return try_import_bitsandbytes<S>(from, prefix).value();
}
#endif

} // namespace safetensors
} // namespace quant::inline QUANT_ABI
