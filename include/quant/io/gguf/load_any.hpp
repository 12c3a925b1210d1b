// GGUF tensors whose type is known only at run time, as packed weights.
#pragma once

#include <quant/io/gguf/load.hpp>

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace quant::inline QUANT_ABI {

// Above this folder: <quant/quant.hpp> has it, which products need in any case.
template <quantization_scheme... Schemes>
class any_packed_matrix;

namespace detail {

/// The schemes of an any_packed_matrix.
template <class Any>
struct gguf_listed;
template <template <class...> class Any, class... Schemes>
struct gguf_listed<Any<Schemes...>> {
    /// Calls f(std::type_identity<S>) for each until one returns true.
    template <class F>
    static void visit(F&& f) noexcept {
        static_cast<void>((f(std::type_identity<Schemes>()) || ...));
    }
    template <class S>
    static constexpr bool has = (std::is_same_v<S, Schemes> || ...);
};

/// Whether those of an any_packed_matrix can hold tensors of all types that have a scheme.
template <class Any>
inline constexpr bool gguf_lists_all = []<std::size_t... Ids>(std::index_sequence<Ids...>) {
    const auto lists = []<std::size_t Id>(std::integral_constant<std::size_t, Id>) {
        constexpr auto which = static_cast<gguf::type>(Id);
        if constexpr (gguf_find_block(which) == nullptr) {
            return true;
        } else if constexpr (gguf_is_composition<which>) {
            return gguf_listed<Any>::template has<typename gguf_codec<which>::scheme>;
        } else {
            return true;
        }
    };
    return (lists(std::integral_constant<std::size_t, Ids>()) && ...);
}(gguf_all_ids());

} // namespace detail

namespace gguf {

/// Packed weights of any type that has a scheme. A program that multiplies with them holds the
/// kernels of all these schemes, which take minutes to compile; one that lists those which it meets
/// and takes load_any does not.
using any_matrix =
    any_packed_matrix<presets::q4_0, presets::q4_1, presets::q5_0, presets::q5_1, presets::q8_0,
                      presets::q2_k, presets::q3_k, presets::q4_k, presets::q5_k, presets::q6_k,
                      presets::iq4_nl, presets::iq4_xs, presets::mxfp4, presets::nvfp4,
                      presets::tq2_0, presets::q1_0, presets::q2_0, presets::iq1_s, presets::iq1_m,
                      presets::iq2_xxs, presets::iq2_s, presets::iq3_xxs, presets::iq3_s,
                      detail::gguf_codec<type::q8_k>::scheme>;
static_assert(detail::gguf_lists_all<any_matrix>);

/// As try_load, in the scheme of the first tensor's type, if it is one of those listed.
///
/// @tparam Any an any_packed_matrix<Schemes...>; schemes that no GGUF type has may be among them.
/// Errors: those of try_load; unsupported if the type's scheme is not listed, or it has none.
template <class Any, executor E = const serial_executor&>
[[nodiscard]] result<Any> try_load_any(std::span<const tensor> tensors, E&& run = serial) noexcept {
    if (tensors.empty()) return error(errc::empty, "gguf::load: tensors", "there are none");
    const type which = tensors.front().type();
    if (!scheme_of(which)) {
        return detail::make_error(errc::unsupported, detail::gguf_where(tensors.front()).text,
                                  "its type, %s, is numbers without scales: decode and quantize "
                                  "them, or multiply them as floats",
                                  to_string(which));
    }
    result<Any> made = detail::make_error(
        errc::unsupported, detail::gguf_where(tensors.front()).text,
        "the scheme of its type, %s, is not one of those listed", to_string(which));
    detail::gguf_listed<Any>::visit([&]<class S>(std::type_identity<S>) {
        if constexpr (detail::gguf_has_scheme<S>) {
            if (detail::gguf_find_reader<S>(which) == nullptr) return false;
            auto loaded = try_load<S>(tensors, run);
            if (loaded) {
                made = Any(*std::move(loaded));
            } else {
                made = loaded.failure();
            }
            return true;
        } else {
            return false;
        }
    });
    return made;
}

/// @copydoc try_load_any
template <class Any, executor E = const serial_executor&>
[[nodiscard]] result<Any> try_load_any(const tensor& one, E&& run = serial) noexcept {
    return try_load_any<Any>(std::span(&one, 1), run);
}

/// As try_load, of any type: the tensors decide. Needs <quant/quant.hpp>, too.
/// Errors: those of try_load; unsupported for numbers without scales.
template <executor E = const serial_executor&, class Any = any_matrix>
[[nodiscard]] result<Any> try_load(std::span<const tensor> tensors, E&& run = serial) noexcept {
    return try_load_any<Any>(tensors, run);
}
/// @copydoc try_load(std::span<const tensor>, E&&)
template <executor E = const serial_executor&, class Any = any_matrix>
[[nodiscard]] result<Any> try_load(const tensor& one, E&& run = serial) noexcept {
    return try_load_any<Any>(one, run);
}

#if QUANT_HAS_EXCEPTIONS
/// @copydoc try_load_any
/// @throws quant::error
template <class Any, executor E = const serial_executor&>
[[nodiscard]] Any load_any(std::span<const tensor> tensors, E&& run = serial) {
    return try_load_any<Any>(tensors, run).value();
}
/// @copydoc load_any
template <class Any, executor E = const serial_executor&>
[[nodiscard]] Any load_any(const tensor& one, E&& run = serial) {
    return try_load_any<Any>(one, run).value();
}
/// @copydoc try_load(std::span<const tensor>, E&&)
/// @throws quant::error
template <executor E = const serial_executor&, class Any = any_matrix>
[[nodiscard]] Any load(std::span<const tensor> tensors, E&& run = serial) {
    return try_load_any<Any>(tensors, run).value();
}
/// @copydoc load(std::span<const tensor>, E&&)
template <executor E = const serial_executor&, class Any = any_matrix>
[[nodiscard]] Any load(const tensor& one, E&& run = serial) {
    return try_load_any<Any>(one, run).value();
}
#endif

} // namespace gguf
} // namespace quant::inline QUANT_ABI
