// GGUF tensor types: their ids in the file, and the size of their blocks.
#pragma once

#include <quant/core/result.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace quant::inline QUANT_ABI {
namespace gguf {

/// What a tensor's bytes are; the values are the ids that GGUF stores.
///
/// i8 … i64 and f64 are plain numbers; q8_1 and q8_k are activations' formats, never weights'.
/// A value that is not listed here may come from a file's bytes, and is refused with an error.
/// Source: the ggml project's table of types.
enum class type : std::uint32_t {
    f32 = 0,
    f16 = 1,
    q4_0 = 2,
    q4_1 = 3,
    q5_0 = 6,
    q5_1 = 7,
    q8_0 = 8,
    q8_1 = 9,
    q2_k = 10,
    q3_k = 11,
    q4_k = 12,
    q5_k = 13,
    q6_k = 14,
    q8_k = 15,
    iq2_xxs = 16,
    iq2_xs = 17,
    iq3_xxs = 18,
    iq1_s = 19,
    iq4_nl = 20,
    iq3_s = 21,
    iq2_s = 22,
    iq4_xs = 23,
    i8 = 24,
    i16 = 25,
    i32 = 26,
    i64 = 27,
    f64 = 28,
    iq1_m = 29,
    bf16 = 30,
    tq1_0 = 34,
    tq2_0 = 35,
    mxfp4 = 39,
    nvfp4 = 40,
    q1_0 = 41,
    q2_0 = 42,
};

} // namespace gguf

namespace detail {

/// Name and block of a type; a null name marks an id that the format gave up.
struct gguf_block {
    const char* name;
    std::size_t weights; ///< per block
    std::size_t bytes;   ///< per block
};

inline constexpr gguf_block gguf_blocks[] = {
    {"f32", 1, 4},        {"f16", 1, 2},        {"q4_0", 32, 18},     // 0
    {"q4_1", 32, 20},     {nullptr, 0, 0},      {nullptr, 0, 0},      // 3
    {"q5_0", 32, 22},     {"q5_1", 32, 24},     {"q8_0", 32, 34},     // 6
    {"q8_1", 32, 36},     {"q2_k", 256, 84},    {"q3_k", 256, 110},   // 9
    {"q4_k", 256, 144},   {"q5_k", 256, 176},   {"q6_k", 256, 210},   // 12
    {"q8_k", 256, 292},   {"iq2_xxs", 256, 66}, {"iq2_xs", 256, 74},  // 15
    {"iq3_xxs", 256, 98}, {"iq1_s", 256, 50},   {"iq4_nl", 32, 18},   // 18
    {"iq3_s", 256, 110},  {"iq2_s", 256, 82},   {"iq4_xs", 256, 136}, // 21
    {"i8", 1, 1},         {"i16", 1, 2},        {"i32", 1, 4},        // 24
    {"i64", 1, 8},        {"f64", 1, 8},        {"iq1_m", 256, 56},   // 27
    {"bf16", 1, 2},       {nullptr, 0, 0},      {nullptr, 0, 0},      // 30
    {nullptr, 0, 0},      {"tq1_0", 256, 54},   {"tq2_0", 256, 66},   // 33
    {nullptr, 0, 0},      {nullptr, 0, 0},      {nullptr, 0, 0},      // 36
    {"mxfp4", 32, 17},    {"nvfp4", 64, 36},    {"q1_0", 128, 18},    // 39
    {"q2_0", 64, 18},                                                 // 42
};

/// The block of a type, or null for an id that is none.
[[nodiscard]] constexpr const gguf_block* gguf_find_block(gguf::type which) noexcept {
    const auto id = static_cast<std::uint32_t>(which);
    if (id >= std::size(gguf_blocks) || gguf_blocks[id].name == nullptr) return nullptr;
    return &gguf_blocks[id];
}

/// Why an id without a block is refused; a clause about "type id N".
[[nodiscard]] constexpr const char* gguf_why_not_a_type(std::uint32_t id) noexcept {
    switch (id) {
    case 4: return "was removed from the format (Q4_2)";
    case 5: return "was removed from the format (Q4_3)";
    case 31: return "was removed from the format (Q4_0_4_4)";
    case 32: return "was removed from the format (Q4_0_4_8)";
    case 33: return "was removed from the format (Q4_0_8_8)";
    case 36: return "was removed from the format (IQ4_NL_4_4; a fork reuses it for I2_S)";
    case 37: return "was removed from the format (IQ4_NL_4_8)";
    case 38: return "was removed from the format (IQ4_NL_8_8)";
    default: break;
    }
    if ((id >= 97 && id <= 99) || (id >= 133 && id <= 158) || (id >= 202 && id <= 399)) {
        return "exists in a fork of the format only";
    }
    return "is unknown";
}

[[nodiscard]] inline error gguf_not_a_type(gguf::type which, const char* where) noexcept {
    const auto id = static_cast<std::uint32_t>(which);
    return make_error(errc::unsupported, where, "type id %llu %s",
                      static_cast<unsigned long long>(id), gguf_why_not_a_type(id));
}

static_assert(std::size(gguf_blocks) == static_cast<std::size_t>(gguf::type::q2_0) + 1);
static_assert(gguf_find_block(gguf::type::iq4_xs)->bytes == 136);
static_assert(gguf_find_block(gguf::type::mxfp4)->bytes == 17);

} // namespace detail

namespace gguf {

/// The lower-case name of a type, "q6_k"; "unknown" for an id that is none.
[[nodiscard]] constexpr const char* to_string(type which) noexcept {
    const auto* block = detail::gguf_find_block(which);
    return block != nullptr ? block->name : "unknown";
}

/// How many weights a block of a type holds; a row is a whole number of blocks.
///
/// Error: unsupported, naming the id, if it was removed from the format, belongs to a fork only,
/// or is unknown.
[[nodiscard]] inline result<std::size_t> try_block_size(type which) noexcept {
    const auto* block = detail::gguf_find_block(which);
    if (block == nullptr) return detail::gguf_not_a_type(which, "gguf::block_size: type");
    return block->weights;
}

/// How many bytes a block of a type has. Errors: as try_block_size.
[[nodiscard]] inline result<std::size_t> try_block_bytes(type which) noexcept {
    const auto* block = detail::gguf_find_block(which);
    if (block == nullptr) return detail::gguf_not_a_type(which, "gguf::block_bytes: type");
    return block->bytes;
}

#if QUANT_HAS_EXCEPTIONS
/// @copydoc try_block_size
/// @throws quant::error
[[nodiscard]] inline std::size_t block_size(type which) { return try_block_size(which).value(); }

/// @copydoc try_block_bytes
/// @throws quant::error
[[nodiscard]] inline std::size_t block_bytes(type which) { return try_block_bytes(which).value(); }
#endif

} // namespace gguf
} // namespace quant::inline QUANT_ABI
