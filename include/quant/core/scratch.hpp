// scratch: the caller's memory for what a product would allocate.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/core/executor.hpp>
#include <quant/core/result.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace quant::inline QUANT_VOCABULARY {

/// Memory for a product's activations, on any boundary: with it, products allocate nothing.
///
/// quant::scratch_bytes says how much is enough. A call overwrites it and needs it until it
/// returns; packed_activations made in it, as long as they live. Calls at the same time need one
/// each.
struct scratch : not_an_executor {
    std::span<std::byte> memory;

    QUANT_DETAIL_INLINE explicit constexpr scratch(std::span<std::byte> bytes) noexcept
        : memory(bytes) {}
};

} // namespace quant::inline QUANT_VOCABULARY

namespace quant::inline QUANT_ABI {
namespace detail {

inline constexpr std::size_t scratch_alignment = 64;

/// What a scratch must have so that `bytes` of it lie on a cache line, wherever it begins.
[[nodiscard]] constexpr maybe_size with_alignment(maybe_size bytes) noexcept {
    return checked_add(bytes, scratch_alignment - 1);
}

/// The first `bytes` of a scratch, from a cache line on.
/// Errors: null_data; invalid_argument if it is too small; size_overflow.
[[nodiscard]] inline result<std::byte*> take_scratch(const scratch& given, maybe_size bytes,
                                                     const char* where) noexcept {
    const maybe_size needed = with_alignment(bytes);
    if (!needed) return error(errc::size_overflow, where, "exceeds the address space");
    if (given.memory.size() < *needed) {
        return make_error(errc::invalid_argument, where, "%zu bytes, %zu are needed",
                          given.memory.size(), *needed);
    }
    if (given.memory.data() == nullptr) return error(errc::null_data, where, "null pointer");
    const auto address = reinterpret_cast<std::uintptr_t>(given.memory.data());
    return given.memory.data() +
           (scratch_alignment - address % scratch_alignment) % scratch_alignment;
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
