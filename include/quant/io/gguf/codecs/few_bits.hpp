// GGUF's blocks of one or two bits, or of base-3 digits: TQ1_0, TQ2_0, Q1_0, Q2_0.
#pragma once

#include <quant/io/gguf/codecs/codec.hpp>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Digits `first` … `first + Digits − 1` of each of `Bytes` bytes, one digit after the other.
///
/// A byte is ⌈n·256 / 243⌉ of a number n of five base-3 digits. Digit i, from the highest, is what
/// 3^i times the byte leaves of 256, times three, over 256.
template <std::size_t Bytes, std::size_t Digits>
std::uint8_t* gguf_read_base_3(const std::byte* from, std::uint8_t* codes) noexcept {
    unsigned power = 1;
    for (std::size_t i = 0; i < Digits; ++i, power *= 3) {
        for (std::size_t j = 0; j < Bytes; ++j) {
            const unsigned rest = (std::to_integer<unsigned>(from[j]) * power) & 255u;
            *codes++ = static_cast<std::uint8_t>(rest * 3 >> 8);
        }
    }
    return codes;
}

/// The inverse of gguf_read_base_3; digits that a byte has room for and does not get are zero.
template <std::size_t Bytes, std::size_t Digits>
const std::uint8_t* gguf_write_base_3(const std::uint8_t* codes, std::byte* to) noexcept {
    for (std::size_t j = 0; j < Bytes; ++j) {
        unsigned number = 0;
        for (std::size_t i = 0; i < 5; ++i) {
            number = 3 * number + (i < Digits ? codes[i * Bytes + j] : 0u);
        }
        to[j] = static_cast<std::byte>((number * 256 + 242) / 243);
    }
    return codes + Digits * Bytes;
}

/// w = d·(q − 1): 32 and 16 bytes of five digits, 4 bytes of four digits, fp16 d.
template <>
struct gguf_codec<gguf::type::tq1_0> : gguf_composition<presets::tq2_0> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.scales[0] = gguf_fp16_at(block + 52);
        codes = gguf_read_base_3<32, 5>(block, codes);
        codes = gguf_read_base_3<16, 5>(block + 32, codes);
        gguf_read_base_3<4, 4>(block + 48, codes);
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        codes = gguf_write_base_3<32, 5>(codes, block);
        codes = gguf_write_base_3<16, 5>(codes, block + 32);
        gguf_write_base_3<4, 4>(codes, block + 48);
        gguf_put_fp16(block + 52, from.scales[0]);
    }
};

/// w = d·(q − 1): 64 bytes of q, weight 128·h + 32·k + l at bit 2·k of byte 32·h + l; fp16 d.
///
/// q = 3 decodes to 2·d. It is no code of the composition, nor written by the ggml project.
template <>
struct gguf_codec<gguf::type::tq2_0> : gguf_composition<presets::tq2_0> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.scales[0] = gguf_fp16_at(block + 64);
        for (std::size_t row = 0; row < 8; ++row) {
            for (std::size_t l = 0; l < 32; l += 8) {
                gguf_put_eight(codes + 32 * row + l,
                               gguf_eight(block + 32 * (row / 4) + l, 2 * (row % 4), 3));
            }
        }
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        std::memset(block, 0, 64);
        for (std::size_t row = 0; row < 8; ++row) {
            gguf_write_row<2>(codes + 32 * row, 0, block + 32 * (row / 4), 2 * (row % 4));
        }
        gguf_put_fp16(block + 64, from.scales[0]);
    }
    [[nodiscard]] static constexpr float level(int code) noexcept {
        return static_cast<float>(code - 1);
    }
    [[nodiscard]] static bool fits(const std::byte* block) noexcept {
        unsigned threes = 0;
        for (std::size_t j = 0; j < 64; ++j) {
            const auto four = std::to_integer<unsigned>(block[j]);
            threes |= four & four >> 1 & 0x55u;
        }
        return threes == 0;
    }
};

/// w = d where the bit is set, else −d: fp16 d, then 16 bytes, weight j at bit j mod 8 of byte j
/// / 8.
template <>
struct gguf_codec<gguf::type::q1_0> : gguf_composition<presets::q1_0> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.scales[0] = gguf_fp16_at(block);
        for (std::size_t j = 0; j < 128; j += 8) {
            gguf_put_eight(codes + j,
                           gguf_spread_bits(std::to_integer<unsigned>(block[2 + j / 8])));
        }
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        gguf_put_fp16(block, from.scales[0]);
        std::memset(block + 2, 0, 16);
        for (std::size_t j = 0; j < 128; ++j) {
            block[2 + j / 8] |= static_cast<std::byte>(codes[j] << (j % 8));
        }
    }
};

/// w = d·(q − 1): fp16 d, then 16 bytes of q, weight j at bit 2·(j mod 4) of byte j / 4.
template <>
struct gguf_codec<gguf::type::q2_0> : gguf_composition<presets::q2_0> {
    static void read(const std::byte* block, std::uint8_t* codes, const numbers& to) noexcept {
        to.scales[0] = gguf_fp16_at(block);
        for (std::size_t j = 0; j < 64; j += 8) {
            // Eight codes to four pairs, to eight: each half goes where its bytes are to be.
            std::uint64_t eight = load_le<std::uint16_t>(block + 2 + j / 4);
            eight = (eight | eight << 24) & 0x000000FF000000FF;
            eight = (eight | eight << 12) & 0x000F000F000F000F;
            gguf_put_eight(codes + j, (eight | eight << 6) & 3 * gguf_each);
        }
    }
    static void write(const std::uint8_t* codes, const given_numbers& from,
                      std::byte* block) noexcept {
        gguf_put_fp16(block, from.scales[0]);
        std::memset(block + 2, 0, 16);
        for (std::size_t j = 0; j < 64; ++j) {
            block[2 + j / 4] |= static_cast<std::byte>(codes[j] << (2 * (j % 4)));
        }
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
