// std::bit_cast by the compilers' builtin: some standard libraries, such as emscripten 3.1's, lack
// it.
#pragma once

#include <quant/core/config.hpp>

#include <type_traits>

namespace quant::inline QUANT_VOCABULARY {
namespace core_detail {

/// The To with the bits of `from`.
template <class To, class From>
[[nodiscard]] constexpr To bit_cast(const From& from) noexcept {
    static_assert(sizeof(To) == sizeof(From) && std::is_trivially_copyable_v<To> &&
                  std::is_trivially_copyable_v<From>);
    return __builtin_bit_cast(To, from);
}

} // namespace core_detail
} // namespace quant::inline QUANT_VOCABULARY
